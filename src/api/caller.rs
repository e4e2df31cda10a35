//! Who calls, as the layers found out; and what becomes of an error.

use tonic::{Request, Status};

use crate::broker::{BrokerError, Call};

/// The authenticated call of a request for `project`: the caller's own, by
/// name or unsaid. There is no other project for it.
///
/// # Errors
/// `UNAUTHENTICATED` when the layers let nobody in; `NOT_FOUND` for any other
/// project, whether it exists or not.
pub fn call_in<T>(request: &Request<T>, project: &str) -> Result<Call, Status> {
    let call = request.extensions().get::<Call>().cloned();
    let call = call.ok_or_else(|| super::status::status(BrokerError::Unauthenticated))?;
    if project.is_empty() || project == call.caller.project.name.as_str() {
        return Ok(call);
    }
    Err(failed(&call, BrokerError::NotFound { noun: "project" }))
}

/// The status of an error; the reason goes to the ledger with it.
#[must_use]
pub fn failed(call: &Call, error: BrokerError) -> Status {
    call.record.set_reason(error.code());
    super::status::status(error)
}

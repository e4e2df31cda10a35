//! The authenticated call that the layers put into a request.

use tonic::{Request, Status};

use crate::broker::{BrokerError, Call};

use super::status::status;

/// The call of a request; the layers have put it there.
///
/// # Errors
/// `UNAUTHENTICATED` when no layer did.
pub fn call_of<T>(request: &Request<T>) -> Result<Call, Status> {
    request.extensions().get::<Call>().cloned().ok_or_else(|| status(BrokerError::Unauthenticated))
}

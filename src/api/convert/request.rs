//! What every request has: a project, perhaps an id that makes it idempotent,
//! perhaps a page.

use prost::Message;
use sha2::{Digest, Sha256};
use tonic::{Request, Response, Status};

use crate::api::caller::call_of;
use crate::api::status::status;
use crate::broker::{Broker, BrokerError, Call, Once};
use crate::domain::{FieldError, PageAsk, RequestId};

/// Takes a request apart: who calls, and what with.
///
/// # Errors
/// `UNAUTHENTICATED` when the layers let nobody in.
pub fn opened<T>(request: Request<T>) -> Result<(Call, T), Status> {
    Ok((call_of(&request)?, request.into_inner()))
}

/// The reply to a call, or its status; the reason goes to the ledger, too.
///
/// # Errors
/// When the use case did not do it.
pub fn reply<T>(call: &Call, answer: Result<T, BrokerError>) -> Result<Response<T>, Status> {
    answer.map(Response::new).map_err(|error| failed(call, error))
}

/// The status of an error; the layers write the reason to the ledger.
#[must_use]
pub fn failed(call: &Call, error: BrokerError) -> Status {
    call.record.set_reason(error.code());
    status(error)
}

/// The caller's project is the only one there is for it.
///
/// # Errors
/// `NotFound` for any other, whether it exists or not.
pub fn own_project(call: &Call, name: &str) -> Result<(), BrokerError> {
    if name.is_empty() || name == call.caller.project.name.as_str() {
        Ok(())
    } else {
        Err(BrokerError::NotFound { noun: "project" })
    }
}

/// What makes a request the same, when the client gave it an id. `rest` is
/// the request without that id.
///
/// # Errors
/// Names `request_id`.
pub fn once<T: Message>(call: &Call, request_id: &str, rest: &T) -> Result<Option<Once>, FieldError> {
    if request_id.is_empty() {
        return Ok(None);
    }
    let request_id: RequestId = request_id
        .parse()
        .map_err(|_| FieldError::new("request_id", "a UUID is due, such as 6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11"))?;
    Ok(Some(Once { request_id, body_digest: digest(call, rest) }))
}

/// SHA-256 of method, body and the run that calls: a run and its starter are
/// one principal, and no answer to one is an answer to the other. Maps are
/// ordered, so equal requests have equal digests.
#[must_use]
pub fn digest<T: Message>(call: &Call, rest: &T) -> [u8; 32] {
    let method = call.record.method.as_bytes();
    let mut hash = Sha256::new();
    if let Some(run) = call.run() {
        // No method is so long: what follows is read in one way only.
        hash.update(u64::MAX.to_be_bytes());
        hash.update(run.as_bytes());
    }
    hash.update(u64::try_from(method.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(method);
    hash.update(rest.encode_to_vec());
    hash.finalize().into()
}

/// A page of one listing: its ask, and the digest of what is listed.
#[derive(Debug)]
pub struct Listing {
    /// Which page.
    pub page: PageAsk,
    filters: [u8; 32],
}

impl Listing {
    /// The page that a request asks for; `filters` is the request without
    /// page size and page token.
    ///
    /// # Errors
    /// Names `page_size` or `page_token`.
    pub fn parse<T: Message>(
        broker: &Broker,
        call: &Call,
        size: i32,
        token: &str,
        filters: &T,
    ) -> Result<Self, FieldError> {
        let filters = digest(call, filters);
        let page = broker.pages().parse(call, &filters, size, token)?;
        Ok(Self { page, filters })
    }

    /// The token of the next page; empty when there is none.
    #[must_use]
    pub fn next(&self, broker: &Broker, call: &Call, next: Option<&str>) -> String {
        broker.pages().next(call, &self.filters, next)
    }
}

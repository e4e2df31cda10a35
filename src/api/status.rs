//! What a broker's error is in gRPC, and what a reply's status is in the
//! ledger: the only place that knows the codes.
//!
//! Every status has one `ErrorInfo` of the domain `valetkey`. What is said to
//! somebody unknown is always the same bytes. No status holds an id of another
//! project, a secret, or an upstream's body.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::broker::BrokerError;
use crate::broker::Outcome;
use crate::broker::UpstreamError;

/// The domain of every reason code.
const DOMAIN: &str = "valetkey";
/// In the metadata of `ErrorInfo`: the same call may be made again as it is. It
/// used no source credential up, or what replaced it is stored. A promise to
/// clients: without it a call that asks a cloud is not to be repeated.
pub const NOTHING_SPENT: &str = "nothing_spent";
/// What to look at when a cloud does not answer.
const NO_WAY: &str = "try again; if it stays so, look at the server's way out to the cloud: name resolution, firewall, \
                      and the endpoints in the connector's settings";
/// When to try again after something that passes by itself, when nobody said.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The status of an error.
#[must_use]
pub fn status(error: BrokerError) -> Status {
    let mut details = ErrorDetails::new();
    let mut metadata = metadata(&error);
    if error.nothing_spent() {
        metadata.insert(NOTHING_SPENT.to_owned(), "true".to_owned());
    }
    details.set_error_info(error.code(), DOMAIN, metadata);
    if let Some(delay) = retry_after(&error) {
        details.set_retry_info(Some(delay));
    }
    match &error {
        BrokerError::Invalid(errors) => {
            for field in &errors.0 {
                details.add_bad_request_violation(&field.field, &field.problem);
            }
        }
        BrokerError::NotFound { noun } => {
            details.set_resource_info(*noun, "", "", "no such record that you may see");
        }
        BrokerError::Unauthenticated
        | BrokerError::Denied { .. }
        | BrokerError::Stale { .. }
        | BrokerError::NameTaken { .. }
        | BrokerError::Precondition { .. }
        | BrokerError::Exhausted { .. }
        | BrokerError::Unavailable { .. }
        | BrokerError::Upstream(_)
        | BrokerError::DataLoss { .. }
        | BrokerError::Internal { .. } => {}
    }
    Status::with_error_details(code(&error), error.to_string(), details)
}

/// A refusal that no use case made; it used no source credential up.
#[must_use]
pub fn refusal(code: Code, reason: &'static str, message: &str, retry_after: Option<Duration>) -> Status {
    let mut details = ErrorDetails::new();
    let promise = (code == Code::Unavailable).then(|| (NOTHING_SPENT.to_owned(), "true".to_owned()));
    details.set_error_info(reason, DOMAIN, promise.into_iter().collect::<HashMap<_, _>>());
    if let Some(delay) = retry_after {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(code, message, details)
}

/// The refusal of bytes that are no message of the method. tonic finds that
/// out before any handler, calls it internal, and repeats its parser's words;
/// every status of ours has an `ErrorInfo`.
#[must_use]
pub fn unreadable(headers: &HeaderMap) -> Option<Status> {
    let status = Status::from_header_map(headers)?;
    let of_tonic = status.code() == Code::Internal && status.get_details_error_info().is_none();
    of_tonic.then(|| refusal(Code::InvalidArgument, "BODY_MALFORMED", "the request is no message of this method", None))
}

/// What the headers of a reply say became of the call, with its reason code.
#[must_use]
pub fn outcome_of(headers: &HeaderMap) -> (Outcome, String) {
    let Some(status) = Status::from_header_map(headers) else { return (Outcome::Ok, String::new()) };
    let reason = status.get_details_error_info().map_or_else(|| word(status.code()).to_owned(), |info| info.reason);
    (outcome(status.code()), reason)
}

const fn outcome(code: Code) -> Outcome {
    match code {
        Code::Ok => Outcome::Ok,
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => Outcome::Malformed,
        Code::Unauthenticated | Code::PermissionDenied => Outcome::Denied,
        Code::ResourceExhausted => Outcome::Throttled,
        Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Outcome::Failed,
    }
}

/// The reason of a status that has no details: what tonic itself answers.
const fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "",
        Code::InvalidArgument | Code::OutOfRange => "BODY_MALFORMED",
        Code::Unimplemented => "UNKNOWN_METHOD",
        Code::Cancelled | Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::PermissionDenied => "DENIED",
        Code::ResourceExhausted => "THROTTLED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "NAME_TAKEN",
        Code::FailedPrecondition => "PRECONDITION",
        Code::Aborted => "STALE",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unknown | Code::Internal => "INTERNAL",
    }
}

const fn code(error: &BrokerError) -> Code {
    match error {
        BrokerError::Unauthenticated => Code::Unauthenticated,
        BrokerError::Denied { .. } => Code::PermissionDenied,
        BrokerError::NotFound { .. } => Code::NotFound,
        BrokerError::Invalid(_) => Code::InvalidArgument,
        BrokerError::Stale { .. } => Code::Aborted,
        BrokerError::NameTaken { .. } => Code::AlreadyExists,
        BrokerError::Precondition { .. } => Code::FailedPrecondition,
        BrokerError::Exhausted { .. } => Code::ResourceExhausted,
        BrokerError::Unavailable { .. } => Code::Unavailable,
        BrokerError::Upstream(error) => upstream_code(error),
        BrokerError::DataLoss { .. } => Code::DataLoss,
        BrokerError::Internal { .. } => Code::Internal,
    }
}

/// A cloud's "denied" is not ours: the caller was allowed to ask, and what is
/// missing is to be granted at the cloud.
const fn upstream_code(error: &UpstreamError) -> Code {
    match error {
        UpstreamError::Throttled { .. } | UpstreamError::Unavailable { .. } | UpstreamError::BadAnswer { .. } => {
            Code::Unavailable
        }
        UpstreamError::DeadlineExceeded => Code::DeadlineExceeded,
        UpstreamError::CredentialRefused { .. }
        | UpstreamError::UsedUp { .. }
        | UpstreamError::InDoubt
        | UpstreamError::Denied { .. }
        | UpstreamError::Rejected { .. }
        | UpstreamError::PolicyTooLarge { .. }
        | UpstreamError::Expired
        | UpstreamError::AddressRefused { .. }
        | UpstreamError::NotEnabled { .. }
        | UpstreamError::StoredSettings => Code::FailedPrecondition,
    }
}

fn metadata(error: &BrokerError) -> HashMap<String, String> {
    let pairs: Vec<(&str, String)> = match error {
        BrokerError::Denied { permission, hint, .. } => {
            vec![("permission", (*permission).to_owned()), ("hint", hint.clone())]
        }
        BrokerError::Precondition { hint, .. } => vec![("hint", hint.clone())],
        BrokerError::Stale { .. } => vec![("hint", "read it again and use the etag of that answer".to_owned())],
        BrokerError::NameTaken { .. } => vec![("hint", "choose another name".to_owned())],
        BrokerError::NotFound { noun } => vec![("noun", (*noun).to_owned())],
        BrokerError::Upstream(error) => upstream_metadata(error),
        BrokerError::Unauthenticated => vec![("hint", "present a valid token as `authorization: Bearer`".to_owned())],
        BrokerError::DataLoss { .. } => {
            vec![("hint", "an operator must restore it or hand the secret in again".to_owned())]
        }
        BrokerError::Invalid(_)
        | BrokerError::Exhausted { .. }
        | BrokerError::Unavailable { .. }
        | BrokerError::Internal { .. } => Vec::new(),
    };
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn upstream_metadata(error: &UpstreamError) -> Vec<(&'static str, String)> {
    match error {
        UpstreamError::Denied { code, missing, remedy } => {
            vec![("upstream_code", code.clone()), ("missing", missing.join(",")), ("hint", remedy.clone())]
        }
        UpstreamError::Rejected { code, remedy } => {
            vec![("upstream_code", code.clone()), ("hint", remedy.clone())]
        }
        UpstreamError::CredentialRefused { code } | UpstreamError::UsedUp { code } => {
            vec![("upstream_code", code.clone())]
        }
        UpstreamError::NotEnabled { remedy } => vec![("hint", (*remedy).to_owned())],
        UpstreamError::Unavailable { .. } => vec![("hint", NO_WAY.to_owned())],
        UpstreamError::PolicyTooLarge { .. }
        | UpstreamError::InDoubt
        | UpstreamError::Expired
        | UpstreamError::Throttled { .. }
        | UpstreamError::DeadlineExceeded
        | UpstreamError::BadAnswer { .. }
        | UpstreamError::AddressRefused { .. }
        | UpstreamError::StoredSettings => Vec::new(),
    }
}

fn retry_after(error: &BrokerError) -> Option<Duration> {
    match error {
        BrokerError::Exhausted { retry_after, .. } => *retry_after,
        // An operator must look: it does not pass by itself.
        BrokerError::Unavailable { code: "CLOCK_JUMPED", .. } => None,
        BrokerError::Unavailable { .. } => Some(RETRY_AFTER),
        BrokerError::Upstream(UpstreamError::Throttled { retry_after }) => Some(retry_after.unwrap_or(RETRY_AFTER)),
        BrokerError::Upstream(error) if error.recoverable() => Some(RETRY_AFTER),
        BrokerError::Upstream(_)
        | BrokerError::Unauthenticated
        | BrokerError::Denied { .. }
        | BrokerError::NotFound { .. }
        | BrokerError::Invalid(_)
        | BrokerError::Stale { .. }
        | BrokerError::NameTaken { .. }
        | BrokerError::Precondition { .. }
        | BrokerError::DataLoss { .. }
        | BrokerError::Internal { .. } => None,
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

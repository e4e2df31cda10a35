//! The table of statuses that a person reviews, and what must be the same.

use std::fmt::Write as _;

use super::*;
use crate::domain::FieldError;

const GOLDEN: &str = "tests/golden/error_statuses.txt";

fn every_error() -> Vec<BrokerError> {
    let text = |text: &str| text.to_owned();
    let seconds = |n| Some(Duration::from_secs(n));
    let mut errors = vec![
        BrokerError::Unauthenticated,
        BrokerError::Denied { code: "GRANT_MISSING", permission: "connectors.register", hint: text("ask an owner") },
        BrokerError::NotFound { noun: "connector" },
        FieldError::new("settings.role_arn", "must be an ARN").into(),
        BrokerError::Stale { noun: "connector" },
        BrokerError::NameTaken { noun: "connector" },
        BrokerError::Precondition { code: "STILL_LINKED", message: text("in use by a"), hint: text("unlink it") },
        BrokerError::Exhausted { code: "OVERLOADED", message: text("too many"), retry_after: seconds(2) },
        BrokerError::Unavailable { code: "STORE_UNWRITABLE", message: "the store cannot be written" },
        BrokerError::Unavailable { code: "CLOCK_JUMPED", message: "the server's clock jumped" },
        BrokerError::DataLoss { message: "the sealed record does not open" },
        BrokerError::Internal { what: "words" },
    ];
    let missing = vec![text("s3:ListBucket")];
    errors.extend(
        [
            UpstreamError::CredentialRefused { code: text("InvalidClientTokenId") },
            UpstreamError::UsedUp { code: text("invalid_grant") },
            UpstreamError::InDoubt,
            UpstreamError::Denied { code: text("AccessDenied"), missing, remedy: text("grant it") },
            UpstreamError::Rejected { code: text("ValidationError"), remedy: text("ask otherwise") },
            UpstreamError::PolicyTooLarge { percent: 112 },
            UpstreamError::Expired,
            UpstreamError::Throttled { retry_after: seconds(60) },
            UpstreamError::Unavailable { what: "connect" },
            UpstreamError::DeadlineExceeded,
            UpstreamError::BadAnswer { what: "no expiry" },
            UpstreamError::AddressRefused { origin: text("https://sso.example.com:8443") },
            UpstreamError::NotEnabled { remedy: "allow the profile" },
            UpstreamError::StoredSettings,
        ]
        .map(BrokerError::Upstream),
    );
    errors
}

fn table() -> String {
    let mut table = String::new();
    for error in every_error() {
        let status = status(error);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        writeln!(table, "{:?} {}: {}", status.code(), info.reason, status.message()).unwrap();
        let mut pairs: Vec<_> = info.metadata.iter().collect();
        pairs.sort();
        for (key, value) in pairs {
            writeln!(table, "    {key}: {value}").unwrap();
        }
        if let Some(retry) = details.retry_info().and_then(|info| info.retry_delay) {
            writeln!(table, "    retry after: {} s", retry.as_secs()).unwrap();
        }
        for field in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
            writeln!(table, "    field {}: {}", field.field, field.description).unwrap();
        }
        let headers = status.into_http::<tonic::body::Body>().into_parts().0.headers;
        let (outcome, reason) = outcome_of(&headers);
        writeln!(table, "    ledger: {} {reason}", outcome.as_str()).unwrap();
    }
    table
}

/// `VALETKEY_BLESS=1` writes it anew; the difference is for a person to read.
#[test]
fn every_error_has_the_status_of_the_golden_table() {
    if std::env::var_os("VALETKEY_BLESS").is_some() {
        std::fs::write(GOLDEN, table()).unwrap();
    }
    assert_eq!(table(), std::fs::read_to_string(GOLDEN).unwrap());
}

/// What clients repeat a call by: the command line's half is in `cli::stories`.
#[test]
fn that_nothing_was_spent_is_promised_of_what_is_unavailable_here_and_of_nothing_that_asked_a_cloud() {
    for error in every_error() {
        let here = matches!(error, BrokerError::Unavailable { .. });
        let status = status(error);
        let info = status.get_details_error_info().unwrap();
        let promise = info.metadata.get("nothing_spent").map(String::as_str);
        assert_eq!(promise, here.then_some("true"), "{}", info.reason);
        assert!(!here || status.code() == Code::Unavailable, "{status:?}");
    }
    for code in [Code::Unavailable, Code::ResourceExhausted, Code::InvalidArgument] {
        let info = refusal(code, "WORD", "words", None).get_details_error_info().unwrap();
        assert_eq!(info.metadata.contains_key("nothing_spent"), code == Code::Unavailable);
    }
}

#[test]
fn a_reply_without_a_status_in_its_headers_went_well() {
    assert_eq!(outcome_of(&HeaderMap::new()), (Outcome::Ok, String::new()));
}

#[test]
fn a_status_without_details_still_has_a_reason() {
    let headers = Status::unimplemented("").into_http::<tonic::body::Body>().into_parts().0.headers;
    assert_eq!(outcome_of(&headers), (Outcome::Malformed, "UNKNOWN_METHOD".to_owned()));
}

#[test]
fn an_internal_error_says_the_same_whatever_happened() {
    let said = status(BrokerError::Internal { what: "a" }).message().to_owned();
    assert!(said.starts_with("internal error"));
}

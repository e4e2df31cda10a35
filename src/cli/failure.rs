//! Why a command did not succeed, as people and programs are told.
//!
//! Owns the exit codes and the one reading of gRPC statuses in this room. It
//! never shows a status in its raw form: message, reason, fields and hint are
//! taken out one by one, and escaped when they are rendered.

use std::error::Error;
use std::fmt::Write as _;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::escape::{escape, escape_json};

/// What tonic says of its own deadline, which it reports as CANCELLED.
const TONIC_TIMEOUT: &str = "Timeout expired";
/// Where the server puts the hint in `ErrorInfo.metadata`.
const HINT_KEY: &str = "hint";
/// How tonic says that what answers does not speak HTTP/2, or no more.
const BROKEN: [&str; 2] = ["h2 protocol error", "transport error"];
/// What may be wrong then.
const BROKEN_HINT: &str =
    "does `valetkey serve` still run there, and does --address (VALETKEY_ADDR) begin with https://?";
/// Fields of requests that have an option of another name.
const OPTIONS: [(&str, &str); 5] = [
    ("ttl_seconds", "--ttl"),
    ("min_remaining_seconds", "--min-remaining"),
    ("max_duration_seconds", "--max-duration"),
    ("secret_expires_at", "--secret-expires-in"),
    ("conditions.ttl_max_seconds", "--ttl-max"),
];
/// Where to look for what was not found.
const LISTS: [(&str, &str); 9] = [
    ("connector", "`valetkey connector list` shows those that you may see"),
    ("connector type", "`valetkey connector-type list` shows those of this server"),
    ("component", "`valetkey component list` shows those that you may see"),
    ("stack", "`valetkey stack list` shows those that you may see"),
    ("run", "`valetkey run list` shows those that you may see"),
    ("issuance", "`valetkey issuance list` shows those that you may see"),
    ("binding", "`valetkey binding list` shows them"),
    ("principal", "`valetkey user list` and `valetkey service-account list` show them"),
    ("project", "--project (VALETKEY_PROJECT) names it; a token is good in its own project alone"),
];
/// What to do when nobody knows the token.
const NO_TOKEN: &str = "the token has ended, was revoked, or is not one of this server; an owner makes another with `valetkey token create \
     --for YOU`, and --token-file (VALETKEY_TOKEN_FILE) names the file that it is in";
/// Causes of a connection error that are shown; a chain may be circular.
const CAUSES_MAX: usize = 8;

/// What kind of failure, which is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Refused or failed for a reason of its own: 1.
    Failed,
    /// The command line is wrong: 2.
    Usage,
    /// Not authenticated or not allowed: 3.
    Denied,
    /// Not there, or not for this caller to see: 4.
    NotFound,
    /// No answer from the server or from what it needs: 5.
    Unavailable,
    /// A command that was run for the caller ended with this code, and said
    /// why itself.
    Command(u8),
    /// Whoever read the answer had enough: 0, and nothing is said.
    ReaderLeft,
}

impl Kind {
    /// The exit code of the process.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::NotFound => 4,
            Self::Unavailable => 5,
            Self::Command(code) => code,
            Self::ReaderLeft => 0,
        }
    }
}

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldProblem {
    /// The path of the field, for example `settings.role_arn`.
    pub(super) field: String,
    /// What is wrong.
    pub(super) problem: String,
}

impl FieldProblem {
    /// Whether `message` says this and nothing else.
    fn is_all_of(&self, message: &str) -> bool {
        message.strip_prefix(&self.field).and_then(|rest| rest.strip_prefix(": ")) == Some(&self.problem)
    }
}

/// Why a command did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Which exit code.
    pub(super) kind: Kind,
    /// One line.
    pub(super) message: String,
    /// The server's reason code.
    pub(super) reason: Option<String>,
    /// Fields and their problems.
    pub(super) fields: Vec<FieldProblem>,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

impl Failure {
    /// A failure with a message alone.
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), reason: None, fields: Vec::new(), hint: None }
    }

    /// The command line is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Refused or failed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The same with what to do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// No connection to `address`: the causes, and what to look at.
    pub(super) fn unreachable(address: &str, error: &(dyn Error + 'static)) -> Self {
        Self::new(Kind::Unavailable, format!("cannot reach {address}: {}", causes(error))).hint(
            "is `valetkey serve` running there, does --address (VALETKEY_ADDR) name it, and is --ca-cert \
             (VALETKEY_CA_CERT) the CA file of that server?",
        )
    }

    /// The text for people: `error:`, `reason:`, fields and `hint:`.
    pub(super) fn text(&self, color: bool) -> String {
        let label = if color { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        let mut text = format!("{label} {}\n", escape(&self.message));
        // Writing to a String cannot fail.
        if let Some(reason) = &self.reason {
            let _ = writeln!(text, "reason: {}", escape(reason));
        }
        for FieldProblem { field, problem } in self.fields.iter().filter(|field| !field.is_all_of(&self.message)) {
            let _ = writeln!(text, "  {}: {}", escape(field), escape(problem));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "hint: {}", escape(hint));
        }
        text
    }

    /// The same as one JSON object `{"error": {..}}`.
    pub(super) fn json(&self) -> String {
        let json = serde_json::json!({ "error": {
            "message": self.message,
            "reason": self.reason,
            "fields": self.fields,
            "hint": self.hint,
            "exit_code": self.kind.exit_code(),
        }});
        escape_json(&format!("{json}\n"))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let mut fields = Vec::new();
        for violation in details.bad_request().map(|b| b.field_violations.as_slice()).unwrap_or_default() {
            fields.push(FieldProblem { field: violation.field.clone(), problem: violation.description.clone() });
        }
        let retry = details.retry_info().and_then(|r| r.retry_delay);
        // The daemon's own speaks of headers.
        let unknown = info.filter(|i| i.reason == "UNAUTHENTICATED").map(|_| NO_TOKEN.to_owned());
        let hint = unknown.or_else(|| info.and_then(|i| i.metadata.get(HINT_KEY).cloned()));
        let hint = hint.filter(|hint| !hint.is_empty());
        let hint = hint.or_else(|| info.and_then(|i| list_hint(i.metadata.get("noun")?)));
        let hint = hint.or_else(|| fields.iter().find_map(|field| option_hint(&field.field)));
        let hint = hint.or_else(|| broke(&status).then(|| BROKEN_HINT.to_owned()));
        Self {
            kind: kind_of(&status),
            message: if says_all(&fields, status.message()) {
                format!("{} fields are not as they must be", fields.len())
            } else {
                message_of(&status)
            },
            reason: info.map(|i| i.reason.clone()).filter(|reason| !reason.is_empty()),
            fields,
            hint: hint.or_else(|| retry.map(|delay| format!("try again in {} s", delay.as_secs().max(1)))),
        }
    }
}

/// Whether tonic gave up because the deadline of the call passed. The server's
/// own word, that a cloud let it wait, has details: no `--timeout` helps there.
fn timed_out(status: &Status) -> bool {
    let by_tonic = status.code() == Code::DeadlineExceeded && status.get_details_error_info().is_none();
    by_tonic || (status.code() == Code::Cancelled && status.message() == TONIC_TIMEOUT)
}

/// Whether the connection does not hold what was said to be there.
fn broke(status: &Status) -> bool {
    status.get_details_error_info().is_none() && BROKEN.iter().any(|words| status.message().starts_with(words))
}

/// Where to look for what was not found.
fn list_hint(noun: &str) -> Option<String> {
    LISTS.iter().find(|(name, _)| *name == noun).map(|(_, hint)| (*hint).to_owned())
}

/// With which option a field is given.
fn option_hint(field: &str) -> Option<String> {
    let (field, option) = OPTIONS.iter().find(|(name, _)| *name == field)?;
    Some(format!("{field} is what {option} gives"))
}

/// Whether `message` repeats every one of many fields, which are shown anyway.
fn says_all(fields: &[FieldProblem], message: &str) -> bool {
    let all: Vec<String> = fields.iter().map(|one| format!("{}: {}", one.field, one.problem)).collect();
    fields.len() > 1 && all.join("; ") == message
}

fn kind_of(status: &Status) -> Kind {
    if timed_out(status) || broke(status) {
        return Kind::Unavailable;
    }
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => Kind::Denied,
        Code::NotFound => Kind::NotFound,
        Code::Unavailable | Code::DeadlineExceeded => Kind::Unavailable,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Kind::Failed,
    }
}

fn message_of(status: &Status) -> String {
    if timed_out(status) {
        return "the server did not answer in time; a longer --timeout may help".to_owned();
    }
    if status.message().is_empty() {
        return status.code().description().to_owned();
    }
    status.message().to_owned()
}

/// An error and what caused it, joined by colons; repeated words are left out.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(cause) = next else { break };
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    fn refused() -> Status {
        let mut details = ErrorDetails::new();
        let metadata = HashMap::from([("hint".to_owned(), "ask an owner for the role".to_owned())]);
        details.set_error_info("GRANT_MISSING", "valetkey", metadata);
        details.add_bad_request_violation("settings.role_arn", "must be an ARN\u{1b}[2J");
        Status::with_error_details(Code::PermissionDenied, "bob may not mint", details)
    }

    #[test]
    fn text_shows_reason_fields_and_hint_escaped() {
        assert_eq!(
            Failure::from(refused()).text(false),
            "error: bob may not mint\nreason: GRANT_MISSING\n  settings.role_arn: must be an ARN\\u{1b}[2J\nhint: ask \
             an owner for the role\n"
        );
    }

    #[test]
    fn json_shows_the_same_and_the_exit_code() {
        let json: serde_json::Value = serde_json::from_str(&Failure::from(refused()).json()).unwrap();
        assert_eq!(json["error"]["reason"], "GRANT_MISSING");
        assert_eq!(json["error"]["fields"][0]["field"], "settings.role_arn");
        assert_eq!(json["error"]["exit_code"], 3);
    }

    #[test]
    fn codes_become_the_promised_exit_codes() {
        let cases = [
            (Code::PermissionDenied, 3),
            (Code::Unauthenticated, 3),
            (Code::NotFound, 4),
            (Code::Unavailable, 5),
            (Code::DeadlineExceeded, 5),
            (Code::InvalidArgument, 1),
            (Code::FailedPrecondition, 1),
            (Code::Aborted, 1),
            (Code::Internal, 1),
            (Code::Cancelled, 1),
        ];
        for (code, exit) in cases {
            assert_eq!(Failure::from(Status::new(code, "x")).kind.exit_code(), exit, "{code:?}");
        }
        assert_eq!(Failure::usage("x").kind.exit_code(), 2);
    }

    #[test]
    fn tonics_own_timeout_counts_as_unavailable() {
        let failure = Failure::from(Status::cancelled("Timeout expired"));
        assert_eq!(failure.kind, Kind::Unavailable);
        assert!(failure.message.contains("--timeout"));
    }

    #[test]
    fn a_cloud_that_was_too_slow_is_not_said_to_be_helped_by_a_longer_timeout() {
        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        details.set_error_info("UPSTREAM_DEADLINE_EXCEEDED", "valetkey", HashMap::new());
        let said = "the cloud did not answer in time";
        let failure = Failure::from(Status::with_error_details(Code::DeadlineExceeded, said, details));
        assert_eq!((failure.kind, failure.message.as_str()), (Kind::Unavailable, said));
        assert_eq!(failure.hint.as_deref(), Some("try again in 1 s"));
    }

    #[test]
    fn a_retry_delay_becomes_the_hint_when_there_is_no_other() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
        let status = Status::with_error_details(Code::ResourceExhausted, "slow down", details);
        assert_eq!(Failure::from(status).hint.as_deref(), Some("try again in 7 s"));
    }

    #[test]
    fn an_empty_status_still_says_something() {
        assert_ne!(Failure::from(Status::new(Code::Internal, "")).message, "");
    }

    fn about(field: &str) -> Failure {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation(field, "too long");
        Failure::from(Status::with_error_details(Code::InvalidArgument, format!("{field}: too long"), details))
    }

    #[test]
    fn one_field_is_said_once_and_with_its_option() {
        assert_eq!(about("name").text(false), "error: name: too long\n");
        assert_eq!(
            about("ttl_seconds").text(false),
            "error: ttl_seconds: too long\nhint: ttl_seconds is what --ttl gives\n"
        );
        assert_eq!(about("name").fields.len(), 1, "programs get it all the same");
    }

    #[test]
    fn many_fields_are_said_once() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("name", "too long");
        details.add_bad_request_violation("labels", "too many");
        let said = "name: too long; labels: too many";
        let failure = Failure::from(Status::with_error_details(Code::InvalidArgument, said, details));
        let text = "error: 2 fields are not as they must be\n  name: too long\n  labels: too many\n";
        assert_eq!(failure.text(false), text);
    }

    #[test]
    fn what_was_not_found_is_said_where_to_look_for_and_an_unknown_token_what_to_do() {
        let mut details = ErrorDetails::new();
        details.set_error_info("NOT_FOUND", "valetkey", HashMap::from([("noun".to_owned(), "stack".to_owned())]));
        let failure = Failure::from(Status::with_error_details(Code::NotFound, "no such stack", details));
        assert!(failure.hint.unwrap().contains("`valetkey stack list`"));
        let hint = HashMap::from([("hint".to_owned(), "present it as `authorization: Bearer`".to_owned())]);
        let details = ErrorDetails::with_error_info("UNAUTHENTICATED", "valetkey", hint);
        let failure = Failure::from(Status::with_error_details(Code::Unauthenticated, "nobody known", details));
        assert_eq!(failure.hint.as_deref(), Some(NO_TOKEN));
    }

    #[test]
    fn what_does_not_speak_http2_is_no_daemon_there() {
        let failure = Failure::from(Status::unknown("h2 protocol error: http2 error"));
        assert_eq!(failure.kind, Kind::Unavailable);
        assert!(failure.hint.unwrap().contains("https://"));
    }
}

//! What a cloud's HTTP answer means, in our own words; shared by the types
//! that speak plain HTTP.
//!
//! A status and at most a code of the cloud's get out of here. A body never
//! does: what is parsed out of it is what the caller named.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::SecretText;
use crate::outbound::{Call, OutboundError, Response};

use super::typed::Upstream;
use super::upstream_error::UpstreamError;

/// The longest code that is repeated.
const CODE_LENGTH_MAX: usize = 64;

/// What was being done, for the words about why it was refused.
#[derive(Debug, Clone, Copy)]
pub struct Doing {
    /// What it needs, by the cloud's own names.
    pub permissions: &'static [&'static str],
    /// What to do when it is refused.
    pub remedy: &'static str,
}

impl Doing {
    /// The cloud says that these permissions are missing.
    #[must_use]
    pub fn denied(&self, code: String) -> UpstreamError {
        let missing = self.permissions.iter().map(|&name| name.to_owned()).collect();
        UpstreamError::Denied { code, missing, remedy: self.remedy.to_owned() }
    }

    /// What an error status means when the cloud's own code says no more.
    #[must_use]
    pub fn refused(&self, status: u16, code: Option<&str>, retry_after: Option<Duration>) -> UpstreamError {
        let code = code.map_or_else(|| format!("HTTP {status}"), printable);
        match status {
            300..=399 => UpstreamError::BadAnswer { what: "a redirect" },
            401 => UpstreamError::CredentialRefused { code },
            403 => self.denied(code),
            408 | 500..=599 => UpstreamError::Unavailable { what: "an error of its own" },
            429 => UpstreamError::Throttled { retry_after },
            _ => UpstreamError::Rejected { code, remedy: self.remedy.to_owned() },
        }
    }
}

/// Sends a call and gives its answer when the status is a success.
///
/// # Errors
/// What the status means, by [`Doing::refused`]; what no answer means.
pub async fn send(upstream: &Upstream, call: Call, doing: Doing) -> Result<Response, UpstreamError> {
    let answer = upstream.outbound.call(call).await.map_err(unanswered)?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(doing.refused(answer.status, None, answer.retry_after))
}

/// The JSON of an answer.
///
/// # Errors
/// `BadAnswer`, which repeats nothing of it.
pub fn json<T: DeserializeOwned>(answer: &Response) -> Result<T, UpstreamError> {
    serde_json::from_slice(answer.body()).map_err(|_| UpstreamError::BadAnswer { what: "not the JSON it should be" })
}

/// Secret text within an answer: wiped when it is dropped, also when the rest
/// of the answer does not parse.
pub struct SecretWire(pub SecretText);

impl<'de> Deserialize<'de> for SecretWire {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretText::new(text)))
    }
}

/// No answer at all.
#[must_use]
pub fn unanswered(error: OutboundError) -> UpstreamError {
    match error {
        OutboundError::AddressRefused { origin } => UpstreamError::AddressRefused { origin },
        OutboundError::TimedOut => UpstreamError::DeadlineExceeded,
        OutboundError::TooLong => UpstreamError::BadAnswer { what: "too long" },
        OutboundError::Unreachable => UpstreamError::Unavailable { what: "no connection" },
        // May pass, as when a certificate is renewed late: nothing is kept
        // from whoever holds a credential already.
        OutboundError::Untrusted => UpstreamError::Unavailable { what: "a certificate that is not trusted" },
        OutboundError::Malformed | OutboundError::Rules(_) => UpstreamError::BadAnswer { what: "unsendable request" },
    }
}

/// A code is letters; anything else is somebody's prose.
#[must_use]
pub fn printable(code: &str) -> String {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = !code.is_empty() && code.len() <= CODE_LENGTH_MAX && code.bytes().all(letter);
    if fits { code.to_owned() } else { "unreadable code".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_says_what_to_do() {
        let doing = Doing { permissions: &["storage.buckets.list"], remedy: "grant it" };
        let of = |status| doing.refused(status, None, None);
        assert!(matches!(of(401), UpstreamError::CredentialRefused { .. }));
        assert!(matches!(of(403), UpstreamError::Denied { missing, .. } if missing == ["storage.buckets.list"]));
        assert!(matches!(of(404), UpstreamError::Rejected { .. }));
        assert!(matches!(of(302), UpstreamError::BadAnswer { .. }));
        assert!(of(503).recoverable() && of(429).recoverable() && !of(400).recoverable());
    }

    #[test]
    fn a_code_that_is_prose_is_not_repeated() {
        assert_eq!(printable("invalid_grant"), "invalid_grant");
        for prose in ["", "token ya29.secret refused", "<html>", "a\nb"] {
            assert_eq!(printable(prose), "unreadable code");
        }
    }
}

//! The token endpoint of OAuth 2.0 (RFC 6749 section 3.2, RFC 8693): one form
//! in, one token out, whatever the grant.
//!
//! Owns what an answer must have to be believed. Form values and answers are
//! wiped; an error has the registered code at most, never a description.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::domain::{SecretText, Timestamp, claimed_end};
use crate::outbound::{Call, OutboundError, Response, Unheard};

use super::answer::{Doing, SecretWire, json, unanswered};
use super::typed::Upstream;
use super::upstream_error::UpstreamError;

/// The longest token that is believed, in bytes.
pub(super) const TOKEN_LENGTH_MAX: usize = 32 * 1024;
/// The longest life that is believed, in seconds: a year. More is nonsense,
/// or a long-lived secret.
pub(super) const EXPIRES_IN_MAX: u64 = 366 * 24 * 3600;

/// A gateway's word that nobody knows what became of the ask (RFC 9110 section
/// 15.6.5). Any other of the 5xx is taken for one that was not done.
const GATEWAY_TIMED_OUT: u16 = 504;

/// A form on its way to a token endpoint. No Debug: it holds secrets.
pub struct TokenAsk<'a> {
    /// The endpoint.
    pub url: &'a str,
    /// In lower case, beyond content type and accept.
    pub headers: Vec<(String, String)>,
    /// In this order.
    pub form: Vec<(&'a str, &'a str)>,
}

/// A token as the endpoint gave it. No Debug.
pub struct TokenAnswer {
    /// The token.
    pub access_token: SecretText,
    /// When it ends: the sooner of what the endpoint says and of what the token
    /// says of itself, where it is a JWT; nothing when neither does.
    pub expires_at: Option<Timestamp>,
    /// What was granted, when the endpoint says so.
    pub scope: Option<String>,
    /// The next refresh token, when it was rotated.
    pub refresh_token: Option<SecretText>,
}

#[derive(Deserialize)]
struct Wire {
    access_token: Option<SecretWire>,
    token_type: Option<String>,
    expires_in: Option<Value>,
    scope: Option<String>,
    refresh_token: Option<SecretWire>,
}

/// What is read of an answer that is not believed.
#[derive(Deserialize)]
struct Rotated {
    refresh_token: Option<SecretWire>,
}

#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
}

/// An answer of no use. No Debug: it may hold a secret.
pub struct NoToken {
    /// Why.
    pub error: UpstreamError,
    /// The next refresh token, when the answer has one for all that: the one
    /// that was sent may be used up.
    pub refresh_token: Option<SecretText>,
}

impl From<UpstreamError> for NoToken {
    fn from(error: UpstreamError) -> Self {
        Self { error, refresh_token: None }
    }
}

/// Asks a token endpoint, where no refresh token can be lost.
///
/// # Errors
/// What the endpoint's code means: `CredentialRefused` for a client or grant
/// that it does not take, `Denied`, `Rejected` for a scope, `Unavailable`;
/// `BadAnswer` for an answer that no caller may believe.
pub async fn ask(upstream: &Upstream, ask: TokenAsk<'_>, doing: Doing) -> Result<TokenAnswer, UpstreamError> {
    ask_rotating(upstream, ask, doing).await.map_err(|nothing| nothing.error)
}

/// Asks a token endpoint that may rotate the refresh token.
///
/// # Errors
/// As [`ask`], with the next refresh token of an answer that is not believed.
pub async fn ask_rotating(upstream: &Upstream, ask: TokenAsk<'_>, doing: Doing) -> Result<TokenAnswer, NoToken> {
    let asked_at = upstream.clock.now();
    let answer = upstream.outbound.call(call(ask)).await.map_err(unanswered)?;
    read_rotating(&answer, asked_at, doing)
}

/// Asks with what the ask uses up, a refresh token, so that it waits longer.
///
/// # Errors
/// As [`ask_rotating`]; `InDoubt` when the ask may have been done, and its
/// answer was not heard: by us, or by the gateway that answers for the provider.
pub async fn ask_once(upstream: &Upstream, ask: TokenAsk<'_>, doing: Doing) -> Result<TokenAnswer, NoToken> {
    let asked_at = upstream.clock.now();
    match upstream.outbound.call_once(call(ask)).await {
        Ok(answer) if answer.status == GATEWAY_TIMED_OUT => Err(UpstreamError::InDoubt.into()),
        Ok(answer) => read_rotating(&answer, asked_at, doing),
        Err(Unheard { error: OutboundError::TimedOut | OutboundError::Unreachable, sent: true }) => {
            Err(UpstreamError::InDoubt.into())
        }
        Err(Unheard { error, .. }) => Err(unanswered(error).into()),
    }
}

fn call(ask: TokenAsk<'_>) -> Call {
    let body = Serializer::new(String::new()).extend_pairs(&ask.form).finish().into_bytes();
    let mut headers = ask.headers;
    headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
    headers.push(("accept".to_owned(), "application/json".to_owned()));
    Call { method: "POST", url: ask.url.to_owned(), headers, body }
}

/// Reads the answer of a token endpoint that was asked at `asked_at`.
///
/// # Errors
/// As [`ask`].
pub fn read(answer: &Response, asked_at: Timestamp, doing: Doing) -> Result<TokenAnswer, UpstreamError> {
    read_rotating(answer, asked_at, doing).map_err(|nothing| nothing.error)
}

/// As [`read`], with the next refresh token of an answer that is not believed.
pub(super) fn read_rotating(answer: &Response, asked_at: Timestamp, doing: Doing) -> Result<TokenAnswer, NoToken> {
    if answer.status != 200 {
        return Err(refusal(answer, doing).into());
    }
    answered(answer, asked_at).map_err(|error| NoToken { error, refresh_token: rotated(answer) })
}

/// The token of an answer in this form, whoever gave it.
///
/// # Errors
/// `BadAnswer` for an answer that no caller may believe.
pub fn answered(answer: &Response, asked_at: Timestamp) -> Result<TokenAnswer, UpstreamError> {
    believed(json(answer)?, asked_at)
}

/// The next refresh token, whatever else the answer says.
fn rotated(answer: &Response) -> Option<SecretText> {
    let rotated: Rotated = json(answer).ok()?;
    Some(rotated.refresh_token?.0).filter(|token| token_fits(token).is_ok())
}

/// Lives are counted from before the ask: never later than the cloud's end.
fn believed(wire: Wire, asked_at: Timestamp) -> Result<TokenAnswer, UpstreamError> {
    let bad = |what| UpstreamError::BadAnswer { what };
    let access_token = wire.access_token.ok_or(bad("no access token"))?.0;
    token_fits(&access_token)?;
    if let Some(refresh) = &wire.refresh_token {
        token_fits(&refresh.0)?;
    }
    if wire.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(bad("a token of another type than bearer"));
    }
    let said = match wire.expires_in {
        None | Some(Value::Null) => None,
        Some(value) => Some(asked_at.plus(Duration::from_secs(seconds(&value)?))),
    };
    let expires_at = said.into_iter().chain(claimed_end(access_token.reveal())).min();
    let last = asked_at.plus(Duration::from_secs(EXPIRES_IN_MAX));
    if expires_at.is_some_and(|end| end <= asked_at || end > last) {
        return Err(bad("a life that cannot be"));
    }
    Ok(TokenAnswer {
        access_token,
        expires_at,
        scope: wire.scope,
        refresh_token: wire.refresh_token.map(|text| text.0),
    })
}

/// Whether it can be a token.
pub(super) fn token_fits(token: &SecretText) -> Result<(), UpstreamError> {
    let text = token.reveal();
    let fits = (1..=TOKEN_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err(UpstreamError::BadAnswer { what: "a token that is none" }) }
}

/// A number, or one in quotes: both are seen.
fn seconds(value: &Value) -> Result<u64, UpstreamError> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    seconds
        .filter(|seconds| (1..=EXPIRES_IN_MAX).contains(seconds))
        .ok_or(UpstreamError::BadAnswer { what: "a life that cannot be" })
}

/// RFC 6749 section 5.2, and what RFC 8693 and RFC 8628 add to it.
fn refusal(answer: &Response, doing: Doing) -> UpstreamError {
    let sent: Option<Refusal> = json(answer).ok();
    let code = sent.and_then(|refusal| refusal.error).unwrap_or_default();
    match code.as_str() {
        "invalid_client" | "invalid_grant" => UpstreamError::CredentialRefused { code },
        "unauthorized_client" | "access_denied" => doing.denied(code),
        "temporarily_unavailable" | "server_error" => UpstreamError::Unavailable { what: "an error of its own" },
        "slow_down" => UpstreamError::Throttled { retry_after: answer.retry_after },
        "invalid_scope" | "invalid_target" | "invalid_request" | "unsupported_grant_type" => {
            UpstreamError::Rejected { code, remedy: doing.remedy.to_owned() }
        }
        "" => doing.refused(answer.status, None, answer.retry_after),
        other => doing.refused(answer.status, Some(other), answer.retry_after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn parsed(text: &str) -> Result<TokenAnswer, UpstreamError> {
        believed(serde_json::from_str(text).unwrap(), NOW)
    }

    #[test]
    fn a_life_is_a_number_or_one_in_quotes_and_never_nonsense() {
        for life in ["3600", "\"3600\""] {
            let answer =
                parsed(&format!(r#"{{"access_token":"t","token_type":"Bearer","expires_in":{life}}}"#)).unwrap();
            assert_eq!(answer.expires_at, Some(Timestamp::from_seconds(4_600)));
        }
        assert_eq!(parsed(r#"{"access_token":"t"}"#).unwrap().expires_at, None);
        for life in ["0", "-5", "\"soon\"", "99999999999", "1.5", "[]"] {
            assert!(parsed(&format!(r#"{{"access_token":"t","expires_in":{life}}}"#)).is_err(), "{life}");
        }
    }

    /// The server of an API looks at the token, not at what was said beside it.
    #[test]
    fn a_token_that_ends_sooner_than_is_said_of_it_is_believed_and_one_that_has_ended_is_not() {
        let jwt = |claims: &str| {
            use base64::Engine as _;
            format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
        };
        let end = |token: &str, life: &str| {
            let answer = parsed(&format!(r#"{{"access_token":"{token}","expires_in":{life}}}"#));
            answer.map(|answer| answer.expires_at.map(Timestamp::seconds)).ok()
        };
        for (claims, life, wanted) in [
            (r#"{"exp":1120}"#, "3600", Some(Some(1_120))),
            (r#"{"exp":9000}"#, "3600", Some(Some(4_600))),
            (r#"{"exp":1120}"#, "null", Some(Some(1_120))),
            (r"{}", "3600", Some(Some(4_600))),
            (r"{}", "null", Some(None)),
            (r#"{"exp":1000}"#, "3600", None),
            (r#"{"exp":99999999999}"#, "null", None),
        ] {
            assert_eq!(end(&jwt(claims), life), wanted, "{claims} {life}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_bearer_token_is_not_believed() {
        for text in [
            r"{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a\nb"}"#,
            r#"{"access_token":"t","token_type":"mac"}"#,
            r#"{"access_token":"t","refresh_token":""}"#,
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}

//! Google's error answers in our own words. Codes, reasons and permissions
//! that we know ourselves are picked out; a message goes no further.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connectors::answer::{json, unanswered};
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::outbound::{Call, Response};

/// `{"error": {...}}` of google.rpc.Status and of the older APIs.
#[derive(Deserialize)]
struct Wrapped {
    error: Status,
}

#[derive(Deserialize)]
struct Status {
    status: Option<String>,
    #[serde(default)]
    errors: Vec<Old>,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Old {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    reason: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    permission: Option<String>,
}

/// Makes a call and gives the JSON of its answer.
pub async fn ask<T: DeserializeOwned>(upstream: &Upstream, call: Call, doing: Doing) -> Result<T, UpstreamError> {
    json(&send(upstream, call, doing).await?)
}

/// Makes a call and gives its answer when the status is a success.
pub async fn send(upstream: &Upstream, call: Call, doing: Doing) -> Result<Response, UpstreamError> {
    let answer = upstream.outbound.call(call).await.map_err(unanswered)?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(refusal(&answer, doing))
}

/// What an error answer means.
pub fn refusal(answer: &Response, doing: Doing) -> UpstreamError {
    let status = json::<Wrapped>(answer).ok().map(|wrapped| wrapped.error);
    let reason = status.as_ref().and_then(|status| {
        let detailed = status.details.iter().find_map(|detail| detail.reason.as_deref());
        let old = status.errors.iter().find_map(|old| old.reason.as_deref());
        detailed.or(status.status.as_deref()).or(old)
    });
    let remedy = match reason {
        Some("SERVICE_DISABLED" | "accessNotConfigured") => Some("enable this API in the project"),
        Some("CONSUMER_INVALID") => Some("check project_id"),
        Some("rateLimitExceeded" | "userRateLimitExceeded" | "RATE_LIMIT_EXCEEDED" | "RESOURCE_EXHAUSTED") => {
            return UpstreamError::Throttled { retry_after: answer.retry_after };
        }
        Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT") => Some("the source credential needs the scope cloud-platform"),
        Some("NOT_FOUND" | "notFound") => Some("it does not exist, or may not be seen"),
        Some(_) | None => None,
    };
    let doing = Doing { remedy: remedy.unwrap_or(doing.remedy), ..doing };
    let refused = doing.refused(answer.status, reason, answer.retry_after);
    match (refused, status.and_then(|status| named(&status, doing))) {
        (UpstreamError::Denied { code, remedy, .. }, Some(permission)) => {
            UpstreamError::Denied { code, missing: vec![permission.to_owned()], remedy }
        }
        (other, _) => other,
    }
}

/// The one of our permissions that Google names as missing.
fn named(status: &Status, doing: Doing) -> Option<&'static str> {
    let said = status.details.iter().find_map(|detail| detail.metadata.as_ref()?.permission.as_deref())?;
    doing.permissions.iter().copied().find(|ours| *ours == said)
}

/// A GET with this token.
pub fn get(url: String, token: &str) -> Call {
    Call { method: "GET", url, headers: bearer(token), body: Vec::new() }
}

/// A POST of JSON with this token.
pub fn post(url: String, token: &str, body: &serde_json::Value) -> Call {
    let mut headers = bearer(token);
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    Call { method: "POST", url, headers, body: body.to_string().into_bytes() }
}

/// The headers of a call with this token.
pub fn bearer(token: &str) -> Vec<(String, String)> {
    vec![("authorization".to_owned(), format!("Bearer {token}")), ("accept".to_owned(), "application/json".to_owned())]
}

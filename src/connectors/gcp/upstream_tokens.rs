//! Google's makers of tokens that its own client has no part in: a signed
//! assertion (RFC 7523), the exchange within a boundary (RFC 8693), and
//! generateAccessToken. No life is believed that cannot be.
//!
//! Own code on ring and the one way out, because google-cloud-auth (read at
//! 1.18.0) signs for a key without asking `token_uri`, knows no access
//! boundary, and shows no end of the token of another account.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Map;

use crate::connectors::answer::{SecretWire, json, unanswered};
use crate::connectors::token_endpoint::{self, TokenAnswer, TokenAsk};
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::domain::{SecretText, Timestamp, Ttl};
use crate::outbound::{Call, Response};

use super::errors;
use super::place::{Place, Service, email};
use super::settings::{HOUR, Target};
use super::upstream_secret::ServiceAccountKey;
use super::upstream_source::Access;

/// The audience of assertions, which Google's own clients send wherever they
/// send the assertion to.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// Of an assertion. Google takes up to an hour, and the token lives for an
/// hour whatever this says: whoever catches an assertion has less of it.
const ASSERTION_LIFE: Duration = Duration::from_secs(300);
/// How much later than asked a token may end: clocks differ.
const SKEW_MAX: Duration = Duration::from_secs(60);
/// The longest token that is believed, in bytes.
const TOKEN_LENGTH_MAX: usize = 32 * 1024;
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

const ASSERTING: Doing = Doing {
    permissions: &[],
    remedy: "check that the service account and its key are enabled, and this server's clock",
};
const BOUNDING: Doing = Doing {
    permissions: &[],
    remedy: "the exchange takes access tokens of the scope cloud-platform only; look at the source credential's scopes",
};
const IMPERSONATING: Doing = Doing {
    permissions: &["iam.serviceAccounts.getAccessToken"],
    remedy: "grant iam.serviceAccounts.getAccessToken on the target (or the next delegate) to the source identity, by \
             roles/iam.serviceAccountTokenCreator, and \
             let the lifetime be at most an hour unless the organisation allows more",
};
const INTROSPECTING: Doing = Doing { permissions: &[], remedy: "hand in another token" };

/// A token for a signed assertion.
pub async fn asserted(
    upstream: &Upstream,
    place: &Place<'_>,
    key: &ServiceAccountKey,
    scopes: &[&str],
) -> Result<Access, UpstreamError> {
    let now = upstream.clock.now();
    let claims = serde_json::json!({
        "iss": key.email,
        "scope": scopes.join(" "),
        "aud": AUDIENCE,
        "iat": now.seconds(),
        "exp": now.plus(ASSERTION_LIFE).seconds(),
    });
    let header = Map::from_iter([("kid".to_owned(), key.key_id.clone().into())]);
    let unsigned = |_| UpstreamError::CredentialRefused { code: "unusable key".to_owned() };
    let assertion = key.key.sign(header, &claims).map_err(unsigned)?;
    let url = place.token_url();
    let form = vec![("grant_type", JWT_BEARER), ("assertion", assertion.reveal())];
    let answer = token_endpoint::ask(upstream, TokenAsk { url: &url, headers: Vec::new(), form }, ASSERTING).await?;
    an_hour_at_most(answer, now)
}

/// The token within an access boundary. It dies with the source token, also
/// when the answer does not say so.
pub async fn bounded_by(
    upstream: &Upstream,
    place: &Place<'_>,
    source: &Access,
    boundary: &str,
) -> Result<Access, UpstreamError> {
    let now = upstream.clock.now();
    let url = place.sts_url();
    // Google's clients percent-encode the JSON, and then the form.
    let options = utf8_percent_encode(boundary, NON_ALPHANUMERIC).to_string();
    let form = vec![
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", source.token.reveal()),
        ("subject_token_type", ACCESS_TOKEN),
        ("options", options.as_str()),
    ];
    let answer = token_endpoint::ask(upstream, TokenAsk { url: &url, headers: Vec::new(), form }, BOUNDING).await?;
    // A cloud that hands the source token back has narrowed nothing.
    if answer.access_token.reveal() == source.token.reveal() {
        return Err(UpstreamError::BadAnswer { what: "the same token, not narrowed" });
    }
    let expires_at = answer.expires_at.map_or(source.expires_at, |end| end.min(source.expires_at));
    if expires_at <= now {
        return Err(IMPOSSIBLE);
    }
    Ok(Access { token: answer.access_token, expires_at })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    access_token: SecretWire,
    expire_time: String,
}

/// A token of another service account.
pub async fn impersonated(
    upstream: &Upstream,
    place: &Place<'_>,
    source: &SecretText,
    target: Target<'_>,
    scopes: &[&str],
    ttl: Ttl,
) -> Result<Access, UpstreamError> {
    let now = upstream.clock.now();
    let delegates: Vec<String> =
        target.delegates.iter().map(|delegate| format!("projects/-/serviceAccounts/{delegate}")).collect();
    let body =
        serde_json::json!({ "delegates": delegates, "scope": scopes, "lifetime": format!("{}s", ttl.as_seconds()) });
    let call = errors::post(place.impersonation_url(target.email), source.reveal(), &body);
    generated(&errors::send(upstream, call, IMPERSONATING).await?, now, ttl)
}

/// The token of an answer of generateAccessToken.
pub fn generated(answer: &Response, now: Timestamp, ttl: Ttl) -> Result<Access, UpstreamError> {
    let generated: Generated = json(answer)?;
    let token = generated.access_token.0;
    let fits = (1..=TOKEN_LENGTH_MAX).contains(&token.len()) && token.reveal().bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        return Err(UpstreamError::BadAnswer { what: "a token that is none" });
    }
    let end: jiff::Timestamp = generated.expire_time.parse().map_err(|_| IMPOSSIBLE)?;
    let expires_at = Timestamp::from_millis(end.as_millisecond());
    believed(token, expires_at, now, ttl.as_duration())
}

/// What Google knows of an access token.
pub struct Known {
    /// When it ends.
    pub expires_at: Timestamp,
    /// Of whom it is, when its scopes let that be known.
    pub email: Option<String>,
    /// The OAuth client, or the service account's number.
    pub client: Option<String>,
}

#[derive(Deserialize)]
struct TokenInfo {
    expires_in: Option<serde_json::Value>,
    email: Option<String>,
    azp: Option<String>,
}

/// Looks an access token up. In a form: a query would be in somebody's log.
pub async fn introspected(upstream: &Upstream, place: &Place<'_>, token: &SecretText) -> Result<Known, UpstreamError> {
    let now = upstream.clock.now();
    let body =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("access_token", token.reveal()).finish();
    let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let url = place.url(Service::OAuth, "/tokeninfo");
    let call = Call { method: "POST", url, headers, body: body.into_bytes() };
    let answer = upstream.outbound.call(call).await.map_err(unanswered)?;
    if answer.status == 400 {
        // Google's word for a token that has ended or never was.
        return Err(UpstreamError::CredentialRefused { code: "invalid_token".to_owned() });
    }
    if answer.status != 200 {
        return Err(INTROSPECTING.refused(answer.status, None, answer.retry_after));
    }
    known(&answer, now)
}

/// What an answer about a token says.
pub fn known(answer: &Response, now: Timestamp) -> Result<Known, UpstreamError> {
    let info: TokenInfo = json(answer)?;
    let left = info.expires_in.as_ref().and_then(|left| left.as_u64().or_else(|| left.as_str()?.parse().ok()));
    let left = left.filter(|left| (1..=u64::from(super::description::LONGEST)).contains(left)).ok_or(IMPOSSIBLE)?;
    let client = info.azp.filter(|client| client.len() <= 128 && client.bytes().all(|b| b.is_ascii_graphic()));
    let email = info.email.filter(|address| email(address));
    Ok(Known { expires_at: now.plus(Duration::from_secs(left)), email, client })
}

/// A token whose life was said and may be true.
pub fn an_hour_at_most(answer: TokenAnswer, now: Timestamp) -> Result<Access, UpstreamError> {
    let expires_at = answer.expires_at.ok_or(UpstreamError::BadAnswer { what: "a token with no end" })?;
    believed(answer.access_token, expires_at, now, Duration::from_secs(u64::from(HOUR)))
}

fn believed(
    token: SecretText,
    expires_at: Timestamp,
    now: Timestamp,
    longest: Duration,
) -> Result<Access, UpstreamError> {
    let fits = expires_at > now && expires_at <= now.plus(longest).plus(SKEW_MAX);
    if fits { Ok(Access { token, expires_at }) } else { Err(IMPOSSIBLE) }
}

const IMPOSSIBLE: UpstreamError = UpstreamError::BadAnswer { what: "an impossible expiry" };

//! The subject token of somebody else's issuer, from the URL of a stored
//! credential configuration. A foreign URL is refused: the server's config
//! must name its endpoint, also where that is a cloud's own.

use serde_json::{Map, Value};

use crate::connectors::answer::{json, send};
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::domain::SecretText;
use crate::outbound::Call;

use super::upstream_secret::{SubjectSource, origin};

/// The longest subject token, in bytes.
const LENGTH_MAX: usize = 32 * 1024;
const FETCHING: Doing =
    Doing { permissions: &[], remedy: "look at the source of external_account_json: its URL and headers" };

/// Gets a subject token.
pub async fn fetch(upstream: &Upstream, source: &SubjectSource) -> Result<SecretText, UpstreamError> {
    let named = origin(&source.url).ok_or(UpstreamError::StoredSettings)?;
    let rules = upstream.outbound.rules();
    let allowed = rules.allowed_endpoints.iter().any(|allowed| origin(allowed).as_ref() == Some(&named));
    if !allowed {
        return Err(refused());
    }
    let headers = source.headers.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
    let call = Call { method: "GET", url: source.url.clone(), headers, body: Vec::new() };
    let answer = send(upstream, call, FETCHING).await.map_err(unnamed)?;
    let token = match &source.field {
        Some(field) => match json::<Map<String, Value>>(&answer)?.remove(field) {
            Some(Value::String(text)) => SecretText::new(text),
            Some(_) | None => return Err(NO_TOKEN),
        },
        None => SecretText::new(String::from_utf8(answer.body().trim_ascii().to_vec()).map_err(|_| NO_TOKEN)?),
    };
    let fits = (1..=LENGTH_MAX).contains(&token.len()) && token.reveal().bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(token) } else { Err(NO_TOKEN) }
}

/// The URL is part of what is handed in as a secret, and is not repeated.
fn refused() -> UpstreamError {
    UpstreamError::AddressRefused { origin: "the URL of credential_source in external_account_json".to_owned() }
}

fn unnamed(error: UpstreamError) -> UpstreamError {
    if matches!(error, UpstreamError::AddressRefused { .. }) { refused() } else { error }
}

const NO_TOKEN: UpstreamError = UpstreamError::BadAnswer { what: "no subject token" };

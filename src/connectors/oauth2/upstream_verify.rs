//! Who a source credential is, as far as OAuth lets one ask: a client mints,
//! a handed-in token is shown to its API. A refresh token is never looked at
//! here: looking may use it up, so the broker mints with it in its turn.

use crate::connectors::answer::{Doing, unanswered};
use crate::connectors::{CLOUD_ACCEPTED, ListAsk, Upstream, UpstreamError, Verified, unsupported};
use crate::domain::{AccessLevel, Reach, ResourceId, ResourceTypeName};
use crate::outbound::Call;
use crate::sealing::SourceCredential;

use super::scope::{API, Scope, joined, words};
use super::settings::{Client, Settings};
use super::settings_check::{ACCESS_TOKEN, api_url, origin_of};
use super::upstream::{exchange, text};

/// Verifies; see `ConnectorType::verify`.
pub async fn verify(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    focus: &ListAsk,
) -> Result<Verified, UpstreamError> {
    let identity = match settings {
        Settings::ClientCredentials(own) => {
            let client = settings.client().ok_or(UpstreamError::StoredSettings)?;
            let asked = exchange(upstream, settings, secret, &least(settings, &client)?).await;
            asked.map_err(|nothing| nothing.error)?;
            format!("client {}", own.client_id)
        }
        Settings::RefreshToken(_) => {
            return Err(unsupported("verifying a refresh token uses it up; mint with it instead"));
        }
        Settings::Token(_) => {
            show(upstream, settings, secret).await?;
            "whoever made the handed-in token".to_owned()
        }
    };
    Ok(Verified { identity, reach: reach(settings, focus), reason: CLOUD_ACCEPTED })
}

/// The one API, without asking anybody.
pub fn reach(settings: &Settings, ask: &ListAsk) -> Vec<Reach> {
    let wanted = ask.resource_type.as_ref().is_none_or(|wanted| wanted.as_str() == API);
    let id = api_url(settings.api_url()).and_then(|url| ResourceId::canonical(url).ok());
    let name = ResourceTypeName::parse(API).ok();
    let found = name.zip(id).filter(|_| wanted).map(|(resource_type, id)| Reach {
        resource_type,
        resource_ids: vec![id],
        error: None,
        missing_permissions: Vec::new(),
        remedy: None,
        next_page: None,
    });
    found.into_iter().collect()
}

/// The lowest level that is served.
fn least(settings: &Settings, client: &Client<'_>) -> Result<Scope, UpstreamError> {
    let levels = [AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin];
    let found = levels.into_iter().find_map(|access| client.level(access).map(|scope| (access, scope)));
    let (access, scope) = found.ok_or(UpstreamError::StoredSettings)?;
    let resource = api_url(settings.api_url()).ok_or(UpstreamError::StoredSettings)?;
    Ok(Scope { resource, access, scope: scope.and_then(words).map(|words| joined(&words)) })
}

/// RFC 6750: an API that does not take a token says 401; anything else that
/// is no fault of its own means that the token was taken.
async fn show(upstream: &Upstream, settings: &Settings, secret: &SourceCredential) -> Result<(), UpstreamError> {
    let origin = origin_of(settings.api_url()).ok_or(UpstreamError::StoredSettings)?;
    if upstream.outbound.check_endpoint(&origin).is_err() {
        return Err(unsupported(
            "name the API's host in [outbound] allowed_endpoints, so that the token can be shown to it, or register \
             with --skip-verify",
        ));
    }
    let authorization = format!("Bearer {}", text(secret, ACCESS_TOKEN)?);
    let headers = vec![("authorization".to_owned(), authorization)];
    let call = Call { method: "GET", url: settings.api_url().to_owned(), headers, body: Vec::new() };
    let answer = upstream.outbound.call(call).await.map_err(unanswered)?;
    let doing = Doing { permissions: &[], remedy: "check the API's URL" };
    match answer.status {
        401 | 300..=399 | 429 | 500..=599 => Err(doing.refused(answer.status, None, answer.retry_after)),
        _ => Ok(()),
    }
}

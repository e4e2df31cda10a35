//! Who a source credential is and what it reaches. Each resource type is
//! listed by itself, in parallel and with its own deadline: a slow one hides
//! no quick one.

use crate::connectors::search;
use crate::connectors::{CLOUD_ACCEPTED, ListAsk, Upstream, UpstreamError, Verified};
use crate::domain::{Reach, ResourceTypeName, Timestamp};
use crate::sealing::SourceCredential;

use super::claims::Claims;
use super::ids;
use super::settings::{Settings, Way};
use super::upstream_entra::Asker;
use super::upstream_list::{LeftOut, Sought};
use super::upstream_secret::{Source, source};

/// Pages asked for one answer.
const PAGES_MAX: usize = 20;
/// Every resource type.
const TYPES: [&str; 4] = [ids::GENERIC, ids::BLOB_CONTAINER, ids::KUBERNETES_CLUSTER, ids::DOCKER_REGISTRY];

/// See `ConnectorType::verify`.
pub async fn verify(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    focus: &ListAsk,
) -> Result<Verified, UpstreamError> {
    let source = source(upstream, settings, secret)?;
    let asker = Asker { upstream, settings, source: &source, secret_expires_at: None };
    let identity = identity(&asker).await?;
    let reach = reach(&asker, focus).await;
    Ok(Verified { identity, reach, reason: CLOUD_ACCEPTED })
}

/// See `ConnectorType::list_resources`.
pub async fn list(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    ask: &ListAsk,
) -> Result<Vec<Reach>, UpstreamError> {
    let source = source(upstream, settings, secret)?;
    let asker = Asker { upstream, settings, source: &source, secret_expires_at: None };
    Ok(reach(&asker, ask).await)
}

/// Who a token of this source says that it is of.
async fn identity(asker: &Asker<'_>) -> Result<String, UpstreamError> {
    let (settings, now) = (asker.settings, asker.upstream.clock.now());
    let claims = match asker.source {
        // Whatever its audience: it is asked for nothing.
        Source::HandedIn(text) => {
            let refused = UpstreamError::CredentialRefused { code: "unreadable".to_owned() };
            let claims = Claims::read(text.reveal()).ok_or(refused)?;
            if claims.expires_at().is_none_or(|end: Timestamp| end <= now) {
                return Err(UpstreamError::Expired);
            }
            Some(claims)
        }
        Source::Secret(_) | Source::Certificate(_) | Source::Federated | Source::Machine => {
            let token = asker.token(settings.place().cloud.management()).await?;
            Claims::read(token.text.reveal())
        }
    };
    let own = match settings.way() {
        Way::Application { client_id, .. } => Some(client_id),
        Way::Machine { client_id } => client_id,
        Way::HandedIn => None,
    };
    let claims = claims.as_ref();
    let application = claims.and_then(Claims::application).or(own).unwrap_or("unknown");
    let principal = claims.and_then(Claims::principal).map_or_else(String::new, |oid| format!(", principal {oid}"));
    let tenant = claims.and_then(Claims::tenant).or_else(|| settings.tenant()).unwrap_or("unknown");
    Ok(format!("application {application}{principal}, tenant {tenant}"))
}

async fn reach(asker: &Asker<'_>, ask: &ListAsk) -> Vec<Reach> {
    search::reach_each(TYPES, ask, |name| reach_of(asker, ask, name)).await
}

async fn reach_of(asker: &Asker<'_>, ask: &ListAsk, resource_type: &'static str) -> Option<Reach> {
    let name = ResourceTypeName::parse(resource_type).ok()?;
    let search = Sought { asker, resource_type: &name, left_out: LeftOut::default() };
    let reach = search::reach_of(&search, name.clone(), ask, PAGES_MAX).await;
    Some(search::beside(reach, search.left_out.into_words()))
}

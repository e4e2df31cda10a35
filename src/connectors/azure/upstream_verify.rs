//! Who a source credential is and what it reaches. Each resource type is
//! listed by itself, in parallel and with its own deadline: a slow one hides
//! no quick one.

use std::time::Duration;

use crate::connectors::{ListAsk, Upstream, UpstreamError, Verified};
use crate::domain::{Reach, ResourceId, ResourceTypeName, Timestamp};
use crate::sealing::SourceCredential;

use super::claims::Claims;
use super::ids;
use super::settings::{Settings, Way};
use super::upstream_entra::Asker;
use super::upstream_list::{Page, Search};
use super::upstream_secret::{Source, source};

/// For all pages of one type.
const LIST_DEADLINE: Duration = Duration::from_secs(15);
/// Ids of one type in one answer.
const IDS_MAX: usize = 1000;
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
    Ok(Verified { identity, reach })
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
    let one = |resource_type| async move {
        let wanted = ask.resource_type.as_ref().is_none_or(|wanted| wanted.as_str() == resource_type);
        if wanted { reach_of(asker, ask, resource_type).await } else { None }
    };
    let [generic, containers, clusters, registries] = TYPES;
    let all = tokio::join!(one(generic), one(containers), one(clusters), one(registries));
    [all.0, all.1, all.2, all.3].into_iter().flatten().collect()
}

/// What was found so far, whatever ends the search.
#[derive(Default)]
struct Found {
    ids: Vec<ResourceId>,
    next: Option<String>,
}

async fn reach_of(asker: &Asker<'_>, ask: &ListAsk, resource_type: &'static str) -> Option<Reach> {
    let name = ResourceTypeName::parse(resource_type).ok()?;
    let mut found = Found::default();
    let search = Search { asker, resource_type: &name };
    let outcome = tokio::time::timeout(LIST_DEADLINE, run(&search, ask, &mut found)).await;
    let error = outcome.unwrap_or(Err(UpstreamError::DeadlineExceeded)).err();
    let (missing, remedy) = match &error {
        Some(UpstreamError::Denied { missing, remedy, .. }) => (missing.clone(), Some(remedy.clone())),
        Some(UpstreamError::Rejected { remedy, .. }) => (Vec::new(), Some(remedy.clone())),
        Some(_) | None => (Vec::new(), None),
    };
    Some(Reach {
        resource_type: name,
        resource_ids: found.ids,
        error: error.map(|error| error.to_string()),
        missing_permissions: missing,
        remedy,
        next_page: found.next,
    })
}

/// One resource by itself, so that a connector that is for it alone needs no
/// right to list its neighbours; or the list, page by page.
async fn run(search: &Search<'_>, ask: &ListAsk, found: &mut Found) -> Result<(), UpstreamError> {
    if let Some(resource) = &ask.resource {
        search.look(resource).await?;
        found.ids.push(resource.clone());
        return Ok(());
    }
    let limit = usize::try_from(ask.limit).unwrap_or(IDS_MAX).clamp(1, IDS_MAX);
    let (mut token, after) = match ask.page.as_deref().and_then(Page::parse) {
        Some(Page::Token(token)) => (Some(token.to_owned()), None),
        Some(Page::After(id)) => (None, Some(id)),
        None => (None, None),
    };
    for _ in 0..PAGES_MAX {
        let room = limit.saturating_sub(found.ids.len());
        let (mut ids, next) = search.page(room, token.as_deref()).await?;
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| after.is_none_or(|after| id.as_str() > after));
        let cut = ids.len() > room;
        ids.truncate(room);
        found.ids.extend(ids);
        found.next = match found.ids.last() {
            Some(last) if cut => Some(format!("a:{last}")),
            Some(_) | None => next.as_ref().map(|token| format!("t:{token}")),
        };
        if cut || next.is_none() || found.ids.len() >= limit {
            return Ok(());
        }
        token = next;
    }
    Ok(())
}

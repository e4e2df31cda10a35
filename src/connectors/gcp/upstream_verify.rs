//! Who a source credential is and what it reaches. Each resource type is
//! listed by itself, in parallel and with its own deadline: a slow one hides
//! no quick one.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::connectors::{Doing, ListAsk, Upstream, UpstreamError, Verified};
use crate::domain::{Reach, ResourceId, ResourceTypeName, Ttl};
use crate::sealing::SourceCredential;

use super::errors;
use super::ids::{self, Target};
use super::place::{Place, Service};
use super::scope::CLOUD_PLATFORM;
use super::settings::{HOUR, Settings, Way};
use super::upstream_source::{Source, Sourcing};
use super::{upstream_container, upstream_registry, upstream_storage, upstream_tokens};

/// Ids of one type in one answer.
const IDS_MAX: usize = 1000;
/// Pages asked for one answer: Artifact Registry has one for each location.
const PAGES_MAX: usize = 100;
/// For all pages of one type.
const LIST_DEADLINE: Duration = Duration::from_secs(15);
/// For tokens that only look: the shortest that every method mints.
const LOOKING: Ttl = Ttl::seconds(300);
/// Every resource type.
const TYPES: [&str; 4] = [ids::GENERIC, ids::GCS_BUCKET, ids::KUBERNETES_CLUSTER, ids::DOCKER_REGISTRY];

const NAMING: Doing = Doing {
    permissions: &["resourcemanager.projects.get"],
    remedy: "grant roles/browser on the project to the identity, or check project_id",
};

/// See `ConnectorType::verify`.
pub async fn verify(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    focus: &ListAsk,
) -> Result<Verified, UpstreamError> {
    let source = looking(upstream, settings, secret).await?;
    let identity = match settings.way() {
        Way::User | Way::HandedIn => named(upstream, settings, &source).await?,
        Way::Key | Way::Impersonation(_) | Way::External(_) | Way::Implicit => source.shown_as.clone(),
    };
    Ok(Verified { identity, reach: reach(upstream, settings, &source, focus).await })
}

/// See `ConnectorType::list_resources`.
pub async fn list(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    ask: &ListAsk,
) -> Result<Vec<Reach>, UpstreamError> {
    let source = looking(upstream, settings, secret).await?;
    Ok(reach(upstream, settings, &source, ask).await)
}

/// A token of the identity, which never leaves. A handed-in token's end is not
/// known here: Google says it.
async fn looking(upstream: &Upstream, settings: &Settings, secret: &SourceCredential) -> Result<Source, UpstreamError> {
    let hour = Duration::from_secs(u64::from(HOUR));
    let secret_expires_at = Some(upstream.clock.now().plus(hour));
    // A person's e-mail is seen with all scopes of the login only.
    let scopes = if settings.way() == Way::User { &[][..] } else { &[CLOUD_PLATFORM] };
    Sourcing { upstream, settings, secret, secret_expires_at }.access(scopes, LOOKING).await
}

/// A person, as the token's own scopes let it be known.
async fn named(upstream: &Upstream, settings: &Settings, source: &Source) -> Result<String, UpstreamError> {
    let known = upstream_tokens::introspected(upstream, &settings.place(), &source.access.token).await?;
    let client = || known.client.map(|client| format!("a token of the client {client}"));
    Ok(known.email.or_else(client).unwrap_or_else(|| source.shown_as.clone()))
}

async fn reach(upstream: &Upstream, settings: &Settings, source: &Source, ask: &ListAsk) -> Vec<Reach> {
    let one = |resource_type| async move {
        let wanted = ask.resource_type.as_ref().is_none_or(|wanted| wanted.as_str() == resource_type);
        if wanted { reach_of(upstream, settings, source, ask, resource_type).await } else { None }
    };
    let [generic, buckets, clusters, registries] = TYPES;
    let all = tokio::join!(one(generic), one(buckets), one(clusters), one(registries));
    [all.0, all.1, all.2, all.3].into_iter().flatten().collect()
}

/// What was found so far, whatever ends the search.
#[derive(Default)]
struct Found {
    ids: Vec<ResourceId>,
    next: Option<String>,
}

async fn reach_of(
    upstream: &Upstream,
    settings: &Settings,
    source: &Source,
    ask: &ListAsk,
    resource_type: &'static str,
) -> Option<Reach> {
    let name = ResourceTypeName::parse(resource_type).ok()?;
    let mut found = Found::default();
    let token = source.access.token.reveal();
    let search =
        Search { upstream, place: settings.place(), token, resource_type: &name, ask, locations: OnceCell::new() };
    let outcome = tokio::time::timeout(LIST_DEADLINE, search.run(&mut found)).await;
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

struct Search<'a> {
    upstream: &'a Upstream,
    place: Place<'a>,
    token: &'a str,
    resource_type: &'a ResourceTypeName,
    ask: &'a ListAsk,
    locations: OnceCell<Vec<String>>,
}

/// A page token of ours: the cloud's own, or the last id of an answer that we
/// cut because the cloud knows no pages.
enum Page<'a> {
    Token(&'a str),
    After(&'a str),
}

impl<'a> Page<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        text.strip_prefix("t:").map(Self::Token).or_else(|| text.strip_prefix("a:").map(Self::After))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Project {
    project_id: String,
    lifecycle_state: Option<String>,
}

impl Search<'_> {
    async fn run(&self, found: &mut Found) -> Result<(), UpstreamError> {
        if let Some(resource) = &self.ask.resource {
            self.look(resource).await?;
            found.ids.push(resource.clone());
            return Ok(());
        }
        self.list(found).await
    }

    /// One resource by itself: a connector that is for it alone needs no right
    /// to list its neighbours.
    async fn look(&self, resource: &ResourceId) -> Result<(), UpstreamError> {
        let (upstream, place, token) = (self.upstream, &self.place, self.token);
        let target = Target::parse(self.resource_type.as_str(), resource.as_str());
        match target.ok_or(UpstreamError::StoredSettings)? {
            Target::Generic { .. } => self.project().await.map(drop),
            Target::Bucket { bucket, prefix } => {
                upstream_storage::look(upstream, place, token, &bucket, prefix.as_deref()).await
            }
            Target::Cluster { location, cluster } => {
                upstream_container::address(upstream, place, token, (&location, &cluster)).await.map(drop)
            }
            Target::Repository { location, repository, .. } => {
                upstream_registry::look(upstream, place, token, &location, &repository).await
            }
            Target::Legacy { host, location, .. } => {
                upstream_registry::look(upstream, place, token, location, host).await
            }
        }
    }

    async fn list(&self, found: &mut Found) -> Result<(), UpstreamError> {
        let limit = usize::try_from(self.ask.limit).unwrap_or(IDS_MAX).clamp(1, IDS_MAX);
        let page = self.ask.page.as_deref().and_then(Page::parse);
        let (mut token, after) = match page {
            Some(Page::Token(token)) => (Some(token.to_owned()), None),
            Some(Page::After(id)) => (None, Some(id)),
            None => (None, None),
        };
        for _ in 0..PAGES_MAX {
            let room = limit.saturating_sub(found.ids.len());
            let (names, next) = self.page(room, token.as_deref()).await?;
            let mut ids: Vec<ResourceId> = names.iter().filter_map(|name| self.canonical(name)).collect();
            ids.sort_unstable();
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

    async fn page(&self, room: usize, page: Option<&str>) -> Result<(Vec<String>, Option<String>), UpstreamError> {
        let (upstream, place, token) = (self.upstream, &self.place, self.token);
        match self.resource_type.as_str() {
            ids::GCS_BUCKET => upstream_storage::buckets(upstream, place, token, room, page).await,
            ids::KUBERNETES_CLUSTER => Ok((upstream_container::clusters(upstream, place, token).await?, None)),
            ids::DOCKER_REGISTRY => self.repositories(page).await,
            _ => Ok((vec![self.project().await?], None)),
        }
    }

    /// A page is `LOCATION`, or `LOCATION|TOKEN` for a later one of it.
    async fn repositories(&self, page: Option<&str>) -> Result<(Vec<String>, Option<String>), UpstreamError> {
        let (upstream, place, token) = (self.upstream, &self.place, self.token);
        let all = self.locations.get_or_try_init(|| upstream_registry::locations(upstream, place, token)).await?;
        let (from, page) =
            match page.map(|page| page.split_once('|').map_or((page, None), |(at, page)| (at, Some(page)))) {
                Some((from, page)) => (from, page),
                None => ("", None),
            };
        let mut rest = all.iter().skip_while(|location| location.as_str() < from);
        let Some(here) = rest.next() else { return Ok((Vec::new(), None)) };
        let (ids, next) = upstream_registry::repositories(upstream, place, token, here, page).await?;
        let next = next.map(|next| format!("{here}|{next}")).or_else(|| rest.next().cloned());
        Ok((ids, next))
    }

    async fn project(&self) -> Result<String, UpstreamError> {
        let url = self.place.url(Service::ResourceManager, &format!("/v1/projects/{}", self.place.project));
        let found: Project = errors::ask(self.upstream, errors::get(url, self.token), NAMING).await?;
        let active = found.lifecycle_state.is_none_or(|state| state == "ACTIVE");
        if active && found.project_id == self.place.project {
            Ok(found.project_id)
        } else {
            let remedy = "the project is not the connector's, or is being deleted".to_owned();
            Err(UpstreamError::Rejected { code: "PROJECT".to_owned(), remedy })
        }
    }

    /// A cloud's name that is no id of ours is left out: nobody could ask for
    /// it either.
    fn canonical(&self, name: &str) -> Option<ResourceId> {
        let id = ids::canonical(&self.place, self.resource_type, Some(name)).ok()?;
        Target::parse(self.resource_type.as_str(), id.as_str()).map(|_| id)
    }
}

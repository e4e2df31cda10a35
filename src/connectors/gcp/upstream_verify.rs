//! Who a source credential is and what it reaches. Each resource type is
//! listed by itself, in parallel and with its own deadline: a slow one hides
//! no quick one.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::connectors::search::{self, Listed, Search};
use crate::connectors::{CLOUD_ACCEPTED, Doing, ListAsk, Upstream, UpstreamError, Verified};
use crate::domain::{Reach, ResourceId, ResourceTypeName, Ttl};
use crate::sealing::SourceCredential;

use super::errors;
use super::ids::{self, Target};
use super::place::{Place, Service};
use super::scope::CLOUD_PLATFORM;
use super::settings::{HOUR, Settings, Way};
use super::upstream_source::{Source, Sourcing};
use super::{upstream_container, upstream_registry, upstream_storage, upstream_tokens};

/// Pages asked for one answer: Artifact Registry has one for each location.
const PAGES_MAX: usize = 100;
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
    Ok(Verified { identity, reach: reach(upstream, settings, &source, focus).await, reason: CLOUD_ACCEPTED })
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
    search::reach_each(TYPES, ask, |name| reach_of(upstream, settings, source, ask, name)).await
}

async fn reach_of(
    upstream: &Upstream,
    settings: &Settings,
    source: &Source,
    ask: &ListAsk,
    resource_type: &'static str,
) -> Option<Reach> {
    let name = ResourceTypeName::parse(resource_type).ok()?;
    let token = source.access.token.reveal();
    let search = Sought { upstream, place: settings.place(), token, resource_type: &name, locations: OnceCell::new() };
    Some(search::reach_of(&search, name.clone(), ask, PAGES_MAX).await)
}

/// The search of one type with one token.
struct Sought<'a> {
    upstream: &'a Upstream,
    place: Place<'a>,
    token: &'a str,
    resource_type: &'a ResourceTypeName,
    locations: OnceCell<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Project {
    project_id: String,
    lifecycle_state: Option<String>,
}

#[async_trait]
impl Search for Sought<'_> {
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

    async fn page(&self, room: usize, page: Option<&str>) -> Result<Listed, UpstreamError> {
        let (upstream, place, token) = (self.upstream, &self.place, self.token);
        let (names, next) = match self.resource_type.as_str() {
            ids::GCS_BUCKET => upstream_storage::buckets(upstream, place, token, room, page).await,
            ids::KUBERNETES_CLUSTER => Ok((upstream_container::clusters(upstream, place, token).await?, None)),
            ids::DOCKER_REGISTRY => self.repositories(page).await,
            _ => Ok((vec![self.project().await?], None)),
        }?;
        Ok((names.iter().filter_map(|name| self.canonical(name)).collect(), next))
    }
}

impl Sought<'_> {
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

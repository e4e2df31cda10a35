//! Who a source credential is and what it reaches. Each resource type is
//! listed by itself, in parallel and with its own deadline: a slow one hides
//! no quick one.

use std::time::Duration;

use aws_credential_types::Credentials;

use crate::connectors::{ListAsk, Upstream, UpstreamError, Verified};
use crate::domain::{Reach, ResourceId, ResourceTypeName, Ttl};
use crate::sealing::SourceCredential;

use super::attribution::Names;
use super::grants;
use super::ids::{self, Target};
use super::settings::{Settings, Way};
use super::upstream::{assume, own, source, vouched};
use super::upstream_sts::{SessionAsk, Sts};
use super::{upstream_ecr, upstream_eks, upstream_s3};

/// Ids of one type in one answer.
const IDS_MAX: usize = 1000;
/// Pages asked for one answer.
const PAGES_MAX: usize = 20;
/// For all pages of one type.
const LIST_DEADLINE: Duration = Duration::from_secs(15);
/// For sessions that only look.
const LOOKING: Ttl = Ttl::seconds(900);
/// Every resource type.
const TYPES: [&str; 4] = [ids::GENERIC, ids::S3_BUCKET, ids::KUBERNETES_CLUSTER, ids::DOCKER_REGISTRY];

/// See `ConnectorType::verify`.
pub async fn verify(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    focus: &ListAsk,
) -> Result<Verified, UpstreamError> {
    let place = settings.place();
    let who = async |credentials: &Credentials| Sts::new(upstream, &place, credentials).caller().await;
    let source = || source(upstream, settings, secret);
    let looking = async || looking(upstream, settings, secret).await;
    let (identity, credentials) = match settings.way() {
        Way::Role(_) => {
            let own = who(&source()?).await?;
            let credentials = looking().await?;
            (format!("{} assumed by {own}", who(&credentials).await?), credentials)
        }
        Way::WebIdentity(_) => {
            let credentials = looking().await?;
            (format!("{} assumed by web identity", who(&credentials).await?), credentials)
        }
        Way::Key | Way::Session | Way::Federation | Way::HandedIn => (who(&source()?).await?, looking().await?),
    };
    let reach = reach(upstream, settings, &credentials, focus).await;
    Ok(Verified { identity, reach })
}

/// See `ConnectorType::list_resources`.
pub async fn list(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    ask: &ListAsk,
) -> Result<Vec<Reach>, UpstreamError> {
    let credentials = looking(upstream, settings, secret).await?;
    Ok(reach(upstream, settings, &credentials, ask).await)
}

/// What to look with: a session of the role under the connector's own cap, or
/// under a policy of lists; without a role the source credential itself, or
/// its session where an MFA device may be what gives it rights.
async fn looking(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
) -> Result<Credentials, UpstreamError> {
    let source = || source(upstream, settings, secret);
    let policy = match (settings.policy(), settings.policy_arns()) {
        (Some(own), _) => Some(own.json()),
        (None, []) => Some(grants::listing(&settings.place()).json()),
        (None, _) => None,
    };
    let names = Names::verification();
    let policy_arns = settings.policy_arns();
    let ask = SessionAsk { policy: policy.as_deref(), policy_arns, ttl: LOOKING, names: &names };
    let session = match (settings.way(), settings.mfa_serial()) {
        (Way::Role(way), _) => assume(upstream, settings, &source()?, way, ask).await?,
        (Way::WebIdentity(way), _) => vouched(upstream, settings, way, ask).await?,
        (_, Some(_)) => own(upstream, settings, secret, &source()?, LOOKING).await?,
        (_, None) => return source(),
    };
    Ok(session.credentials)
}

async fn reach(upstream: &Upstream, settings: &Settings, credentials: &Credentials, ask: &ListAsk) -> Vec<Reach> {
    let one = |resource_type| async move {
        let wanted = ask.resource_type.as_ref().is_none_or(|wanted| wanted.as_str() == resource_type);
        if wanted { reach_of(upstream, settings, credentials, ask, resource_type).await } else { None }
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
    credentials: &Credentials,
    ask: &ListAsk,
    resource_type: &'static str,
) -> Option<Reach> {
    let name = ResourceTypeName::parse(resource_type).ok()?;
    let mut found = Found::default();
    let search = Search { upstream, settings, credentials, resource_type: &name, ask };
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
    settings: &'a Settings,
    credentials: &'a Credentials,
    resource_type: &'a ResourceTypeName,
    ask: &'a ListAsk,
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
        let (upstream, place, credentials) = (self.upstream, self.settings.place(), self.credentials);
        let target = Target::parse(self.resource_type.as_str(), resource.as_str());
        match target.ok_or(UpstreamError::StoredSettings)? {
            // Who the source credential is was asked already.
            Target::Generic { .. } => Ok(()),
            Target::Bucket { bucket, prefix } => {
                upstream_s3::look(upstream, &place, credentials, &bucket, prefix.as_deref()).await
            }
            Target::Cluster { cluster, .. } => {
                upstream_eks::address(upstream, &place, credentials, &cluster).await.map(drop)
            }
            Target::Registry { account, repository, .. } => {
                upstream_ecr::look(upstream, &place, credentials, &account, repository.as_deref()).await
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

    async fn page(&self, room: usize, token: Option<&str>) -> Result<(Vec<String>, Option<String>), UpstreamError> {
        let (upstream, place, credentials) = (self.upstream, self.settings.place(), self.credentials);
        match self.resource_type.as_str() {
            ids::S3_BUCKET => upstream_s3::buckets(upstream, &place, credentials, room, token).await,
            ids::KUBERNETES_CLUSTER => upstream_eks::clusters(upstream, &place, credentials, room, token).await,
            ids::DOCKER_REGISTRY => upstream_ecr::repositories(upstream, &place, credentials, room, token).await,
            _ => Ok((vec![place.region.to_owned()], None)),
        }
    }

    /// A cloud's name that is no id of ours, such as a bucket from before the
    /// naming rules, is left out: nobody could ask for it either.
    fn canonical(&self, name: &str) -> Option<ResourceId> {
        let id = ids::canonical(self.settings, self.resource_type, Some(name)).ok()?;
        Target::parse(self.resource_type.as_str(), id.as_str()).map(|_| id)
    }
}

//! Who a source credential is and what it reaches. Each resource type is
//! listed by itself, in parallel and with its own deadline: a slow one hides
//! no quick one.

use async_trait::async_trait;
use aws_credential_types::Credentials;

use crate::connectors::search::{self, Listed, Search};
use crate::connectors::{CLOUD_ACCEPTED, ListAsk, Upstream, UpstreamError, Verified};
use crate::domain::{Reach, ResourceId, ResourceTypeName, Ttl};
use crate::sealing::SourceCredential;

use super::attribution::Names;
use super::grants;
use super::ids::{self, Target};
use super::settings::{Settings, Way};
use super::upstream::{assume, own, source, vouched};
use super::upstream_sts::{SessionAsk, Sts};
use super::{upstream_ecr, upstream_eks, upstream_s3};

/// Pages asked for one answer.
const PAGES_MAX: usize = 20;
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
    Ok(Verified { identity, reach, reason: CLOUD_ACCEPTED })
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
    search::reach_each(TYPES, ask, |name| reach_of(upstream, settings, credentials, ask, name)).await
}

async fn reach_of(
    upstream: &Upstream,
    settings: &Settings,
    credentials: &Credentials,
    ask: &ListAsk,
    resource_type: &'static str,
) -> Option<Reach> {
    let name = ResourceTypeName::parse(resource_type).ok()?;
    let search = Sought { upstream, settings, credentials, resource_type: &name };
    Some(search::reach_of(&search, name.clone(), ask, PAGES_MAX).await)
}

/// The search of one type with one credential.
struct Sought<'a> {
    upstream: &'a Upstream,
    settings: &'a Settings,
    credentials: &'a Credentials,
    resource_type: &'a ResourceTypeName,
}

#[async_trait]
impl Search for Sought<'_> {
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

    async fn page(&self, room: usize, token: Option<&str>) -> Result<Listed, UpstreamError> {
        let (upstream, place, credentials) = (self.upstream, self.settings.place(), self.credentials);
        let (names, next) = match self.resource_type.as_str() {
            ids::S3_BUCKET => upstream_s3::buckets(upstream, &place, credentials, room, token).await,
            ids::KUBERNETES_CLUSTER => upstream_eks::clusters(upstream, &place, credentials, room, token).await,
            ids::DOCKER_REGISTRY => upstream_ecr::repositories(upstream, &place, credentials, room, token).await,
            _ => Ok((vec![place.region.to_owned()], None)),
        }?;
        Ok((names.iter().filter_map(|name| self.canonical(name)).collect(), next))
    }
}

impl Sought<'_> {
    /// A cloud's name that is no id of ours, such as a bucket from before the
    /// naming rules, is left out: nobody could ask for it either.
    fn canonical(&self, name: &str) -> Option<ResourceId> {
        let id = ids::canonical(self.settings, self.resource_type, Some(name)).ok()?;
        Target::parse(self.resource_type.as_str(), id.as_str()).map(|_| id)
    }
}

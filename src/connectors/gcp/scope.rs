//! A narrowed ask: which OAuth scopes and which boundary Google will be asked
//! for, decided without asking it.

use serde::{Deserialize, Serialize};

use crate::connectors::Ask;
use crate::domain::{AccessLevel, Downscope, EnforcedScope, FieldError};

use super::boundary;
use super::ids::Target;
use super::settings::{Settings, Way};

/// Everything that the identity may do.
pub const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Everything that it may look at.
const READ_ONLY: &str = "https://www.googleapis.com/auth/cloud-platform.read-only";
/// What it may read of Cloud Storage and of registries: with this a virtual
/// machine pulls, unless it was given more.
/// <https://cloud.google.com/artifact-registry/docs/integrate-compute>
const STORAGE_READ: &str = "https://www.googleapis.com/auth/devstorage.read_only";
/// And what it may write there: with this one it pushes.
const STORAGE_WRITE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// Clusters know a service account by its e-mail only with this.
const EMAIL: &str = "https://www.googleapis.com/auth/userinfo.email";

/// All that a mint needs to know, and the key of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// For example `gcs-bucket`.
    pub resource_type: String,
    /// Canonical.
    pub resource: String,
    /// The access level.
    pub access: AccessLevel,
    /// The OAuth scopes to ask for; none where the source decides them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oauth_scopes: Vec<String>,
    /// The access boundary as it is sent; only for buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
}

impl Scope {
    /// The resource, taken apart.
    pub fn target(&self) -> Option<Target> {
        Target::parse(&self.resource_type, &self.resource)
    }
}

/// Narrows an ask; see `ConnectorType::narrow`.
pub fn narrow(settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
    let resource_type = ask.resource_type.as_str();
    let target = Target::parse(resource_type, ask.resource.as_str())
        .ok_or_else(|| FieldError::new("resource_id", "is not a canonical id of this resource type"))?;
    let way = settings.way();
    if matches!(target, Target::Generic { .. }) && ask.access != AccessLevel::Admin && !narrows(way, ask.access) {
        let problem = match way.takes_scopes() {
            true => "gcp-generic has read and admin only: Google has no scope between reading and everything",
            false => "gcp-generic has admin only with this auth method: its scopes cannot be narrowed",
        };
        return Err(FieldError::new("access", problem));
    }
    let boundary = match &target {
        Target::Bucket { bucket, prefix } => {
            let too_long = || FieldError::new("resource_id", "is too long for an access boundary");
            Some(boundary::of_bucket(bucket, prefix.as_deref(), ask.access).ok_or_else(too_long)?)
        }
        Target::Generic { .. } | Target::Cluster { .. } | Target::Repository { .. } | Target::Legacy { .. } => None,
    };
    Ok(Scope {
        resource_type: resource_type.to_owned(),
        resource: ask.resource.as_str().to_owned(),
        access: ask.access,
        oauth_scopes: oauth_scopes(way, &target, ask.access).into_iter().map(str::to_owned).collect(),
        boundary,
    })
}

/// Whether the OAuth scope of this level is narrower than everything.
fn narrows(way: Way<'_>, access: AccessLevel) -> bool {
    way.takes_scopes() && access == AccessLevel::Read
}

fn oauth_scopes(way: Way<'_>, target: &Target, access: AccessLevel) -> Vec<&'static str> {
    if !way.takes_scopes() {
        // A refresh token has exactly the scopes that it was granted with, and
        // this is the one that every login of Google's tools has.
        return if way == Way::User { vec![CLOUD_PLATFORM] } else { Vec::new() };
    }
    match target {
        // A boundary is only taken for a token of this scope.
        Target::Bucket { .. } => vec![CLOUD_PLATFORM],
        // No narrower one is taken for clusters: neither by the API that
        // says where they are nor by the clusters.
        Target::Cluster { .. } => vec![CLOUD_PLATFORM, EMAIL],
        Target::Generic { .. } => vec![if access == AccessLevel::Read { READ_ONLY } else { CLOUD_PLATFORM }],
        // Nothing is documented to delete by a narrower one.
        Target::Repository { .. } | Target::Legacy { .. } => vec![match access {
            AccessLevel::Read => STORAGE_READ,
            AccessLevel::Write => STORAGE_WRITE,
            AccessLevel::Admin => CLOUD_PLATFORM,
        }],
    }
}

/// What the cloud will enforce; see `ConnectorType::enforced`.
pub fn enforced(settings: &Settings, scope: &Scope) -> EnforcedScope {
    let Scope { resource, access, .. } = scope;
    let rights = rights(settings, scope);
    let (words, downscope) = match scope.target() {
        Some(Target::Bucket { prefix, .. }) => {
            let downscope = if prefix.is_some() { Downscope::Prefix } else { Downscope::Resource };
            let role = boundary::role(*access);
            let note = "the bucket must have uniform bucket-level access";
            (format!("{resource} {access}: at most {role}, by an access boundary; {note}"), downscope)
        }
        Some(Target::Cluster { .. }) => {
            let note = "whose RBAC and IAM decide the rest; the token is not narrowed";
            (format!("{resource}: signs in to this cluster, {note}: {rights}"), Downscope::None)
        }
        Some(Target::Repository { .. } | Target::Legacy { .. }) => {
            (format!("{resource}: a login that is not narrowed to it: {rights}"), Downscope::None)
        }
        Some(Target::Generic { .. }) | None => {
            (format!("gcp, {resource}: {rights}; not narrowed to a resource"), Downscope::None)
        }
    };
    EnforcedScope { words, downscope }
}

/// What an unbounded token may do.
fn rights(settings: &Settings, scope: &Scope) -> String {
    let whose = match settings.way() {
        Way::Key => "the service account".to_owned(),
        Way::Impersonation(target) | Way::External(Some(target)) => target.email.to_owned(),
        Way::User => "the user".to_owned(),
        Way::External(None) => "the federated principal".to_owned(),
        Way::HandedIn => "the handed-in token".to_owned(),
        Way::Implicit => "the machine's service account".to_owned(),
    };
    match scope.oauth_scopes.first().map(String::as_str) {
        Some(READ_ONLY) => format!("everything {whose} may look at (scope cloud-platform.read-only)"),
        Some(STORAGE_READ) => {
            format!("everything {whose} may read in registries and Cloud Storage (scope devstorage.read_only)")
        }
        Some(STORAGE_WRITE) => {
            format!(
                "everything {whose} may read and write in registries and Cloud Storage (scope devstorage.read_write)"
            )
        }
        Some(_) | None => format!("everything {whose} may do"),
    }
}

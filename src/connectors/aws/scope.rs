//! A narrowed ask: what will be asked of STS, decided without asking it.

use serde::{Deserialize, Serialize};

use crate::connectors::Ask;
use crate::domain::{AccessLevel, Downscope, EnforcedScope, FieldError};

use super::grants;
use super::ids::Target;
use super::policy::Policy;
use super::settings::{Settings, Way};

/// All that a mint needs to know, and the key of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// For example `s3-bucket`.
    pub resource_type: String,
    /// Canonical.
    pub resource: String,
    /// The access level.
    pub access: AccessLevel,
    /// The session policy as it is sent; none leaves what the connector has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Managed session policies; only for `aws-generic`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_arns: Vec<String>,
}

impl Scope {
    /// The resource, taken apart.
    pub fn target(&self) -> Option<Target> {
        Target::parse(&self.resource_type, &self.resource)
    }

    /// Whether the session that is made cannot be narrowed and leaves.
    pub fn unscoped(&self, settings: &Settings) -> bool {
        let leaves = matches!(self.target(), Some(Target::Bucket { .. } | Target::Registry { .. }));
        leaves && settings.way() == Way::HandedIn
    }
}

/// Narrows an ask; see `ConnectorType::narrow`.
pub fn narrow(settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
    let resource_type = ask.resource_type.as_str();
    let target = Target::parse(resource_type, ask.resource.as_str())
        .ok_or_else(|| FieldError::new("resource_id", "is not a canonical id of this resource type"))?;
    reachable(settings, &target)?;
    let (policy, policy_arns) = match grants::policy(&settings.place(), &target, ask.access) {
        None => generic(settings, ask.access)?,
        Some(narrow) => (session_policy(settings, &target, narrow)?, Vec::new()),
    };
    let policy = policy.map(|policy| policy.json());
    let resource = ask.resource.as_str().to_owned();
    Ok(Scope { resource_type: resource_type.to_owned(), resource, access: ask.access, policy, policy_arns })
}

/// Whether this auth method can serve this resource at all.
fn reachable(settings: &Settings, target: &Target) -> Result<(), FieldError> {
    let problem = match (settings.way(), target) {
        (Way::Session, Target::Bucket { .. } | Target::Registry { .. }) => {
            "GetSessionToken cannot narrow a session to one resource; use iam-role, federation-token or secret-key"
        }
        (Way::Federation, Target::Cluster { .. }) => {
            "a cluster cannot map federated names, which differ for each issuance; use iam-role or secret-key"
        }
        (Way::Role(_) | Way::WebIdentity(_) | Way::Key | Way::HandedIn, _)
        | (Way::Session | Way::Federation, Target::Generic { .. })
        | (Way::Session, Target::Cluster { .. })
        | (Way::Federation, Target::Bucket { .. } | Target::Registry { .. }) => return Ok(()),
    };
    Err(FieldError::new("resource_type", problem))
}

/// The policy of `aws-generic`: the connector's own, or none.
fn generic(settings: &Settings, access: AccessLevel) -> Result<(Option<Policy>, Vec<String>), FieldError> {
    let (policy, arns) = (settings.policy(), settings.policy_arns());
    if access != AccessLevel::Admin && policy.is_none() {
        let problem = "aws-generic has admin only, unless the connector's settings name a policy";
        return Err(FieldError::new("access", problem));
    }
    if settings.way() == Way::Federation && policy.is_none() && arns.is_empty() {
        let problem = "a federated session with no policy may do nothing; name a policy or policy_arns";
        return Err(FieldError::new("resource_type", problem));
    }
    Ok((policy.cloned(), arns.to_vec()))
}

/// The narrow policy within the connector's own.
fn session_policy(settings: &Settings, target: &Target, narrow: Policy) -> Result<Option<Policy>, FieldError> {
    // Only a signed URL leaves, and that may do nothing but say who signed it.
    if matches!(target, Target::Cluster { .. }) || settings.way() == Way::HandedIn {
        return Ok((settings.way() != Way::HandedIn).then_some(narrow));
    }
    if !settings.policy_arns().is_empty() {
        // AWS unites managed and inline session policies: sending both would
        // widen, and leaving the managed ones out would drop the cap.
        let problem = "policy_arns cannot be intersected with one resource; name the cap as policy instead";
        return Err(FieldError::new("resource_type", problem));
    }
    let Some(cap) = settings.policy() else {
        return Ok(Some(narrow));
    };
    let within = narrow.within(cap);
    within.map(Some).map_err(|why| FieldError::new("resource_id", format!("the connector's own policy: {why}")))
}

/// What the cloud will enforce; see `ConnectorType::enforced`.
pub fn enforced(settings: &Settings, scope: &Scope) -> EnforcedScope {
    let Scope { resource, access, .. } = scope;
    let place = settings.place();
    let (words, downscope) = match scope.target() {
        _ if scope.unscoped(settings) => {
            (format!("{resource}: the handed-in session as it is, not narrowed"), Downscope::None)
        }
        Some(Target::Bucket { prefix, .. }) => {
            let transport = if place.plain_http() { ", over plain http" } else { ", over TLS only" };
            let downscope = if prefix.is_some() { Downscope::Prefix } else { Downscope::Resource };
            (format!("{resource} {access}{transport}"), downscope)
        }
        Some(Target::Cluster { .. }) => {
            (format!("{resource}: signs in to this cluster, whose RBAC decides the rest"), Downscope::Resource)
        }
        Some(Target::Registry { .. }) => {
            let note = "the login lives up to 12 h at the registry and dies with its session";
            (format!("{resource} {access}; {note}"), Downscope::Resource)
        }
        Some(Target::Generic { .. }) | None => (generic_words(scope, resource), Downscope::None),
    };
    EnforcedScope { words, downscope }
}

fn generic_words(scope: &Scope, region: &str) -> String {
    let cap = match (scope.policy.is_some(), scope.policy_arns.is_empty()) {
        (true, _) => "under the connector's own policy",
        (false, false) => "under the connector's managed policies",
        (false, true) => "everything the source identity may do",
    };
    format!("aws, {region}: {cap}; not narrowed to a resource")
}

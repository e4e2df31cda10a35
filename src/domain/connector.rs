//! Connectors: the stored record, its ceiling, and what verification found.
//! The source credential is not here: it is a sealed record of its own.

use serde::{Deserialize, Serialize};

use super::access_level::AccessLevel;
use super::clock::Timestamp;
use super::field_error::FieldError;
use super::ids::{ConnectorId, PrincipalId, ProjectId};
use super::labels::Labels;
use super::name::Name;
use super::pattern::Pattern;
use super::resource::{ResourceId, ResourceTypeName, word};
use super::ttl::Ttl;
use std::fmt;

word!(
    /// For example `aws`.
    ConnectorTypeName,
    "connector_type"
);
word!(
    /// For example `iam-role`.
    AuthMethodName,
    "auth_method"
);
word!(
    /// For example `aws_secret_access_key`.
    SecretFieldName,
    "secrets"
);

/// Grows by one with each change of a record; shown as the etag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// Of a record that was just made.
    pub const FIRST: Self = Self(1);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The ceiling of what a connector may mint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintPolicy {
    /// Empty means every resource the connector reaches.
    pub resource_patterns: Vec<Pattern>,
    /// The highest access level.
    pub access_max: AccessLevel,
    /// The longest lifetime.
    pub ttl_max: Option<Ttl>,
    /// Hand out credentials that only exist in long-lived form.
    pub allow_passthrough: bool,
    /// Share one minted credential among principals.
    pub shared: bool,
}

impl MintPolicy {
    /// Whether `resource` lies within the patterns.
    #[must_use]
    pub fn covers(&self, resource: &ResourceId) -> bool {
        self.resource_patterns.is_empty() || self.resource_patterns.iter().any(|p| p.matches(resource))
    }
}

impl Default for MintPolicy {
    fn default() -> Self {
        Self {
            resource_patterns: Vec::new(),
            access_max: AccessLevel::Write,
            ttl_max: None,
            allow_passthrough: false,
            shared: false,
        }
    }
}

/// The state of a connector's source credential at its cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationState {
    /// The cloud accepted it.
    Verified,
    /// Nobody asked the cloud.
    Unverified,
    /// The cloud refused it.
    Failing,
}

impl VerificationState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Failing => "failing",
        }
    }
}

/// Which resources of a type a connector reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The resource type.
    pub resource_type: ResourceTypeName,
    /// Canonical; at most 1,000.
    pub resource_ids: Vec<ResourceId>,
    /// Why the type could not be listed.
    pub error: Option<String>,
    /// By the cloud's own names.
    pub missing_permissions: Vec<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Where the next page of ids begins; opaque, of the connector type.
    pub next_page: Option<String>,
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The state.
    pub state: VerificationState,
    /// When it was looked at.
    pub checked_at: Timestamp,
    /// Why, in our own words.
    pub reason: String,
    /// Who the source credential is.
    pub identity: String,
    /// One entry for each resource type.
    pub reach: Vec<Reach>,
}

/// What is known of a source credential without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFacts {
    /// Which fields are set.
    pub fields: Vec<SecretFieldName>,
    /// Grows by one with each rotation.
    pub version: u64,
    /// The version that a person last handed in. What a cloud rotates by
    /// itself has the rights of that one: credentials minted since stay good.
    #[serde(default)]
    pub lineage: u64,
    /// When it was handed in.
    pub created_at: Timestamp,
    /// When it ends, if it does: the earlier of what was said of it and what
    /// it says of itself.
    // Invariant: not after `own_end`; `end_by` sets both.
    pub expires_at: Option<Timestamp>,
    /// When it ends by its own word: a certificate's or a token's. Kept,
    /// because nobody may say later that it lasts longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_end: Option<Timestamp>,
    /// How many seconds before its end it counts as ended, for clocks that
    /// differ and for what takes time on the way.
    #[serde(default, skip_serializing_if = "none_at_all")]
    pub skew_tolerance: u32,
    /// Truncated HMAC under a key of the project.
    pub fingerprint: String,
    /// The same of the id that its key has at the cloud, in whatever form the
    /// key was handed in. Only where the cloud has such keys, and not in
    /// records from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_fingerprint: Option<String>,
    /// A rotation at the cloud that is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<UnfinishedRotation>,
}

/// The longest skew tolerance: a day, in seconds.
pub const SKEW_TOLERANCE_MAX: u32 = 24 * 3600;

impl SecretFacts {
    /// From when on it counts as ended: its end, less the tolerance.
    #[must_use]
    pub fn usable_until(&self) -> Option<Timestamp> {
        let tolerance = i64::from(self.skew_tolerance).saturating_mul(1000);
        self.expires_at.map(|end| Timestamp::from_millis(end.millis().saturating_sub(tolerance)))
    }

    /// The end that somebody said, which the credential's own word did not cut.
    #[must_use]
    pub fn said_end(&self) -> Option<Timestamp> {
        self.expires_at.filter(|end| self.own_end != Some(*end))
    }

    /// Keeps the earlier of two ends: the one that was said, and its own.
    pub fn end_by(&mut self, said: Option<Timestamp>, own: Option<Timestamp>) {
        self.own_end = own;
        self.expires_at = [said, own].into_iter().flatten().min();
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn none_at_all(seconds: &u32) -> bool {
    *seconds == 0
}

/// A rotation at the cloud that is under way, or that stopped. The stored
/// source credential is one that works, however far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnfinishedRotation {
    /// How far it came.
    #[serde(flatten)]
    pub stage: RotationStage,
    /// Since when it stands there.
    pub since: Timestamp,
}

/// How far a rotation came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "stage")]
pub enum RotationStage {
    /// The cloud was asked for a key, and its answer is not written down:
    /// there may be a key that nobody holds.
    Asked,
    /// This key was made and is not stored: nobody holds it any more.
    Made {
        /// At the cloud; not secret.
        key_id: String,
    },
    /// What is stored is the new key; this old one is still to be deleted.
    Retiring {
        /// At the cloud; not secret.
        key_id: String,
    },
}

/// A connector, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connector {
    /// Names it for ever.
    pub id: ConnectorId,
    /// Its tenancy.
    pub project: ProjectId,
    /// Unique in the project.
    pub name: Name,
    /// For example `aws`.
    pub connector_type: ConnectorTypeName,
    /// For example `iam-role`.
    pub auth_method: AuthMethodName,
    /// Set on a multi-instance or single-instance connector.
    pub resource_type: Option<ResourceTypeName>,
    /// Set on a single-instance connector.
    // Invariant: only with `resource_type`; checked by `fix`.
    pub resource_id: Option<ResourceId>,
    /// Canonical JSON of the settings.
    pub settings: String,
    /// For people.
    pub description: String,
    /// For filters.
    pub labels: Labels,
    /// The ceiling.
    pub policy: MintPolicy,
    /// What verification found.
    pub verification: Verification,
    /// What is known of the source credential.
    pub secret: SecretFacts,
    /// Who registered it.
    pub created_by: PrincipalId,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub version: Version,
}

impl Connector {
    /// The resource type to serve when `asked` is wished for.
    ///
    /// # Errors
    /// When the connector is fixed to another type, or neither names one.
    pub fn resource_type_for(&self, asked: Option<&ResourceTypeName>) -> Result<ResourceTypeName, FieldError> {
        match (&self.resource_type, asked) {
            (Some(fixed), Some(asked)) if fixed != asked => {
                Err(FieldError::new("resource_type", format!("this connector serves {fixed} only")))
            }
            (Some(fixed), _) => Ok(fixed.clone()),
            (None, Some(asked)) => Ok(asked.clone()),
            (None, None) => Err(FieldError::new("resource_type", "name one: this connector serves several")),
        }
    }
}

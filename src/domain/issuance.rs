//! The record of a mint; never the credential.

use serde::{Deserialize, Serialize};

use super::access_level::AccessLevel;
use super::clock::Timestamp;
use super::ids::{ComponentId, ConnectorId, IssuanceId, PrincipalId, ProjectId, RunId};
use super::name::Name;
use super::resource::{ResourceId, ResourceTypeName};
use super::scope::{EnforcedScope, Revocable};

/// What became of an issuance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuanceState {
    /// Handed out; expires by itself.
    Active,
    /// No longer handed out; the cloud still honours it.
    Withdrawn,
    /// The cloud refuses it.
    Revoked,
}

/// The record of a mint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    /// Names it for ever.
    pub id: IssuanceId,
    /// Its tenancy.
    pub project: ProjectId,
    /// From which connector.
    pub connector: ConnectorId,
    /// The connector's name at that time.
    pub connector_name: Name,
    /// Through which component.
    pub component: Option<ComponentId>,
    /// For whom.
    pub principal: PrincipalId,
    /// The principal's name at that time.
    pub principal_name: Name,
    /// In which run of that principal's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<RunId>,
    /// The resource type.
    pub resource_type: ResourceTypeName,
    /// Canonical.
    pub resource_id: ResourceId,
    /// The access level.
    pub access: AccessLevel,
    /// What it is really narrowed to.
    pub enforced: EnforcedScope,
    /// What can be done about it.
    pub revocable: Revocable,
    /// It is the long-lived secret itself. Not in records from before it was
    /// recorded.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub passthrough: bool,
    /// Where it was minted, when its cloud can end a single one: the digest of
    /// the connector's destination at that time, in hex. A connector that leads
    /// elsewhere by now cannot end it. Not in records from before it was
    /// recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination: Option<String>,
    /// When it was minted.
    pub issued_at: Timestamp,
    /// When it really ends.
    pub expires_at: Timestamp,
    /// Truncated digest of the credential.
    pub fingerprint: String,
    /// What became of it.
    pub state: IssuanceState,
    /// When it was withdrawn or revoked.
    pub ended_at: Option<Timestamp>,
}

impl Issuance {
    /// The word for what it is at `now`.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> &'static str {
        match self.state {
            IssuanceState::Revoked => "revoked",
            IssuanceState::Active | IssuanceState::Withdrawn if self.expires_at <= now => "expired",
            IssuanceState::Withdrawn => "withdrawn",
            IssuanceState::Active => "active",
        }
    }
}

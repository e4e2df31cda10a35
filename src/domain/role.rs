//! Built-in roles, and bindings that give them to principals.
//! Which permissions a role has is `authz`'s to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::access_level::AccessLevel;
use super::clock::Timestamp;
use super::field_error::FieldError;
use super::ids::{BindingId, ComponentId, ConnectorId, PrincipalId, ProjectId};
use super::pattern::Pattern;
use super::ttl::Ttl;

/// A built-in role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Manages people, not secrets.
    Owner,
    /// Writes connectors; mints nothing for own use without a grant.
    PlatformEngineer,
    /// Links components and mints through them.
    DataScientist,
    /// Mints through the components it is bound to, nothing else.
    Runner,
    /// Reads the ledger and who may do what.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Owner, Self::PlatformEngineer, Self::DataScientist, Self::Runner, Self::Auditor];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::PlatformEngineer => "platform-engineer",
            Self::DataScientist => "data-scientist",
            Self::Runner => "runner",
            Self::Auditor => "auditor",
        }
    }

    /// Whether nobody may hold both, wherever either is bound: who gives roles
    /// writes no connectors.
    #[must_use]
    pub const fn goes_apart_from(self, other: Self) -> bool {
        matches!((self, other), (Self::Owner, Self::PlatformEngineer) | (Self::PlatformEngineer, Self::Owner))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = FieldError;
    // Exact only: a role that is normalised after a check is a way around it.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| FieldError::new("role", "one of owner, platform-engineer, data-scientist, runner, auditor"))
    }
}

/// Where a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "on", content = "id")]
pub enum BindingTarget {
    /// In the whole project.
    Project,
    /// On one connector.
    Connector(ConnectorId),
    /// On one component.
    Component(ComponentId),
}

/// What narrows a binding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Empty means all.
    pub resource_patterns: Vec<Pattern>,
    /// The highest access level.
    pub access_max: Option<AccessLevel>,
    /// The longest lifetime of a minted credential.
    pub ttl_max: Option<Ttl>,
    /// When the binding ends; no credential outlives it.
    pub expires_at: Option<Timestamp>,
}

/// A role given to a principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Names it for ever.
    pub id: BindingId,
    /// Its tenancy.
    pub project: ProjectId,
    /// Who holds it.
    pub principal: PrincipalId,
    /// Which role.
    pub role: Role,
    /// Where.
    pub target: BindingTarget,
    /// Under which conditions.
    pub conditions: Conditions,
    /// Who gave it; nobody for the first owner's.
    pub created_by: Option<PrincipalId>,
    /// When.
    pub created_at: Timestamp,
}

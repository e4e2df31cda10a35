//! Projects, and who acts in them.

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::ids::{PrincipalId, ProjectId};
use super::name::Name;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Names it for ever.
    pub id: ProjectId,
    /// Unique in the store.
    pub name: Name,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What kind of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program.
    ServiceAccount,
}

impl PrincipalKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ServiceAccount => "service-account",
        }
    }
}

/// A user or service account of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Names it for ever.
    pub id: PrincipalId,
    /// The project it belongs to; it acts in no other.
    pub project: ProjectId,
    /// Unique in the project.
    pub name: Name,
    /// User or service account.
    pub kind: PrincipalKind,
    /// For people.
    pub description: String,
    /// Who created it; nobody for the first owner.
    pub created_by: Option<PrincipalId>,
    /// When.
    pub created_at: Timestamp,
}

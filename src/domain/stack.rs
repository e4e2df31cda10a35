//! Stacks: named lists of components.

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::connector::Version;
use super::ids::{ComponentId, PrincipalId, ProjectId, StackId};
use super::labels::Labels;
use super::name::Name;

/// The most components of one stack.
pub const STACK_COMPONENTS_MAX: usize = 64;

/// A stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Names it for ever.
    pub id: StackId,
    /// Its tenancy.
    pub project: ProjectId,
    /// Unique in the project.
    pub name: Name,
    /// At most 64, each once.
    pub components: Vec<ComponentId>,
    /// For people.
    pub description: String,
    /// For filters.
    pub labels: Labels,
    /// Who registered it.
    pub created_by: PrincipalId,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub version: Version,
}

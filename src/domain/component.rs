//! Stack components and what they are linked to.

use serde::{Deserialize, Serialize};

use super::access_level::AccessLevel;
use super::clock::Timestamp;
use super::connector::{ConnectorTypeName, Version};
use super::ids::{ComponentId, ConnectorId, PrincipalId, ProjectId};
use super::labels::Labels;
use super::name::Name;
use super::resource::{ResourceId, ResourceTypeName};

/// What a component needs of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Only this connector type.
    pub connector_type: Option<ConnectorTypeName>,
    /// This resource type.
    pub resource_type: ResourceTypeName,
    /// The linked resource must lie within this one.
    pub resource_id: Option<ResourceId>,
}

/// The link to a connector and one of its resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentLink {
    /// The connector.
    pub connector: ConnectorId,
    /// The resource type.
    pub resource_type: ResourceTypeName,
    /// Canonical.
    pub resource_id: ResourceId,
    /// The highest level that may be asked for through this link.
    pub access_max: AccessLevel,
}

/// A stack component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Names it for ever.
    pub id: ComponentId,
    /// Its tenancy.
    pub project: ProjectId,
    /// Unique in the project.
    pub name: Name,
    /// For example `artifact-store`.
    pub component_type: Name,
    /// For example `s3`.
    pub flavor: Option<Name>,
    /// What it needs.
    pub requirement: Requirement,
    /// What it is linked to.
    pub link: Option<ComponentLink>,
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

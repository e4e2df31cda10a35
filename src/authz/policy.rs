//! The decision: total, pure, default deny.

use std::sync::Arc;

use crate::domain::{
    AccessLevel, Binding, ComponentId, ConnectorId, Principal, ProjectId, ResourceId, Role, Timestamp,
};

use super::permission::Permission;
use super::permit::Permit;

/// Who asks, with every binding it holds in its project.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The principal.
    pub principal: Arc<Principal>,
    /// Its bindings, expired ones too.
    pub bindings: Arc<[Binding]>,
}

/// About what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The project.
    pub project: ProjectId,
    /// The connector, when it is about one.
    pub connector: Option<ConnectorId>,
    /// The component, when it is about one or goes through one.
    pub component: Option<ComponentId>,
}

/// What a mint wishes for.
#[derive(Debug, Clone, Copy)]
pub struct MintWish<'a> {
    /// Canonical.
    pub resource: &'a ResourceId,
    /// The access level.
    pub access: AccessLevel,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// May the subject do this?
    pub permission: Permission,
    /// To this?
    pub target: Target,
    /// With this scope? Needed for `credentials.mint`.
    pub wish: Option<MintWish<'a>>,
}

/// The answer.
#[derive(Debug)]
pub enum Decision {
    /// Yes, and this is the proof.
    Allow(Permit),
    /// No, for this reason.
    Deny(DenyReason),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenyReason {
    /// The principal belongs to another project. Said to callers as not found.
    ForeignProject,
    /// No binding gives a role that allows it.
    GrantMissing,
    /// A binding would allow it, but it has ended.
    GrantExpired,
    /// A binding would allow it, but not for this resource.
    ResourceOutsideGrant,
    /// A binding would allow it, but not at this access level.
    AccessAboveGrant,
    /// A mint was asked for without a scope.
    ScopeMissing,
}

impl DenyReason {
    /// The reason code, for replies and the ledger.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ForeignProject => "FOREIGN_PROJECT",
            Self::GrantMissing => "GRANT_MISSING",
            Self::GrantExpired => "GRANT_EXPIRED",
            Self::ResourceOutsideGrant => "RESOURCE_OUTSIDE_GRANT",
            Self::AccessAboveGrant => "ACCESS_ABOVE_GRANT",
            Self::ScopeMissing => "SCOPE_MISSING",
        }
    }
}

/// May `subject` do what `question` asks at `now`?
#[must_use]
pub fn decide(subject: &Subject, question: &Question<'_>, now: Timestamp) -> Decision {
    let _ = (subject, question, now, Role::ALL);
    Decision::Deny(DenyReason::GrantMissing)
}

/// What a listing may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// Everything of the project.
    All,
    /// These only.
    Only {
        /// Connectors.
        connectors: Vec<ConnectorId>,
        /// Components.
        components: Vec<ComponentId>,
    },
}

/// What listings under `permission` may show to `subject` at `now`.
#[must_use]
pub fn visible_scope(_subject: &Subject, _permission: Permission, _now: Timestamp) -> Visible {
    Visible::Only { connectors: Vec::new(), components: Vec::new() }
}

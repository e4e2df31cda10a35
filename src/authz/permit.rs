//! The proof that a decision allowed something.
//!
//! Made by [`super::policy::decide`] only. Never stored, never sent, never
//! made from a request.

use crate::domain::{AccessLevel, ConnectorId, PrincipalId, ProjectId, Role, Timestamp, Ttl};

use super::permission::Permission;

/// What the bindings that allowed a mint leave room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The highest access level.
    pub access_max: AccessLevel,
    /// The longest lifetime.
    pub ttl_max: Option<Ttl>,
    /// No credential may outlive this, but for the minute that clocks and
    /// clouds are apart.
    pub not_after: Option<Timestamp>,
}

/// The proof that `principal` may do `permission` in `project`, on
/// `connector` when one is named.
#[derive(Debug, Clone)]
pub struct Permit {
    principal: PrincipalId,
    permission: Permission,
    project: ProjectId,
    connector: Option<ConnectorId>,
    role: Option<Role>,
    limits: Limits,
}

impl Permit {
    pub(super) const fn new(
        principal: PrincipalId,
        permission: Permission,
        project: ProjectId,
        connector: Option<ConnectorId>,
        role: Option<Role>,
        limits: Limits,
    ) -> Self {
        Self { principal, permission, project, connector, role, limits }
    }

    /// Who may.
    #[must_use]
    pub const fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// What is allowed.
    #[must_use]
    pub const fn permission(&self) -> Permission {
        self.permission
    }

    /// Where.
    #[must_use]
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// On which connector, when the decision was about one.
    #[must_use]
    pub const fn connector(&self) -> Option<ConnectorId> {
        self.connector
    }

    /// By which role; nothing for what everyone may do about itself.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// What the binding leaves room for.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether this is for something that needs the source credential at its
    /// cloud. A connector is described, linked or deleted without it.
    #[must_use]
    pub const fn opens_secret(&self) -> bool {
        matches!(
            self.permission,
            Permission::CredentialsMint
                | Permission::ConnectorsVerify
                | Permission::ConnectorsListResources
                | Permission::ConnectorsUpdate
                | Permission::ConnectorsRotateSecret
                | Permission::IssuancesRevoke
        )
    }
}

//! Which permissions a role has, and where a permission can be given.
//!
//! Two tables and no decision. A permission that is in no role's list is
//! nobody's.

use crate::domain::{BindingTarget, Role};

use super::permission::Permission as P;

/// Manages people and their bindings; writes no connector, mints nothing.
const OWNER: &[P] = &[
    P::ConnectorTypesRead,
    P::ConnectorsList,
    P::ConnectorsDescribe,
    P::ComponentsList,
    P::StacksList,
    P::RunsList,
    P::RunsListAll,
    P::RunsFinish,
    P::IssuancesList,
    P::IssuancesListAll,
    P::IssuancesRevoke,
    P::PrincipalsCreate,
    P::PrincipalsList,
    P::PrincipalsDelete,
    P::TokensManage,
    P::RolesList,
    P::BindingsCreate,
    P::BindingsList,
    P::BindingsDelete,
    P::AuditRead,
    P::OperatorStatus,
    P::OperatorKeys,
    P::OperatorAcceptClock,
    P::OperatorRotateIssuerKey,
];

/// Writes connectors; mints nothing, gives no role, reads no ledger.
const PLATFORM_ENGINEER: &[P] = &[
    P::ConnectorTypesRead,
    P::ConnectorsRegister,
    P::ConnectorsList,
    P::ConnectorsDescribe,
    P::ConnectorsReadSettings,
    P::ConnectorsUpdate,
    P::ConnectorsRotateSecret,
    P::ConnectorsVerify,
    P::ConnectorsListResources,
    P::ConnectorsDelete,
    P::ComponentsRegister,
    P::ComponentsList,
    P::ComponentsConnect,
    P::ComponentsDelete,
    P::StacksRegister,
    P::StacksList,
    P::StacksUpdate,
    P::StacksDelete,
    P::RunsList,
    P::RunsListAll,
    P::RunsFinish,
    P::IssuancesList,
    P::IssuancesListAll,
    P::IssuancesRevoke,
    P::RolesList,
    P::OperatorStatus,
    P::OperatorKeys,
];

/// Links components and mints through them; writes no connector.
const DATA_SCIENTIST: &[P] = &[
    P::ConnectorTypesRead,
    P::ConnectorsList,
    P::ConnectorsDescribe,
    P::ComponentsRegister,
    P::ComponentsList,
    P::ComponentsConnect,
    P::ComponentsDelete,
    P::StacksRegister,
    P::StacksList,
    P::StacksUpdate,
    P::StacksDelete,
    P::RunsStart,
    P::RunsList,
    P::CredentialsMint,
    P::IssuancesList,
    P::RolesList,
];

/// Mints through the component it is bound to, and starts runs on stacks of
/// nothing but such components; see [`takes_effect`].
const RUNNER: &[P] = &[P::RunsStart, P::RunsList, P::CredentialsMint, P::IssuancesList];

/// Reads; changes nothing.
const AUDITOR: &[P] = &[
    P::ConnectorsList,
    P::ConnectorsDescribe,
    P::ComponentsList,
    P::StacksList,
    P::RunsList,
    P::RunsListAll,
    P::IssuancesList,
    P::IssuancesListAll,
    P::PrincipalsList,
    P::RolesList,
    P::BindingsList,
    P::AuditRead,
    P::OperatorStatus,
];

/// The permissions of a role, in the order of [`P::ALL`].
#[must_use]
pub const fn permissions_of(role: Role) -> &'static [P] {
    match role {
        Role::Owner => OWNER,
        Role::PlatformEngineer => PLATFORM_ENGINEER,
        Role::DataScientist => DATA_SCIENTIST,
        Role::Runner => RUNNER,
        Role::Auditor => AUDITOR,
    }
}

/// One line about a role, for people.
#[must_use]
pub const fn summary_of(role: Role) -> &'static str {
    match role {
        Role::Owner => {
            "manages people and their roles; writes no connector, mints nothing, and is no platform engineer"
        }
        Role::PlatformEngineer => {
            "writes connectors; mints nothing for own use without a grant on one connector or component"
        }
        Role::DataScientist => "links components to connectors, mints through them and starts runs; sees no secret",
        Role::Runner => "mints through the component it is bound to, starts runs there, and does nothing else",
        Role::Auditor => "reads the ledger and who may do what; changes nothing",
    }
}

/// Whether a role means anything on such a target. A runner is bound to
/// components one by one: on a project or a connector it would reach what no
/// pipeline of its own was given.
#[must_use]
pub const fn takes_effect(role: Role, target: BindingTarget) -> bool {
    match role {
        Role::Runner => matches!(target, BindingTarget::Component(_)),
        Role::Owner | Role::PlatformEngineer | Role::DataScientist | Role::Auditor => true,
    }
}

/// Where a permission can be given, and so what a decision on it is about:
/// see [`super::policy::Target::about`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To everyone, about itself.
    Everyone,
    /// By any binding: it names nothing of the project.
    Catalogue,
    /// By any binding; what is listed is narrowed to what the binding is on.
    Listing,
    /// By a binding on the project or on the connector in question.
    Connector,
    /// By a binding on the project, the connector or the component in
    /// question.
    Component,
    /// By a binding on the project only.
    Project,
}

/// Where `permission` can be given.
///
/// To link a component a binding on that component is not enough: whoever
/// holds it could point the component at any connector and mint through it.
pub(super) const fn reach_of(permission: P) -> Reach {
    match permission {
        P::Own | P::TokensOwn => Reach::Everyone,
        P::ConnectorTypesRead | P::RolesList => Reach::Catalogue,
        P::ConnectorsList
        | P::ComponentsList
        | P::StacksList
        // On which stack is narrowed as a listing is: one that is seen whole.
        | P::RunsStart
        | P::RunsList
        | P::IssuancesList => Reach::Listing,
        P::ConnectorsDescribe
        | P::ConnectorsReadSettings
        | P::ConnectorsUpdate
        | P::ConnectorsRotateSecret
        | P::ConnectorsVerify
        | P::ConnectorsListResources
        | P::ConnectorsDelete
        | P::ComponentsConnect
        | P::ComponentsDelete
        // Of one connector, when the list is of one.
        | P::IssuancesListAll => Reach::Connector,
        P::CredentialsMint | P::IssuancesRevoke => Reach::Component,
        P::ConnectorsRegister
        // It is linked to nothing yet.
        | P::ComponentsRegister
        | P::StacksRegister
        | P::StacksUpdate
        | P::StacksDelete
        | P::RunsListAll
        | P::RunsFinish
        | P::PrincipalsCreate
        | P::PrincipalsList
        | P::PrincipalsDelete
        | P::TokensManage
        | P::BindingsCreate
        | P::BindingsList
        | P::BindingsDelete
        | P::AuditRead
        | P::OperatorStatus
        | P::OperatorKeys
        | P::OperatorAcceptClock
        | P::OperatorRotateIssuerKey => Reach::Project,
    }
}

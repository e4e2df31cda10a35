//! Pure rules of giving roles away.
//!
//! Says nothing of who may give: that is `bindings.create` and [`super::decide`].

use crate::domain::{Binding, BindingTarget, ComponentId, Principal, Timestamp};

use super::permission::Permission;
use super::policy::Subject;
use super::roles::{permissions_of, takes_effect};

/// Why a binding cannot be given, whoever gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefusal {
    /// Nobody grants to themselves.
    #[error("nobody grants to themselves: ask another owner")]
    SelfGrant,
    /// The binding is in another project. Said to callers as not found.
    #[error("the binding is in another project")]
    ForeignProject,
    /// The role means nothing there.
    #[error("a runner is bound to one component: name it")]
    RunnerNeedsComponent,
}

impl GrantRefusal {
    /// The reason code, for replies and the ledger.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SelfGrant => "SELF_GRANT",
            Self::ForeignProject => "FOREIGN_PROJECT",
            Self::RunnerNeedsComponent => "RUNNER_NEEDS_COMPONENT",
        }
    }
}

/// May `creator` give `binding`, as far as the two of them go?
///
/// # Errors
/// When not, with the reason.
pub fn may_grant(creator: &Principal, binding: &Binding) -> Result<(), GrantRefusal> {
    if binding.project != creator.project {
        Err(GrantRefusal::ForeignProject)
    } else if binding.principal == creator.id {
        Err(GrantRefusal::SelfGrant)
    } else if !takes_effect(binding.role, binding.target) {
        Err(GrantRefusal::RunnerNeedsComponent)
    } else {
        Ok(())
    }
}

/// Whether `subject` mints through `component` by a grant on that component.
/// Such a holder may not choose what the component is linked to: a platform
/// engineer with a grant on one component would reach every connector by it.
#[must_use]
pub fn mints_through(subject: &Subject, component: ComponentId, now: Timestamp) -> bool {
    mint_grants(subject, now).any(|target| target == BindingTarget::Component(component))
}

/// What `subject` mints by a grant of its own: single connectors, and
/// components with whatever they are linked to. Such a holder may not change
/// what the grant is worth. A grant on the whole project is not among them: it
/// gives nothing to those who write connectors.
pub fn mint_grants(subject: &Subject, now: Timestamp) -> impl Iterator<Item = BindingTarget> {
    let grants = subject.bindings.iter().filter(move |binding| {
        binding.principal == subject.principal.id
            && binding.target != BindingTarget::Project
            && binding.conditions.expires_at.is_none_or(|end| end > now)
            && permissions_of(binding.role).contains(&Permission::CredentialsMint)
    });
    grants.map(|binding| binding.target)
}

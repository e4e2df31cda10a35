//! The decision: total, pure, default deny.
//!
//! Owns what makes a [`Permit`]. Reads no clock, no store and no request: all
//! it looks at is handed in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    AccessLevel, Binding, BindingId, BindingTarget, ComponentId, Conditions, ConnectorId, Principal, ProjectId,
    ResourceId, Role, Timestamp, Ttl,
};

use super::permission::Permission;
use super::permit::{Limits, Permit};
use super::roles::{Reach, permissions_of, reach_of, takes_effect};
use super::run_scope::RunScope;

/// Who asks, with every binding it holds in its project.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The principal.
    pub principal: Arc<Principal>,
    /// Its bindings, expired ones too.
    pub bindings: Arc<[Binding]>,
    /// The run that it acts in, which confines it.
    pub run: Option<RunScope>,
}

/// About what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub(super) project: ProjectId,
    pub(super) connector: Option<ConnectorId>,
    pub(super) component: Option<ComponentId>,
}

impl Target {
    /// What the decision on `permission` is about, of a connector and a
    /// component that are known.
    ///
    /// The only way to make one: the broker asks with it, and so does the
    /// matrix of roles, which therefore shows no binding on one connector that
    /// the daemon, who decides on the project, would not look at.
    #[must_use]
    pub const fn about(
        permission: Permission,
        project: ProjectId,
        connector: Option<ConnectorId>,
        component: Option<ComponentId>,
    ) -> Self {
        match reach_of(permission) {
            Reach::Everyone | Reach::Catalogue | Reach::Project => Self { project, connector: None, component: None },
            Reach::Listing | Reach::Connector | Reach::Component => Self { project, connector, component },
        }
    }

    /// The connector, when it is about one.
    #[must_use]
    pub const fn connector(&self) -> Option<ConnectorId> {
        self.connector
    }

    /// The component, when it is about one or goes through one.
    #[must_use]
    pub const fn component(&self) -> Option<ComponentId> {
        self.component
    }
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
    /// A binding would allow it, but its holder has a role that may not go
    /// together with it.
    RolesApart,
    /// A binding would allow it, but not for this resource.
    ResourceOutsideGrant,
    /// A binding would allow it, but not at this access level.
    AccessAboveGrant,
    /// A mint was asked for without a scope.
    ScopeMissing,
    /// A run asks for what is not its stack's, or for what no run does.
    OutsideRun,
    /// The run is over.
    RunEnded,
}

impl DenyReason {
    /// The reason code, for replies and the ledger.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ForeignProject => "FOREIGN_PROJECT",
            Self::GrantMissing => "GRANT_MISSING",
            Self::GrantExpired => "GRANT_EXPIRED",
            Self::RolesApart => "ROLES_APART",
            Self::ResourceOutsideGrant => "RESOURCE_OUTSIDE_GRANT",
            Self::AccessAboveGrant => "ACCESS_ABOVE_GRANT",
            Self::ScopeMissing => "SCOPE_MISSING",
            Self::OutsideRun => "OUTSIDE_RUN",
            Self::RunEnded => "RUN_ENDED",
        }
    }

    /// The one of two that tells the caller more: the one that came closest
    /// to an allow.
    fn more_specific(self, other: Self) -> Self {
        if other.closeness() > self.closeness() { other } else { self }
    }

    const fn closeness(self) -> u8 {
        match self {
            // These end the decision before any binding is looked at.
            Self::ForeignProject | Self::OutsideRun | Self::RunEnded => 0,
            Self::ScopeMissing => 1,
            Self::GrantMissing => 2,
            Self::GrantExpired => 3,
            Self::RolesApart => 4,
            Self::ResourceOutsideGrant => 5,
            Self::AccessAboveGrant => 6,
        }
    }
}

/// May `subject` do what `question` asks at `now`?
///
/// Total and pure. A mint is allowed by one binding alone, the one that leaves
/// the longest room: two bindings are never combined. A run is allowed what
/// its starter is, within the run, and nothing longer than it. Who is an owner
/// writes no connector, whatever else is bound to it.
#[must_use]
pub fn decide(subject: &Subject, question: &Question<'_>, now: Timestamp) -> Decision {
    let target = question.target;
    if subject.principal.project != target.project {
        return Decision::Deny(DenyReason::ForeignProject);
    }
    if let Some(reason) = subject.run.as_ref().and_then(|run| run.refusal(question, now)) {
        return Decision::Deny(reason);
    }
    if matches!(question.permission, Permission::Own | Permission::TokensOwn) {
        return Decision::Allow(permit(subject, question, None, NOTHING));
    }
    if question.permission == Permission::CredentialsMint && question.wish.is_none() {
        return Decision::Deny(DenyReason::ScopeMissing);
    }
    let mut best: Option<&Binding> = None;
    let mut reason = DenyReason::GrantMissing;
    for binding in held(subject, question.permission, now).filter(|b| reaches(b, question)) {
        match refusal(subject, binding, question, now) {
            Some(refused) => reason = reason.more_specific(refused),
            None if best.is_none_or(|best| room(binding, now) > room(best, now)) => best = Some(binding),
            None => {}
        }
    }
    best.map_or(Decision::Deny(reason), |binding| {
        Decision::Allow(permit(subject, question, Some(binding.role), cut_by_run(subject, limits(binding))))
    })
}

/// What a list may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// Everything of the project.
    All,
    /// These, and what hangs on them; nothing when both are empty.
    Only {
        /// The connectors of the bindings.
        connectors: BTreeSet<ConnectorId>,
        /// The components of the bindings.
        components: BTreeSet<ComponentId>,
        /// Of both, no more than these components: the stack of a run.
        within: Option<Arc<BTreeSet<ComponentId>>>,
    },
}

impl Visible {
    /// Whether something is shown that is this component, or is linked to or
    /// is this connector.
    #[must_use]
    pub fn shows(&self, component: Option<ComponentId>, connector: Option<ConnectorId>) -> bool {
        let Self::Only { connectors, components, within } = self else { return true };
        let held = component.is_some_and(|id| components.contains(&id))
            || connector.is_some_and(|id| connectors.contains(&id));
        held && within.as_ref().is_none_or(|stack| component.is_some_and(|id| stack.contains(&id)))
    }

    /// Whether nothing is shown at all.
    #[must_use]
    pub fn nothing(&self) -> bool {
        matches!(self, Self::Only { connectors, components, .. } if connectors.is_empty() && components.is_empty())
    }

    /// The same, seen from within a run.
    fn within(self, run: &RunScope, permission: Permission) -> Self {
        let (connectors, components) = match self {
            _ if !RunScope::may(permission) => (BTreeSet::new(), BTreeSet::new()),
            Self::All => (BTreeSet::new(), BTreeSet::clone(&run.components)),
            Self::Only { connectors, components, .. } => (connectors, &components & &run.components),
        };
        Self::Only { connectors, components, within: Some(Arc::clone(&run.components)) }
    }
}

/// What `subject` may see of a list that needs `permission`, at `now`. The
/// caller filters: `decide` allows a list to every binding with it.
#[must_use]
pub fn visible_scope(subject: &Subject, permission: Permission, now: Timestamp) -> Visible {
    let held = held_scope(subject, permission, now);
    match &subject.run {
        Some(run) => held.within(run, permission),
        None => held,
    }
}

/// What the bindings let a subject see, in a run or not.
fn held_scope(subject: &Subject, permission: Permission, now: Timestamp) -> Visible {
    let (mut connectors, mut components) = (BTreeSet::new(), BTreeSet::new());
    let live = |binding: &&Binding| !expired(binding, now) && !sleeps(subject, binding, now);
    for binding in held(subject, permission, now).filter(live) {
        match binding.target {
            BindingTarget::Project => return Visible::All,
            BindingTarget::Connector(id) => _ = connectors.insert(id),
            BindingTarget::Component(id) => _ = components.insert(id),
        }
    }
    Visible::Only { connectors, components, within: None }
}

/// Room for nothing: what everyone may do about itself mints nothing.
const NOTHING: Limits = Limits { access_max: AccessLevel::Read, ttl_max: None, not_after: None };

fn permit(subject: &Subject, question: &Question<'_>, role: Option<Role>, limits: Limits) -> Permit {
    let Target { project, connector, .. } = question.target;
    Permit::new(subject.principal.id, question.permission, project, connector, role, limits)
}

/// The subject's bindings, expired ones too, whose role has `permission` and
/// takes effect where it is bound.
fn held(subject: &Subject, permission: Permission, now: Timestamp) -> impl Iterator<Item = &Binding> {
    // Whoever writes connectors mints only by a grant on one of them.
    let engineer = permission == Permission::CredentialsMint
        && mine(subject).any(|b| b.role == Role::PlatformEngineer && !expired(b, now));
    mine(subject).filter(move |binding| {
        permissions_of(binding.role).contains(&permission)
            && takes_effect(binding.role, binding.target)
            && !(engineer && binding.target == BindingTarget::Project)
    })
}

/// Bindings of the subject in its project: a store that hands over others
/// gives nobody anything.
fn mine(subject: &Subject) -> impl Iterator<Item = &Binding> {
    let Principal { id, project, .. } = *subject.principal;
    subject.bindings.iter().filter(move |b| b.principal == id && b.project == project)
}

/// Whether a binding is on what the question is about.
fn reaches(binding: &Binding, question: &Question<'_>) -> bool {
    let Target { connector, component, .. } = question.target;
    let names_it = match binding.target {
        BindingTarget::Project => return true,
        BindingTarget::Connector(id) => connector == Some(id),
        BindingTarget::Component(id) => component == Some(id),
    };
    match reach_of(question.permission) {
        Reach::Everyone | Reach::Catalogue => true,
        Reach::Listing => names_it || (connector.is_none() && component.is_none()),
        Reach::Connector => names_it && matches!(binding.target, BindingTarget::Connector(_)),
        Reach::Component => names_it,
        Reach::Project => false,
    }
}

/// Whether a binding gives nothing because of another one. The store takes no
/// such pair; one that was there before it refused them leaves an owner, and
/// nothing that makes two of it.
fn sleeps(subject: &Subject, binding: &Binding, now: Timestamp) -> bool {
    binding.role == Role::PlatformEngineer
        && mine(subject).any(|other| other.role.goes_apart_from(binding.role) && !expired(other, now))
}

/// Why a binding that reaches the target does not allow it after all.
fn refusal(subject: &Subject, binding: &Binding, question: &Question<'_>, now: Timestamp) -> Option<DenyReason> {
    if expired(binding, now) {
        return Some(DenyReason::GrantExpired);
    }
    if sleeps(subject, binding, now) {
        return Some(DenyReason::RolesApart);
    }
    // Patterns and access levels say what may be minted, nothing else.
    let wish = question.wish.filter(|_| question.permission == Permission::CredentialsMint)?;
    let Conditions { resource_patterns, access_max, .. } = &binding.conditions;
    if !resource_patterns.is_empty() && !resource_patterns.iter().any(|p| p.matches(wish.resource)) {
        Some(DenyReason::ResourceOutsideGrant)
    } else if access_max.is_some_and(|max| wish.access > max) {
        Some(DenyReason::AccessAboveGrant)
    } else {
        None
    }
}

fn expired(binding: &Binding, now: Timestamp) -> bool {
    binding.conditions.expires_at.is_some_and(|end| end <= now)
}

fn limits(binding: &Binding) -> Limits {
    let Conditions { access_max, ttl_max, expires_at, .. } = binding.conditions;
    Limits { access_max: access_max.unwrap_or(AccessLevel::Admin), ttl_max, not_after: expires_at }
}

/// Nothing that a run mints outlives the run.
fn cut_by_run(subject: &Subject, limits: Limits) -> Limits {
    let Some(scope) = &subject.run else { return limits };
    let end = limits.not_after.map_or(scope.run.ends_at, |end| end.min(scope.run.ends_at));
    Limits { not_after: Some(end), ..limits }
}

/// How much a binding leaves room for: first how long a credential could
/// live, then how long the binding lasts, then the access level; the id makes
/// the order total.
fn room(binding: &Binding, now: Timestamp) -> (Duration, Timestamp, AccessLevel, BindingId) {
    let Limits { access_max, ttl_max, not_after } = limits(binding);
    let not_after = not_after.unwrap_or(Timestamp::from_millis(i64::MAX));
    let longest = ttl_max.map_or(Duration::MAX, Ttl::as_duration).min(not_after.since(now));
    (longest, not_after, access_max, binding.id)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod matrix;

#[cfg(test)]
mod run_tests;

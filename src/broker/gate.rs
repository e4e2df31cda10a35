//! Decide, and write down every refusal.

use std::sync::Arc;

use crate::audit::{Line, Outcome};
use crate::authz::{
    Decision, DenyReason, MintWish, Permission, Permit, Question, Target, Visible, decide, permissions_of,
    visible_scope,
};
use crate::domain::{ComponentId, Connector, ConnectorId, Role};
use crate::store::{Committed, Guard, StoreError, Tx};

use super::call::Call;
use super::credentials::changed_meanwhile;
use super::error::BrokerError;
use super::{Broker, CallRecord};

/// What a use case knows that a question is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) connector: Option<ConnectorId>,
    pub(super) component: Option<ComponentId>,
}

impl Known {
    /// This connector.
    pub(super) const fn connector(id: ConnectorId) -> Self {
        Self { connector: Some(id), component: None }
    }
}

impl Broker {
    /// The decision on something that is about the whole project.
    pub(super) async fn permit(&self, call: &Call, permission: Permission) -> Result<Permit, BrokerError> {
        self.permit_on(call, permission, Known::default(), None).await
    }

    /// The decision on something about what is known; a refusal is in the
    /// ledger before it is said.
    pub(super) async fn permit_on(
        &self,
        call: &Call,
        permission: Permission,
        known: Known,
        wish: Option<MintWish<'_>>,
    ) -> Result<Permit, BrokerError> {
        match self.decided_on(call, permission, known, wish) {
            Decision::Allow(permit) => Ok(permit),
            Decision::Deny(reason) => {
                let line = Line {
                    connector: known.connector,
                    component: known.component,
                    resource: wish.map(|w| w.resource.clone()),
                    access: wish.map(|w| w.access),
                    ..call.line(Outcome::Denied, reason.code())
                };
                Box::pin(self.write_line(&call.record, line)).await?;
                Err(denied(reason, permission))
            }
        }
    }

    /// The decision alone, for a choice between two ways: nothing is written.
    pub(super) fn decided_on(
        &self,
        call: &Call,
        permission: Permission,
        known: Known,
        wish: Option<MintWish<'_>>,
    ) -> Decision {
        let target = Target::about(permission, call.project(), known.connector, known.component);
        decide(&call.caller.subject, &Question { permission, target, wish }, self.clock.now())
    }

    /// The same in a word.
    pub(super) fn allowed(&self, call: &Call, permission: Permission, known: Known) -> bool {
        matches!(self.decided_on(call, permission, known, None), Decision::Allow(_))
    }

    /// A connector by name, id or prefix, with the decision on it. Who may
    /// not is told so whether the connector exists or not.
    pub(super) async fn permitted_connector(
        &self,
        call: &Call,
        text: &str,
        permission: Permission,
    ) -> Result<(Arc<Connector>, Permit), BrokerError> {
        match self.find_connector(call.project(), text).await {
            Ok(connector) => {
                let permit = self.permit_on(call, permission, Known::connector(connector.id), None).await?;
                Ok((connector, permit))
            }
            Err(error) => Err(self.unfound(call, "connector", permission, &error).await),
        }
    }

    /// What to say of a record that was not found: who may not look in the
    /// whole project learns nothing of what exists.
    pub(super) async fn unfound(
        &self,
        call: &Call,
        noun: &'static str,
        permission: Permission,
        error: &StoreError,
    ) -> BrokerError {
        if let Err(denied) = self.permit(call, permission).await {
            return denied;
        }
        match visible_scope(&call.caller.subject, permission, self.clock.now()) {
            Visible::All => BrokerError::of(noun, error),
            // A list is allowed to whoever sees any of it, but what is not
            // there must look like what is not to be seen.
            Visible::Only { .. } => match self.deny(call, unseen(call), permission).await {
                Ok(denied) | Err(denied) => denied,
            },
        }
    }

    /// A refusal that no target is told of, once it is in the ledger.
    pub(super) async fn deny(
        &self,
        call: &Call,
        reason: DenyReason,
        permission: Permission,
    ) -> Result<BrokerError, BrokerError> {
        self.write_line(&call.record, call.line(Outcome::Denied, reason.code())).await?;
        Ok(denied(reason, permission))
    }

    /// A durable line about a call.
    pub(super) async fn write_line(&self, record: &CallRecord, line: Line) -> Result<(), BrokerError> {
        self.ledger.write(line).await?;
        record.mark_lined();
        Ok(())
    }

    /// Commits a change with its line.
    ///
    /// Invariant: whoever asks for a change is still there when it commits.
    /// Bodies come slowly and clouds answer slowly; a removal that was
    /// acknowledged meanwhile ends the change.
    pub(super) async fn commit(&self, call: &Call, noun: &'static str, tx: Tx) -> Result<Committed, BrokerError> {
        match self.commit_stamped(call, tx.guard(self.caller_stands(call))).await {
            Ok(committed) => Ok(committed),
            Err(StoreError::Stale) => Err(self.why_stale(call, noun).await),
            Err(error) => Err(BrokerError::of(noun, &error)),
        }
    }

    /// Commits what has happened already, at a cloud for one: that is kept
    /// whatever became of the caller.
    pub(super) async fn commit_done(&self, call: &Call, noun: &'static str, tx: Tx) -> Result<Committed, BrokerError> {
        self.commit_stamped(call, tx).await.map_err(|error| BrokerError::of(noun, &error))
    }

    async fn commit_stamped(&self, call: &Call, mut tx: Tx) -> Result<Committed, StoreError> {
        for line in &mut tx.lines {
            *line = self.ledger.stamp(line.clone());
        }
        let committed = self.store.commit(tx).await?;
        call.record.mark_lined();
        Ok(committed)
    }

    fn caller_stands(&self, call: &Call) -> Guard {
        let (now, subject) = (self.clock.now(), &call.caller.subject);
        let lasting = subject.bindings.iter().filter(|held| held.conditions.expires_at.is_none_or(|end| end > now));
        Guard::CallerStands {
            project: call.project(),
            principal: subject.principal.id,
            token: call.caller.token.clone(),
            bindings: lasting.map(|binding| binding.id).collect(),
        }
    }

    /// Whether it is the record or the caller that changed.
    async fn why_stale(&self, call: &Call, noun: &'static str) -> BrokerError {
        match self.caller_again(&call.caller.token).await {
            Err(gone) => gone,
            Ok(now) if now.subject.bindings != call.caller.subject.bindings => changed_meanwhile(),
            Ok(_) => BrokerError::Stale { noun },
        }
    }
}

/// What is said of something that is not to be seen: the same as of something
/// that is there and not to be had.
pub(super) fn unseen(call: &Call) -> DenyReason {
    if call.run().is_some() { DenyReason::OutsideRun } else { DenyReason::GrantMissing }
}

/// A refusal by a rule that is no role's.
pub(super) fn denied_by(code: &'static str, permission: Permission, hint: &str) -> BrokerError {
    BrokerError::Denied { code, permission: permission.as_str(), hint: hint.to_owned() }
}

/// The roles that have a permission, in words.
fn roles_with(permission: Permission) -> String {
    let roles = Role::ALL.iter().filter(|role| permissions_of(**role).contains(&permission));
    roles.map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn denied(reason: DenyReason, permission: Permission) -> BrokerError {
    let hint = match reason {
        DenyReason::ForeignProject => return BrokerError::NotFound { noun: "project" },
        DenyReason::GrantMissing => {
            format!("ask an owner for a role that allows {permission}: {}", roles_with(permission))
        }
        DenyReason::GrantExpired => "ask an owner to renew the role binding".to_owned(),
        DenyReason::RolesApart => {
            "an owner writes no connectors: have one of your two roles taken away, or use another principal".to_owned()
        }
        DenyReason::ResourceOutsideGrant => "ask for a resource within the grant; see `valetkey access can`".to_owned(),
        DenyReason::AccessAboveGrant => "ask for a lower access level; see `valetkey access can`".to_owned(),
        DenyReason::ScopeMissing => "name a resource and an access level".to_owned(),
        DenyReason::OutsideRun if permission == Permission::CredentialsMint => {
            "a run mints through the components of its own stack: name one with --component".to_owned()
        }
        DenyReason::OutsideRun => "a run's token is for its run alone: use your own token for this".to_owned(),
        DenyReason::RunEnded => "start another run".to_owned(),
    };
    BrokerError::Denied { code: reason.code(), permission: permission.as_str(), hint }
}

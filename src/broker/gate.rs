//! Decide, and write down every refusal.

use std::sync::Arc;

use crate::audit::{Line, Outcome};
use crate::authz::{Decision, DenyReason, MintWish, Permission, Permit, Question, Target, decide};
use crate::domain::{Component, ComponentId, Connector, ConnectorId};
use crate::store::{Committed, StoreError, Tx};

use super::call::Call;
use super::error::BrokerError;
use super::{Broker, CallRecord};

impl Broker {
    /// The decision on something that is about the whole project.
    pub(super) async fn permit(&self, call: &Call, permission: Permission) -> Result<Permit, BrokerError> {
        self.permit_on(call, permission, self.target(call, None, None), None).await
    }

    /// The decision on something about a target; a refusal is in the ledger
    /// before it is said.
    pub(super) async fn permit_on(
        &self,
        call: &Call,
        permission: Permission,
        target: Target,
        wish: Option<MintWish<'_>>,
    ) -> Result<Permit, BrokerError> {
        let question = Question { permission, target, wish };
        match decide(&call.caller.subject, &question, self.clock.now()) {
            Decision::Allow(permit) => Ok(permit),
            Decision::Deny(reason) => {
                let line = Line {
                    connector: target.connector,
                    component: target.component,
                    resource: wish.map(|w| w.resource.clone()),
                    access: wish.map(|w| w.access),
                    ..call.line(Outcome::Denied, reason.code())
                };
                self.write_line(&call.record, line).await?;
                Err(denied(reason, permission))
            }
        }
    }

    pub(super) fn target(&self, call: &Call, connector: Option<ConnectorId>, component: Option<ComponentId>) -> Target {
        Target { project: call.project(), connector, component }
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
                let target = self.target(call, Some(connector.id), None);
                let permit = self.permit_on(call, permission, target, None).await?;
                Ok((connector, permit))
            }
            Err(error) => Err(self.unfound(call, "connector", permission, &error).await),
        }
    }

    /// The same for a component.
    pub(super) async fn permitted_component(
        &self,
        call: &Call,
        text: &str,
        permission: Permission,
    ) -> Result<(Arc<Component>, Permit), BrokerError> {
        match self.find_component(call.project(), text).await {
            Ok(component) => {
                let target = self.target(call, None, Some(component.id));
                let permit = self.permit_on(call, permission, target, None).await?;
                Ok((component, permit))
            }
            Err(error) => Err(self.unfound(call, "component", permission, &error).await),
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
        match self.permit(call, permission).await {
            Ok(_) => BrokerError::of(noun, error),
            Err(denied) => denied,
        }
    }

    /// A durable line about a call.
    pub(super) async fn write_line(&self, record: &CallRecord, line: Line) -> Result<(), BrokerError> {
        self.ledger.write(line).await?;
        record.mark_lined();
        Ok(())
    }

    /// Commits a change with its line.
    pub(super) async fn commit(&self, call: &Call, noun: &'static str, mut tx: Tx) -> Result<Committed, BrokerError> {
        for line in &mut tx.lines {
            *line = self.ledger.stamp(line.clone());
        }
        let committed = self.store.commit(tx).await.map_err(|error| BrokerError::of(noun, &error))?;
        call.record.mark_lined();
        Ok(committed)
    }
}

fn denied(reason: DenyReason, permission: Permission) -> BrokerError {
    let hint = match reason {
        DenyReason::ForeignProject => return BrokerError::NotFound { noun: "project" },
        DenyReason::GrantMissing => format!("ask an owner for a role that allows {permission}"),
        DenyReason::GrantExpired => "ask an owner to renew the role binding".to_owned(),
        DenyReason::ResourceOutsideGrant => "ask for a resource within the grant; see `valetkey access can`".to_owned(),
        DenyReason::AccessAboveGrant => "ask for a lower access level; see `valetkey access can`".to_owned(),
        DenyReason::ScopeMissing => "name a resource and an access level".to_owned(),
    };
    BrokerError::Denied { code: reason.code(), permission: permission.as_str(), hint }
}

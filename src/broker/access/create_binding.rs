//! Give a role to another principal of the project, on the whole project, one
//! connector or one component, under conditions.

use crate::audit::{Line, Outcome, Subject};
use crate::authz::{GrantRefusal, Permission, may_grant};
use crate::domain::{Binding, BindingId, BindingTarget, Conditions, FieldError, Name, Role};
use crate::store::{Guard, Tx, Write};

use super::super::gate::denied_by;
use super::super::{Broker, BrokerError, Call, Once};

/// Where a binding shall hold: names, ids or unique prefixes of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WishedTarget {
    /// In the whole project.
    Project,
    /// On one connector.
    Connector(String),
    /// On one component.
    Component(String),
}

/// What is to be given.
#[derive(Debug, Clone)]
pub struct NewBinding {
    /// To whom: name, id or unique prefix of the id.
    pub principal: String,
    /// Which role.
    pub role: Role,
    /// Where.
    pub target: WishedTarget,
    /// Under which conditions.
    pub conditions: Conditions,
}

impl Broker {
    /// Gives a role.
    ///
    /// # Errors
    /// `Denied`, also for a grant to oneself; `NotFound`; `Invalid` for a role
    /// that means nothing there or an end in the past; `Stale` when the
    /// connector changes meanwhile.
    pub async fn create_binding(
        &self,
        call: &Call,
        ask: NewBinding,
        once: Option<&Once>,
    ) -> Result<Binding, BrokerError> {
        self.permit(call, Permission::BindingsCreate).await?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        let now = self.clock.now();
        if ask.conditions.expires_at.is_some_and(|end| end <= now) {
            return Err(FieldError::new("conditions.expires_at", "is in the past").into());
        }
        let principal = self.principal_named(call, &ask.principal).await?;
        let (target, guard) = self.binding_target(call, &ask.target).await?;
        let binding = Binding {
            id: BindingId::random(self.entropy.as_ref())?,
            project: call.project(),
            principal: principal.id,
            role: ask.role,
            target,
            conditions: ask.conditions,
            created_by: Some(call.principal().id),
            created_at: now,
        };
        self.check_grant(call, &binding).await?;
        let mut tx = Tx::with_line(binding_line(call, &binding, &principal.name))
            .guard(Guard::PrincipalExists { project: call.project(), id: principal.id })
            .write(Write::InsertBinding(binding.clone()))
            .remember(self.remember(call, once, &binding)?);
        tx.guards.extend(guard);
        let committed = self.commit(call, "binding", tx).await;
        self.settled(call, once, binding, committed).await
    }

    /// The target, and what keeps it from going away before the commit.
    async fn binding_target(
        &self,
        call: &Call,
        wished: &WishedTarget,
    ) -> Result<(BindingTarget, Option<Guard>), BrokerError> {
        let project = call.project();
        match wished {
            WishedTarget::Project => Ok((BindingTarget::Project, None)),
            WishedTarget::Connector(text) => {
                let found = self.find_connector(project, text).await;
                let found = found.map_err(|error| BrokerError::of("connector", &error))?;
                let guard = Guard::ConnectorAt { project, id: found.id, version: found.version };
                Ok((BindingTarget::Connector(found.id), Some(guard)))
            }
            WishedTarget::Component(text) => {
                let found = self.find_component(project, text).await;
                let found = found.map_err(|error| BrokerError::of("component", &error))?;
                let guard = Guard::ComponentExists { project, id: found.id };
                Ok((BindingTarget::Component(found.id), Some(guard)))
            }
        }
    }

    async fn check_grant(&self, call: &Call, binding: &Binding) -> Result<(), BrokerError> {
        match may_grant(call.principal(), binding) {
            Ok(()) => Ok(()),
            Err(GrantRefusal::ForeignProject) => Err(BrokerError::NotFound { noun: "project" }),
            Err(refusal @ GrantRefusal::RunnerNeedsComponent) => {
                Err(FieldError::new("component", refusal.to_string()).into())
            }
            Err(refusal @ GrantRefusal::SelfGrant) => {
                let denied = denied_by(refusal.code(), Permission::BindingsCreate, "ask another owner");
                let subject = Some(Subject::Principal(binding.principal));
                let line = Line { subject, ..call.line(Outcome::Denied, denied.code()) };
                self.write_line(&call.record, line.with_detail("role", binding.role.as_str())).await?;
                Err(denied)
            }
        }
    }
}

/// The line of a role given or taken: which, to whom and where.
pub(in crate::broker) fn binding_line(call: &Call, binding: &Binding, holder: &Name) -> Line {
    let (connector, component) = match binding.target {
        BindingTarget::Project => (None, None),
        BindingTarget::Connector(id) => (Some(id), None),
        BindingTarget::Component(id) => (None, Some(id)),
    };
    let line = Line {
        subject: Some(Subject::Binding(binding.id)),
        connector,
        component,
        access: binding.conditions.access_max,
        expires_at: binding.conditions.expires_at,
        ..call.line(Outcome::Ok, "")
    };
    line.with_detail("role", binding.role.as_str()).with_detail("principal", holder.as_str())
}

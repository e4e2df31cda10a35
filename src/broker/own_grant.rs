//! Nobody changes what a grant of their own is worth.
//!
//! A platform engineer sets ceilings and settings, and so mints only by a
//! grant that an owner gave on one connector or component. Who could widen
//! that grant's connector would have given it to themselves.

use crate::audit::{Line, Outcome};
use crate::authz::{Permission, mint_grants};
use crate::domain::{BindingTarget, ComponentId, ConnectorId};
use crate::store::{Guard, StoreError};

use super::gate::denied_by;
use super::{Broker, BrokerError, Call};

impl Broker {
    /// Refuses a change of what `connector` may mint to whoever mints from it
    /// by a grant of their own, directly or through a component.
    ///
    /// Gives what must still hold when the change commits.
    ///
    /// # Errors
    /// `Denied`, once it is in the ledger.
    pub(super) async fn no_own_grant_on(&self, call: &Call, connector: ConnectorId) -> Result<[Guard; 2], BrokerError> {
        let grants: Vec<_> = mint_grants(&call.caller.subject, self.clock.now()).collect();
        let components: Vec<_> = grants.iter().filter_map(component_of).collect();
        let mut mints = grants.contains(&BindingTarget::Connector(connector));
        for component in &components {
            mints = mints || self.links_to(call, *component, connector).await?;
        }
        if mints {
            let permission = Permission::ConnectorsUpdate;
            let hint = "you mint from this connector by a grant of your own: ask another platform engineer";
            let denied = denied_by("SELF_GRANT", permission, hint);
            let line = Line { connector: Some(connector), ..call.line(Outcome::Denied, denied.code()) };
            self.write_line(&call.record, line).await?;
            return Err(denied);
        }
        Ok([self.holds_no_more(call), Guard::NotLinked { project: call.project(), connector, components }])
    }

    /// Nobody gave the caller another role since it was let in.
    pub(super) fn holds_no_more(&self, call: &Call) -> Guard {
        let bindings = call.caller.subject.bindings.iter().map(|binding| binding.id).collect();
        Guard::HoldsNoMore { project: call.project(), principal: call.principal().id, bindings }
    }

    async fn links_to(&self, call: &Call, id: ComponentId, connector: ConnectorId) -> Result<bool, BrokerError> {
        match self.component(call.project(), id).await {
            Ok(component) => Ok(component.link.as_ref().is_some_and(|link| link.connector == connector)),
            Err(StoreError::NotFound) => Ok(false),
            Err(error) => Err(BrokerError::of("component", &error)),
        }
    }
}

const fn component_of(target: &BindingTarget) -> Option<ComponentId> {
    match target {
        BindingTarget::Component(id) => Some(*id),
        BindingTarget::Project | BindingTarget::Connector(_) => None,
    }
}

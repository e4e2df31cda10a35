//! Link a component to a connector and one of its resources, or unlink it.
//!
//! Whoever is bound to a component mints what it is linked to, so a link is
//! made by those only who may mint that themselves or who write the connector.

use std::sync::Arc;

use crate::audit::{Line, Outcome};
use crate::authz::{MintWish, Permission, mints_through};
use crate::connectors::AnyConnectorType;
use crate::domain::{
    AccessLevel, Component, ComponentLink, Connector, FieldError, Requirement, ResourceId, ResourceTypeName, Version,
};
use crate::store::{Guard, Tx, Write};

use super::super::connectors::{known_resource_type, type_of};
use super::super::credentials::Touched;
use super::super::gate::Known;
use super::super::{Broker, BrokerError, Call, Once};

/// What to link to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The connector: name, id or unique prefix of the id.
    pub connector: String,
    /// The resource in any accepted form; what connector or requirement fix
    /// when unsaid.
    pub resource: Option<String>,
    /// The highest level that may be asked for through the link.
    pub access_max: AccessLevel,
}

/// A change of a component's link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The component: name, id or unique prefix of the id.
    pub component: String,
    /// The new link; nothing unlinks.
    pub link: Option<Link>,
    /// The version that was read; the current one when unsaid.
    pub expected: Option<Version>,
}

impl Broker {
    /// Links or unlinks a component.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` naming what requirement or ceiling does
    /// not allow; `Stale` when component or connector changed meanwhile.
    pub async fn connect_component(
        &self,
        call: &Call,
        ask: Connect,
        once: Option<&Once>,
    ) -> Result<Component, BrokerError> {
        let (old, _) = self.component_for(call, &ask.component, Permission::ComponentsList).await?;
        let before = old.link.as_ref().map(|link| link.connector);
        if before.is_some() || ask.link.is_none() {
            // Taking a component away from its connector is a change there.
            let known = Known { connector: before, component: Some(old.id) };
            self.permit_on(call, Permission::ComponentsConnect, known, None).await?;
        }
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        if ask.expected.is_some_and(|expected| expected != old.version) {
            return Err(BrokerError::Stale { noun: "component" });
        }
        let mut line = Line { component: Some(old.id), ..call.line(Outcome::Ok, "") };
        let mut guards = Vec::new();
        let mut link = None;
        if let Some(wished) = &ask.link {
            let (connector, made) = self.link(call, &old, wished).await?;
            line.connector = Some(connector.id);
            line.resource = Some(made.resource_id.clone());
            line.access = Some(made.access_max);
            guards.push(Guard::ConnectorAt { project: call.project(), id: connector.id, version: connector.version });
            // A grant on the component that came meanwhile would make this a grant to oneself.
            guards.push(self.holds_no_more(call));
            link = Some(made);
        }
        let expected = old.version;
        let updated_at = self.clock.now();
        let component = Component { link, updated_at, version: expected.next(), ..Component::clone(&old) };
        let mut tx = Tx::with_line(line)
            .write(Write::UpdateComponent { component: component.clone(), expected })
            .remember(self.remember(call, once, &component)?);
        tx.guards.extend(guards);
        let committed = self.commit(call, "component", tx).await;
        self.forget(&[Touched::Component(old.id)]);
        self.settled(call, once, component, committed).await
    }

    /// The link, decided and checked.
    async fn link(
        &self,
        call: &Call,
        component: &Component,
        wished: &Link,
    ) -> Result<(Arc<Connector>, ComponentLink), BrokerError> {
        let (connector, _) = self.permitted_connector(call, &wished.connector, Permission::ConnectorsDescribe).await?;
        let known = Known { connector: Some(connector.id), component: Some(component.id) };
        self.permit_on(call, Permission::ComponentsConnect, known, None).await?;
        let link = meet(&component.requirement, &connector, wished)?;
        if mints_through(&call.caller.subject, component.id, self.clock.now()) && self.writes(call, &connector) {
            let line = Line {
                component: Some(component.id),
                connector: Some(connector.id),
                ..call.line(Outcome::Denied, "SELF_GRANT")
            };
            self.write_line(&call.record, line).await?;
            return Err(BrokerError::Denied {
                code: "SELF_GRANT",
                permission: Permission::ComponentsConnect.as_str(),
                hint: "you mint through this component: ask another platform engineer to link it".to_owned(),
            });
        }
        if !self.writes(call, &connector) {
            let wish = MintWish { resource: &link.resource_id, access: link.access_max };
            self.permit_on(call, Permission::CredentialsMint, known, Some(wish)).await?;
        }
        Ok((connector, link))
    }

    /// Whether the caller writes this connector, and so its ceiling.
    fn writes(&self, call: &Call, connector: &Connector) -> bool {
        self.allowed(call, Permission::ConnectorsUpdate, Known::connector(connector.id))
    }
}

/// The link that meets requirement and ceiling.
fn meet(requirement: &Requirement, connector: &Connector, wished: &Link) -> Result<ComponentLink, BrokerError> {
    if let Some(needed) = requirement.connector_type.as_ref().filter(|needed| **needed != connector.connector_type) {
        let problem = format!("the component needs a connector of type {needed}");
        return Err(FieldError::new("connector", problem).into());
    }
    let resource_type = connector.resource_type_for(Some(&requirement.resource_type)).map_err(|_| {
        let problem = format!("the component needs {}, which this connector does not serve", requirement.resource_type);
        FieldError::new("connector", problem)
    })?;
    let kind = type_of(connector)?;
    known_resource_type(kind, &resource_type).map_err(|error| FieldError::new("connector", error.problem))?;
    let needed =
        requirement.resource_id.as_ref().map(|id| canonical(kind, connector, &resource_type, Some(id.as_str())));
    let needed = needed.transpose().map_err(|error| {
        FieldError::new("connector", format!("the component's required resource does not fit: {}", error.problem))
    })?;
    let resource_id = resource(kind, connector, &resource_type, needed.as_ref(), wished.resource.as_deref())?;
    if !connector.policy.covers(&resource_id) {
        return Err(FieldError::new("resource_id", "the connector's ceiling leaves this resource out").into());
    }
    let ceiling = connector.policy.access_max;
    if wished.access_max > ceiling {
        return Err(FieldError::new("access_max", format!("the connector's ceiling is {ceiling}")).into());
    }
    Ok(ComponentLink { connector: connector.id, resource_type, resource_id, access_max: wished.access_max })
}

/// The canonical resource, within all that requirement and connector fix; the
/// narrower of the two when none is named.
fn resource(
    kind: &dyn AnyConnectorType,
    connector: &Connector,
    resource_type: &ResourceTypeName,
    needed: Option<&ResourceId>,
    named: Option<&str>,
) -> Result<ResourceId, FieldError> {
    let fixed = connector.resource_id.as_ref();
    let narrower = match (fixed, needed) {
        (Some(fixed), Some(needed)) if kind.contains(resource_type, fixed, needed) => Some(needed),
        (Some(fixed), _) => Some(fixed),
        (None, needed) => needed,
    };
    let resource = canonical(kind, connector, resource_type, named.or(narrower.map(ResourceId::as_str)))?;
    for (bound, whose) in [(fixed, "the connector is fixed to"), (needed, "the component needs one within")] {
        if let Some(bound) = bound.filter(|bound| !kind.contains(resource_type, bound, &resource)) {
            return Err(FieldError::new("resource_id", format!("{whose} {bound}")));
        }
    }
    Ok(resource)
}

fn canonical(
    kind: &dyn AnyConnectorType,
    connector: &Connector,
    resource_type: &ResourceTypeName,
    raw: Option<&str>,
) -> Result<ResourceId, FieldError> {
    kind.canonical(&connector.settings, resource_type, raw)
}

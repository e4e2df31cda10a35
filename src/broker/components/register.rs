//! Register a component with what it needs of a connector.

use crate::audit::{Line, Outcome};
use crate::authz::Permission;
use crate::connectors::{find, gives};
use crate::domain::{Component, ComponentId, FieldError, Labels, Name, Requirement, Version};
use crate::store::{Tx, Write};

use super::super::connectors::known_resource_type;
use super::super::{Broker, BrokerError, Call, Once};

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct NewComponent {
    /// Unique in the project.
    pub name: Name,
    /// For example `artifact-store`.
    pub component_type: Name,
    /// For example `s3`.
    pub flavor: Option<Name>,
    /// What it needs. Its resource id is kept as it was written: only a
    /// connector's settings say what its canonical form is, so it is made
    /// canonical when a connector is linked.
    pub requirement: Requirement,
    /// For people.
    pub description: String,
    /// For filters.
    pub labels: Labels,
}

impl Broker {
    /// Registers a component.
    ///
    /// # Errors
    /// `Denied`; `Invalid` for a requirement that no connector type of this
    /// server meets; `NameTaken`.
    pub async fn register_component(
        &self,
        call: &Call,
        ask: NewComponent,
        once: Option<&Once>,
    ) -> Result<Component, BrokerError> {
        self.permit(call, Permission::ComponentsRegister).await?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        check_requirement(&ask.requirement)?;
        let now = self.clock.now();
        let component = Component {
            id: ComponentId::random(self.entropy.as_ref())?,
            project: call.project(),
            name: ask.name,
            component_type: ask.component_type,
            flavor: ask.flavor,
            requirement: ask.requirement,
            link: None,
            description: ask.description,
            labels: ask.labels,
            created_by: call.principal().id,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        };
        let line = Line { component: Some(component.id), ..call.line(Outcome::Ok, "") };
        let tx = Tx::with_line(line.with_detail("name", component.name.as_str()))
            .write(Write::InsertComponent(component.clone()))
            .remember(self.remember(call, once, &component)?);
        let committed = self.commit(call, "component", tx).await;
        self.settled(call, once, component, committed).await
    }
}

/// A type that is named must be one of this server, and have the resource
/// type; without one some type must have it, or no connector could be linked.
fn check_requirement(requirement: &Requirement) -> Result<(), FieldError> {
    let Some(name) = &requirement.connector_type else {
        let problem = "is given by no connector type of this server; see connector-type list";
        let known = gives(requirement.resource_type.as_str());
        return if known { Ok(()) } else { Err(FieldError::new("requirement.resource_type", problem)) };
    };
    let kind = find(name.as_str()).ok_or_else(|| {
        FieldError::new("requirement.connector_type", "is not one of this server; see connector-type list")
    })?;
    known_resource_type(kind, &requirement.resource_type)
        .map_err(|error| FieldError::new("requirement.resource_type", error.problem))
}

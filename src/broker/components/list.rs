//! List and describe components: each caller sees what its bindings are about.

use std::sync::Arc;

use crate::authz::{Permission, Visible};
use crate::domain::{Component, Labels, Name, Page, PageAsk};

use super::super::{Broker, BrokerError, Call};

/// Which components are wished for.
#[derive(Debug, Clone, Default)]
pub struct ComponentFilter {
    /// Of this type.
    pub component_type: Option<Name>,
    /// Linked to this connector: name, id or unique prefix of the id.
    pub connector: Option<String>,
    /// With all these labels.
    pub labels: Labels,
}

impl Broker {
    /// Lists components by name.
    ///
    /// # Errors
    /// `Denied`; `NotFound` for a connector that is not of this project;
    /// `Unavailable`.
    pub async fn list_components(
        &self,
        call: &Call,
        filter: &ComponentFilter,
        page: &PageAsk,
    ) -> Result<Page<Component>, BrokerError> {
        self.permit(call, Permission::ComponentsList).await?;
        let connector = match &filter.connector {
            Some(text) => Some(self.permitted_connector(call, text, Permission::ConnectorsDescribe).await?.0.id),
            None => None,
        };
        let found = match self.component_scope(call) {
            Visible::All => {
                let kind = filter.component_type.as_ref();
                self.store.components(call.project(), kind, connector, &filter.labels, page).await
            }
            scope @ Visible::Only { .. } => self.narrow_components(call, &scope, filter, connector, page).await,
        };
        found.map_err(|error| BrokerError::of("component", &error))
    }

    /// Describes one component.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn describe_component(&self, call: &Call, text: &str) -> Result<Arc<Component>, BrokerError> {
        Ok(self.component_for(call, text, Permission::ComponentsList).await?.0)
    }
}

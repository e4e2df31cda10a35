//! Which components a caller may see: all of the project, or those that its
//! bindings are on, and those linked to connectors that they are on.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::authz::{Permission, Permit, Visible, visible_scope};
use crate::domain::{Component, ComponentId, ConnectorId, Page, PageAsk};
use crate::store::StoreError;

use super::super::gate::Known;
use super::super::{Broker, BrokerError, Call};
use super::ComponentFilter;

impl Broker {
    /// What the caller's bindings let it see of components.
    pub(in crate::broker) fn component_scope(&self, call: &Call) -> Visible {
        visible_scope(&call.caller.subject, Permission::ComponentsList, self.clock.now())
    }

    /// A component that the caller may see, with the decision on `permission`
    /// about it and the connector it is linked to. Who may not see it is told
    /// so whether it exists or not.
    pub(in crate::broker) async fn component_for(
        &self,
        call: &Call,
        text: &str,
        permission: Permission,
    ) -> Result<(Arc<Component>, Permit), BrokerError> {
        let component = match self.find_component(call.project(), text).await {
            Ok(component) => component,
            Err(error) => return Err(self.unfound(call, "component", permission, &error).await),
        };
        let known = Known { connector: linked_connector(&component), component: Some(component.id) };
        let permit = self.permit_on(call, permission, known, None).await?;
        Ok((component, permit))
    }

    /// A page of what a caller with bindings on single connectors and
    /// components sees. Made from those and not from the project's list: a
    /// page of that list would show, by its size and its token, what is
    /// between.
    pub(in crate::broker) async fn narrow_components(
        &self,
        call: &Call,
        scope: &Visible,
        filter: &ComponentFilter,
        connector: Option<ConnectorId>,
        page: &PageAsk,
    ) -> Result<Page<Component>, StoreError> {
        let Visible::Only { connectors, components, within } = scope else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        // A run sees no more than its stack, by whatever its starter holds.
        let mut seen = self.components_of(call, within.as_deref().unwrap_or(components)).await?;
        seen.retain(|c| page.after.as_ref().is_none_or(|after| c.name.as_str() > after.as_str()));
        let mut more = false;
        let wanted = |id: &&ConnectorId| connector.is_none_or(|only| only == **id) && within.is_none();
        for id in connectors.iter().filter(wanted) {
            // The first page of each holds the first page of all.
            let kind = filter.component_type.as_ref();
            let read = self.store.components(call.project(), kind, Some(*id), &filter.labels, page).await?;
            more |= read.next.is_some();
            seen.extend(read.items);
        }
        seen.retain(|c| scope.shows(Some(c.id), linked_connector(c)) && matches(c, filter, connector));
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        seen.dedup_by(|a, b| a.id == b.id);
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        more |= seen.len() > size;
        seen.truncate(size);
        let next = if more { seen.last().map(|c| c.name.to_string()) } else { None };
        Ok(Page { items: seen, next })
    }

    async fn components_of(&self, call: &Call, ids: &BTreeSet<ComponentId>) -> Result<Vec<Component>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match self.component(call.project(), *id).await {
                Ok(component) => found.push(Component::clone(&component)),
                // Gone since the binding was read.
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

fn linked_connector(component: &Component) -> Option<ConnectorId> {
    component.link.as_ref().map(|link| link.connector)
}

fn matches(component: &Component, filter: &ComponentFilter, connector: Option<ConnectorId>) -> bool {
    filter.component_type.as_ref().is_none_or(|wanted| *wanted == component.component_type)
        && component.labels.contain(&filter.labels)
        && connector.is_none_or(|id| linked_connector(component) == Some(id))
}

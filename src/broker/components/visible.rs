//! Which components a caller may see: all of the project, or those that its
//! bindings are on, and those linked to connectors that they are on.

use std::sync::Arc;

use crate::authz::{Permission, Permit, Visible, visible_scope};
use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{Component, ConnectorId, Labels, Page, PageAsk};
use crate::store::StoreError;

use super::super::{Broker, BrokerError, Call};
use super::ComponentFilter;

/// The most components linked to one connector that a narrow caller sees.
const LINKED_ROUNDS_MAX: usize = 10;

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
        let target = self.target(call, linked_connector(&component), Some(component.id));
        let permit = self.permit_on(call, permission, target, None).await?;
        Ok((component, permit))
    }

    /// A page of what a caller with bindings on single connectors and
    /// components sees. Made from those and not from the project's list: a
    /// page of that list would show, by its size and its token, what is
    /// between.
    pub(super) async fn narrow_components(
        &self,
        call: &Call,
        scope: &Visible,
        filter: &ComponentFilter,
        connector: Option<ConnectorId>,
        page: &PageAsk,
    ) -> Result<Page<Component>, StoreError> {
        let Visible::Only { connectors, components, .. } = scope else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let mut seen = Vec::new();
        for id in components {
            match self.component(call.project(), *id).await {
                Ok(found) => seen.push(Component::clone(&found)),
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        for id in connectors {
            seen.extend(self.linked_to(call, *id).await?);
        }
        seen.retain(|c| scope.shows(Some(c.id), linked_connector(c)) && matches(c, filter, connector));
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        seen.dedup_by(|a, b| a.id == b.id);
        let rest =
            seen.into_iter().filter(|c| page.after.as_ref().is_none_or(|after| c.name.as_str() > after.as_str()));
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let mut items: Vec<Component> = rest.take(size.saturating_add(1)).collect();
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(|c| c.name.to_string()) } else { None };
        Ok(Page { items, next })
    }

    async fn linked_to(&self, call: &Call, connector: ConnectorId) -> Result<Vec<Component>, StoreError> {
        let (mut found, none) = (Vec::new(), Labels::default());
        let mut page = PageAsk { size: PAGE_SIZE_MAX, after: None };
        for _ in 0..LINKED_ROUNDS_MAX {
            let read = self.store.components(call.project(), None, Some(connector), &none, &page).await?;
            found.extend(read.items);
            page.after = read.next;
            if page.after.is_none() {
                break;
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

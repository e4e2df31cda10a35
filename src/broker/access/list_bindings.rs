//! List bindings, of everybody or of one principal.

use crate::authz::Permission;
use crate::domain::{Binding, Page, PageAsk};

use super::super::{Broker, BrokerError, Call};

impl Broker {
    /// Lists bindings, oldest first.
    ///
    /// # Errors
    /// `Denied`; `NotFound` for a principal that is not of this project.
    pub async fn list_bindings(
        &self,
        call: &Call,
        principal: Option<&str>,
        page: &PageAsk,
    ) -> Result<Page<Binding>, BrokerError> {
        self.permit(call, Permission::BindingsList).await?;
        match principal {
            Some(text) => {
                let principal = self.principal_named(call, text).await?;
                let all = self.store.bindings_of(call.project(), principal.id).await;
                Ok(page_of(all.map_err(|error| BrokerError::of("binding", &error))?, page))
            }
            None => {
                let found = self.store.bindings(call.project(), page).await;
                found.map_err(|error| BrokerError::of("binding", &error))
            }
        }
    }
}

/// A page of what is already in memory, by age and id.
fn page_of(mut all: Vec<Binding>, page: &PageAsk) -> Page<Binding> {
    let key = |binding: &Binding| format!("{:020}/{}", binding.created_at.millis(), binding.id);
    all.sort_by_key(key);
    let rest = all.into_iter().filter(|binding| page.after.as_ref().is_none_or(|after| key(binding) > *after));
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let mut items: Vec<Binding> = rest.take(size.saturating_add(1)).collect();
    let more = items.len() > size;
    items.truncate(size);
    let next = if more { items.last().map(key) } else { None };
    Page { items, next }
}

//! List and describe stacks. A caller with bindings on single components sees
//! a stack when it sees all of it.

use std::sync::Arc;

use crate::authz::{Permission, Visible};
use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{Component, Labels, Page, PageAsk, Stack};
use crate::store::StoreError;

use super::super::{Broker, BrokerError, Call};

/// The most pages of the store that one page of a narrowed list reads.
const ROUNDS_MAX: usize = 20;

impl Broker {
    /// Lists stacks by name.
    ///
    /// # Errors
    /// `Denied`; `Unavailable`.
    pub async fn list_stacks(&self, call: &Call, labels: &Labels, page: &PageAsk) -> Result<Page<Stack>, BrokerError> {
        self.permit(call, Permission::StacksList).await?;
        let found = match self.component_scope(call) {
            Visible::All => self.store.stacks(call.project(), labels, page).await,
            scope @ Visible::Only { .. } => self.narrow_stacks(call, &scope, labels, page).await,
        };
        found.map_err(|error| BrokerError::of("stack", &error))
    }

    /// Describes one stack.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn describe_stack(&self, call: &Call, text: &str) -> Result<Stack, BrokerError> {
        self.stack_for(call, text, Permission::StacksList).await
    }

    /// The components of a stack, for a reply; without those that went away.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn stack_components(&self, call: &Call, stack: &Stack) -> Result<Vec<Arc<Component>>, BrokerError> {
        let mut found = Vec::with_capacity(stack.components.len());
        for id in &stack.components {
            match self.component(call.project(), *id).await {
                Ok(component) => found.push(component),
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(BrokerError::of("component", &error)),
            }
        }
        Ok(found)
    }

    /// A stack with the decision on it. Who may not see it is told so whether
    /// it exists or not.
    pub(super) async fn stack_for(
        &self,
        call: &Call,
        text: &str,
        permission: Permission,
    ) -> Result<Stack, BrokerError> {
        let scope = self.component_scope(call);
        self.stack_within(call, text, permission, &scope).await
    }

    /// The same, of the stacks that lie within `scope`.
    pub(in crate::broker) async fn stack_within(
        &self,
        call: &Call,
        text: &str,
        permission: Permission,
        scope: &Visible,
    ) -> Result<Stack, BrokerError> {
        self.permit(call, permission).await?;
        let found = self.store.resolve_stack(call.project(), text).await;
        match found {
            Ok(stack) => match self.sees_stack(call, scope, &stack).await {
                Ok(true) => Ok(stack),
                Ok(false) => Err(self.unfound(call, "stack", permission, &StoreError::NotFound).await),
                Err(error) => Err(BrokerError::of("stack", &error)),
            },
            Err(error) => Err(self.unfound(call, "stack", permission, &error).await),
        }
    }

    async fn sees_stack(&self, call: &Call, scope: &Visible, stack: &Stack) -> Result<bool, StoreError> {
        if *scope == Visible::All {
            return Ok(true);
        }
        for id in &stack.components {
            if scope.shows(Some(*id), None) {
                continue;
            }
            let component = self.component(call.project(), *id).await?;
            if !scope.shows(Some(*id), component.link.as_ref().map(|link| link.connector)) {
                return Ok(false);
            }
        }
        // A run sees its own stack, and no other that happens to be a part of it.
        let own = call.caller.subject.run.as_ref().is_none_or(|scope| scope.run.stack == stack.id);
        Ok(own && !stack.components.is_empty())
    }

    /// The stacks that a narrow caller sees whole. Read in large pages from
    /// the beginning, so that neither size nor token of a page says anything
    /// of what lies between.
    async fn narrow_stacks(
        &self,
        call: &Call,
        scope: &Visible,
        labels: &Labels,
        page: &PageAsk,
    ) -> Result<Page<Stack>, StoreError> {
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let mut ask = PageAsk { size: PAGE_SIZE_MAX, after: page.after.clone() };
        let mut items = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let read = self.store.stacks(call.project(), labels, &ask).await?;
            for stack in read.items {
                if self.sees_stack(call, scope, &stack).await? {
                    if items.len() == size {
                        let next = items.last().map(|last: &Stack| last.name.to_string());
                        return Ok(Page { items, next });
                    }
                    items.push(stack);
                }
            }
            ask.after = read.next;
            if ask.after.is_none() {
                break;
            }
        }
        Ok(Page { items, next: None })
    }
}

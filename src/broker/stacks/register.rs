//! Register a stack.

use std::collections::BTreeSet;

use crate::audit::{Line, Outcome, Subject};
use crate::authz::Permission;
use crate::domain::stack::STACK_COMPONENTS_MAX;
use crate::domain::{ComponentId, FieldError, Labels, Name, Stack, StackId, Version};
use crate::store::{Guard, Tx, Write};

use super::super::{Broker, BrokerError, Call, Once};

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct NewStack {
    /// Unique in the project.
    pub name: Name,
    /// Names, ids or unique prefixes of ids; at most 64, each component once.
    pub components: Vec<String>,
    /// For people.
    pub description: String,
    /// For filters.
    pub labels: Labels,
}

impl Broker {
    /// Registers a stack.
    ///
    /// # Errors
    /// `Denied`; `NotFound` for a component that is not there; `Invalid` for
    /// one that is there twice; `NameTaken`.
    pub async fn register_stack(&self, call: &Call, ask: NewStack, once: Option<&Once>) -> Result<Stack, BrokerError> {
        self.permit(call, Permission::StacksRegister).await?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        let now = self.clock.now();
        let stack = Stack {
            id: StackId::random(self.entropy.as_ref())?,
            project: call.project(),
            name: ask.name,
            components: self.stack_list(call, &ask.components).await?,
            description: ask.description,
            labels: ask.labels,
            created_by: call.principal().id,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        };
        let tx = self.stack_tx(call, &stack).write(Write::InsertStack(stack.clone()));
        let tx = tx.remember(self.remember(call, once, &stack)?);
        let committed = self.commit(call, "stack", tx).await;
        self.settled(call, once, stack, committed).await
    }

    /// The components of a list, each of them one that the caller may see.
    pub(super) async fn stack_list(&self, call: &Call, texts: &[String]) -> Result<Vec<ComponentId>, BrokerError> {
        if texts.len() > STACK_COMPONENTS_MAX {
            return Err(FieldError::new("components", format!("at most {STACK_COMPONENTS_MAX}")).into());
        }
        let (mut list, mut seen) = (Vec::with_capacity(texts.len()), BTreeSet::new());
        for (place, text) in texts.iter().enumerate() {
            let (component, _) = self.component_for(call, text, Permission::ComponentsList).await?;
            if !seen.insert(component.id) {
                return Err(FieldError::new(format!("components[{place}]"), "is in the list already").into());
            }
            list.push(component.id);
        }
        Ok(list)
    }

    /// The line about a stack, and what keeps its components from going away.
    pub(super) fn stack_tx(&self, call: &Call, stack: &Stack) -> Tx {
        let line = Line { subject: Some(Subject::Stack(stack.id)), ..call.line(Outcome::Ok, "") };
        let mut tx = Tx::with_line(line.with_detail("name", stack.name.as_str()));
        let project = call.project();
        tx.guards.extend(stack.components.iter().map(|id| Guard::ComponentExists { project, id: *id }));
        tx
    }
}

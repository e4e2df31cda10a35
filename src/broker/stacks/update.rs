//! Replace the list of components of a stack.

use crate::authz::Permission;
use crate::domain::{Stack, Version};
use crate::store::Write;

use super::super::credentials::Touched;
use super::super::{Broker, BrokerError, Call, Once};

impl Broker {
    /// Replaces the list.
    ///
    /// # Errors
    /// `Denied`; `NotFound` for the stack or a component; `Invalid` for a
    /// component that is there twice; `Stale`.
    pub async fn update_stack(
        &self,
        call: &Call,
        text: &str,
        components: &[String],
        expected: Option<Version>,
        once: Option<&Once>,
    ) -> Result<Stack, BrokerError> {
        let old = self.stack_for(call, text, Permission::StacksUpdate).await?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        if expected.is_some_and(|expected| expected != old.version) {
            return Err(BrokerError::Stale { noun: "stack" });
        }
        let expected = old.version;
        let components = self.stack_list(call, components).await?;
        let gone = old.components.iter().copied().filter(|component| !components.contains(component));
        let gone: Vec<_> = gone.map(Touched::InRunsThrough).collect();
        let stack = Stack { components, updated_at: self.clock.now(), version: expected.next(), ..old };
        let tx = self.stack_tx(call, &stack).write(Write::UpdateStack { stack: stack.clone(), expected });
        let tx = tx.remember(self.remember(call, once, &stack)?);
        let committed = self.commit(call, "stack", tx).await;
        self.forget(&gone);
        self.settled(call, once, stack, committed).await
    }
}

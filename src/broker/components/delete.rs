//! Delete a component, and with it the bindings on it, each with a line in
//! the ledger. Refused while a stack names it.

use crate::audit::{Line, Outcome};
use crate::authz::Permission;
use crate::domain::{BindingTarget, Version};
use crate::store::{Tx, Write};

use super::super::credentials::Touched;
use super::super::{Broker, BrokerError, Call, Once};

impl Broker {
    /// Deletes a component.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Stale`; `Precondition` naming the stacks.
    pub async fn delete_component(
        &self,
        call: &Call,
        text: &str,
        expected: Option<Version>,
        once: Option<&Once>,
    ) -> Result<(), BrokerError> {
        // Asked first: what was deleted the first time is not found again.
        if let Some(()) = self.recall(call, once).await? {
            return Ok(());
        }
        let (component, _) = self.component_for(call, text, Permission::ComponentsDelete).await?;
        let expected = expected.unwrap_or(component.version);
        let line = Line { component: Some(component.id), ..call.line(Outcome::Ok, "") };
        let tx = Tx::with_line(line.with_detail("name", component.name.as_str())).write(Write::DeleteComponent {
            project: call.project(),
            id: component.id,
            expected,
        });
        let target = BindingTarget::Component(component.id);
        let (_, tx) = self.gone_with(call, target, "GONE_WITH_COMPONENT", tx).await?;
        let tx = tx.remember(self.remember(call, once, &())?);
        let committed = self.commit(call, "component", tx).await;
        self.forget(&[Touched::Component(component.id)]);
        self.settled(call, once, (), committed).await
    }
}

//! Delete a stack; its components stay.

use crate::audit::{Line, Outcome, Subject};
use crate::authz::Permission;
use crate::domain::Version;
use crate::store::{Tx, Write};

use super::super::credentials::Touched;
use super::super::{Broker, BrokerError, Call, Once};

impl Broker {
    /// Deletes a stack.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Stale`.
    pub async fn delete_stack(
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
        let stack = self.stack_for(call, text, Permission::StacksDelete).await?;
        let expected = expected.unwrap_or(stack.version);
        let line = Line { subject: Some(Subject::Stack(stack.id)), ..call.line(Outcome::Ok, "") };
        let tx = Tx::with_line(line.with_detail("name", stack.name.as_str()))
            .write(Write::DeleteStack { project: call.project(), id: stack.id, expected })
            .remember(self.remember(call, once, &())?);
        let committed = self.commit(call, "stack", tx).await;
        // Runs on it reach nothing any more.
        let touched: Vec<_> = stack.components.iter().copied().map(Touched::InRunsThrough).collect();
        self.forget(&touched);
        self.settled(call, once, (), committed).await
    }
}

//! Role bindings that go away with what they are on: each has a line of its
//! own in the ledger, in the transaction that takes it away.
//!
//! An owner gave them, and whoever deletes a connector or a component gives no
//! roles: nothing of that kind goes unseen.

use crate::audit::{Line, Reason};
use crate::domain::BindingTarget;
use crate::store::{Guard, Tx};

use super::access::binding_line;
use super::{Broker, BrokerError, Call};

/// The most that go with one record: a transaction carries so many lines, and
/// a person who reviews them no more.
const GONE_MAX: u32 = 200;

impl Broker {
    /// Adds the lines of the bindings on `target` to the transaction that
    /// deletes it, and that there are no others; how many they are.
    ///
    /// # Errors
    /// `Precondition` when they are too many.
    pub(super) async fn gone_with(
        &self,
        call: &Call,
        target: BindingTarget,
        reason: &'static str,
        mut tx: Tx,
    ) -> Result<(u32, Tx), BrokerError> {
        let project = call.project();
        let gone = self.store.bindings_on(project, target, GONE_MAX + 1).await;
        let gone = gone.map_err(|error| BrokerError::of("binding", &error))?;
        let count = u32::try_from(gone.len()).unwrap_or(u32::MAX);
        if count > GONE_MAX {
            return Err(BrokerError::Precondition {
                code: "STILL_BOUND",
                message: format!("there are more than {GONE_MAX} role bindings on it"),
                hint: "ask an owner to delete role bindings first".to_owned(),
            });
        }
        for binding in &gone {
            let holder = self.store.principal(project, binding.principal).await;
            let holder = holder.map_err(|error| BrokerError::of("principal", &error))?;
            let line = binding_line(call, binding, &holder.name);
            tx.lines.push(Line { reason: Reason::new(reason), ..line });
        }
        let bindings = gone.iter().map(|binding| binding.id).collect();
        Ok((count, tx.guard(Guard::BoundBy { project, target, bindings })))
    }
}

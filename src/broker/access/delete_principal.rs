//! Delete a principal, its tokens and its bindings: its next call is nobody's.

use crate::audit::{Line, Outcome, Subject};
use crate::authz::Permission;
use crate::store::{Tx, Write};

use super::super::credentials::Touched;
use super::super::gate::denied_by;
use super::super::{Broker, BrokerError, Call, Once};

impl Broker {
    /// Deletes a principal.
    ///
    /// # Errors
    /// `Denied`, also for oneself; `NotFound`; `Precondition` for the last
    /// owner.
    pub async fn delete_principal(&self, call: &Call, text: &str, once: Option<&Once>) -> Result<(), BrokerError> {
        self.permit(call, Permission::PrincipalsDelete).await?;
        if let Some(()) = self.recall(call, once).await? {
            return Ok(());
        }
        let principal = self.principal_named(call, text).await?;
        let subject = Some(Subject::Principal(principal.id));
        if principal.id == call.principal().id {
            let denied = denied_by("SELF_DELETE", Permission::PrincipalsDelete, "ask another owner");
            let line = Line { subject, ..call.line(Outcome::Denied, denied.code()) };
            self.write_line(&call.record, line).await?;
            return Err(denied);
        }
        let line = Line { subject, ..call.line(Outcome::Ok, "") }.with_detail("name", principal.name.as_str());
        let tx = Tx::with_line(line)
            .write(Write::DeletePrincipal { project: call.project(), id: principal.id })
            .remember(self.remember(call, once, &())?);
        let committed = self.commit(call, "principal", tx).await;
        self.forget(&[Touched::Principal(principal.id)]);
        self.settled(call, once, (), committed).await
    }
}

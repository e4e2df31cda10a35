//! Create a user or a service account. It holds nothing until a role is bound
//! to it, and cannot sign in until it has a token.

use crate::audit::{Line, Outcome, Subject};
use crate::authz::Permission;
use crate::domain::{Name, Principal, PrincipalId, PrincipalKind};
use crate::store::{Tx, Write};

use super::super::{Broker, BrokerError, Call, Once};

/// Who is to be created.
#[derive(Debug, Clone)]
pub struct NewPrincipal {
    /// Unique in the project.
    pub name: Name,
    /// User or service account.
    pub kind: PrincipalKind,
    /// For people.
    pub description: String,
}

impl Broker {
    /// Creates a user or a service account.
    ///
    /// # Errors
    /// `Denied`; `NameTaken`; `Unavailable` when nothing can be written.
    pub async fn create_principal(
        &self,
        call: &Call,
        ask: NewPrincipal,
        once: Option<&Once>,
    ) -> Result<Principal, BrokerError> {
        self.permit(call, Permission::PrincipalsCreate).await?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        let principal = Principal {
            id: PrincipalId::random(self.entropy.as_ref())?,
            project: call.project(),
            name: ask.name,
            kind: ask.kind,
            description: ask.description,
            created_by: Some(call.principal().id),
            created_at: self.clock.now(),
        };
        let line = Line { subject: Some(Subject::Principal(principal.id)), ..call.line(Outcome::Ok, "") };
        let tx = Tx::with_line(line.with_detail("name", principal.name.as_str()))
            .write(Write::InsertPrincipal(principal.clone()))
            .remember(self.remember(call, once, &principal)?);
        let committed = self.commit(call, "principal", tx).await;
        self.settled(call, once, principal, committed).await
    }
}

//! Revoke a token: one's own, or with the permission for it another's. The
//! next call with it is nobody's.

use crate::audit::{Line, Outcome, Subject};
use crate::authz::Permission;
use crate::domain::TokenRecord;
use crate::store::{Tx, Write};

use super::super::credentials::Touched;
use super::super::{Broker, BrokerError, Call, Once};

impl Broker {
    /// Revokes a token.
    ///
    /// # Errors
    /// `Denied` for whoever may not revoke those of others, whether there is
    /// such a token or not; `NotFound`.
    pub async fn revoke_token(&self, call: &Call, text: &str, once: Option<&Once>) -> Result<(), BrokerError> {
        self.permit(call, Permission::TokensOwn).await?;
        if let Some(()) = self.recall(call, once).await? {
            return Ok(());
        }
        let record = self.revocable_token(call, text).await?;
        let touched = Touched::Token(record.principal, record.run);
        let line = Line { subject: Some(Subject::Token(record.id.clone())), ..call.line(Outcome::Ok, "") };
        let tx = Tx::with_line(line)
            .write(Write::DeleteToken { project: call.project(), id: record.id })
            .remember(self.remember(call, once, &())?);
        let committed = self.commit(call, "token", tx).await;
        // Whoever else had the token has what it was handed: others are handed
        // something else from now on.
        self.forget(&[touched]);
        self.settled(call, once, (), committed).await
    }

    async fn revocable_token(&self, call: &Call, text: &str) -> Result<TokenRecord, BrokerError> {
        match self.store.resolve_token(call.project(), text).await {
            Ok(record) if record.principal == call.principal().id => Ok(record),
            Ok(record) => {
                self.permit(call, Permission::TokensManage).await?;
                Ok(record)
            }
            Err(error) => Err(self.unfound(call, "token", Permission::TokensManage, &error).await),
        }
    }
}

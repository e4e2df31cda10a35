//! Take a role away: the next decision is made without it.

use crate::authz::Permission;
use crate::store::{Tx, Write};

use super::super::credentials::Touched;
use super::super::{Broker, BrokerError, Call, Once};
use super::create_binding::binding_line;

impl Broker {
    /// Takes a role away.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Precondition` for the last owner's.
    pub async fn delete_binding(&self, call: &Call, text: &str, once: Option<&Once>) -> Result<(), BrokerError> {
        self.permit(call, Permission::BindingsDelete).await?;
        if let Some(()) = self.recall(call, once).await? {
            return Ok(());
        }
        let found = self.store.resolve_binding(call.project(), text).await;
        let binding = found.map_err(|error| BrokerError::of("binding", &error))?;
        let holder = self.store.principal(call.project(), binding.principal).await;
        let holder = holder.map_err(|error| BrokerError::of("binding", &error))?;
        let tx = Tx::with_line(binding_line(call, &binding, &holder.name))
            .write(Write::DeleteBinding { project: call.project(), id: binding.id })
            .remember(self.remember(call, once, &())?);
        let committed = self.commit(call, "binding", tx).await;
        // Whatever it was on: what another binding still allows is minted anew.
        self.forget(&[Touched::Principal(binding.principal)]);
        self.settled(call, once, (), committed).await
    }
}

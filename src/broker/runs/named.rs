//! Which run a call is about. Whoever acts in a run knows of no other one, and
//! whoever does not see all runs knows of none but its own.

use crate::authz::{Permission, Visible, visible_scope};
use crate::domain::Run;
use crate::store::{ID_PREFIX_LENGTH_MIN, StoreError};

use super::super::gate::unseen;
use super::super::{Broker, BrokerError, Call};

impl Broker {
    /// A run by name, id or unique prefix of the id: of the caller's own, or
    /// with the permission for it, of the project.
    pub(in crate::broker) async fn run_named(
        &self,
        call: &Call,
        text: &str,
        others: Option<Permission>,
    ) -> Result<Run, BrokerError> {
        if call.run().is_some() {
            return self.own_run(call, text, Permission::Own).await;
        }
        let found = match self.store.resolve_run(call.project(), Some(call.principal().id), text).await {
            Err(StoreError::NotFound) if others.is_some_and(|permission| self.sees_all(call, permission)) => {
                self.store.resolve_run(call.project(), None, text).await
            }
            found => found,
        };
        found.map_err(|error| BrokerError::of("run", &error))
    }

    /// The run that the caller acts in, when `text` is a word for it. Any other
    /// word is refused without a look at what there is (case B8).
    pub(in crate::broker) async fn own_run(
        &self,
        call: &Call,
        text: &str,
        permission: Permission,
    ) -> Result<Run, BrokerError> {
        if let Some(scope) = &call.caller.subject.run
            && is_word_for(text, &scope.run)
        {
            return Ok(Run::clone(&scope.run));
        }
        match self.deny(call, unseen(call), permission).await {
            Ok(denied) | Err(denied) => Err(denied),
        }
    }

    pub(super) fn sees_all(&self, call: &Call, permission: Permission) -> bool {
        visible_scope(&call.caller.subject, permission, self.clock.now()) == Visible::All
    }
}

fn is_word_for(text: &str, run: &Run) -> bool {
    let prefix = text.len() >= ID_PREFIX_LENGTH_MIN && run.id.to_string().starts_with(text);
    prefix || text == run.name.as_str()
}

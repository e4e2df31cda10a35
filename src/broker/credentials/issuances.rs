//! List what was minted: one's own, or with the permission for it, all.

use crate::authz::{Decision, Permission, Question, decide};
use crate::domain::{Issuance, Page, PageAsk};
use crate::store::IssuanceFilter;

use super::super::{Broker, BrokerError, Call};

/// Which issuances are wished for.
#[derive(Debug, Clone, Default)]
pub struct IssuanceAsk {
    /// Of this connector: name, id, or unique prefix of the id.
    pub connector: Option<String>,
    /// Of this principal: name, id, or unique prefix of the id.
    pub principal: Option<String>,
    /// Alive now.
    pub active_only: bool,
}

impl Broker {
    /// Lists issuances, newest first.
    ///
    /// # Errors
    /// `Denied`, also for those of others without the permission; `NotFound`.
    pub async fn list_issuances(
        &self,
        call: &Call,
        ask: &IssuanceAsk,
        page: &PageAsk,
    ) -> Result<Page<Issuance>, BrokerError> {
        self.permit(call, Permission::IssuancesList).await?;
        let all = self.may_list_all(call);
        let principal = match &ask.principal {
            None if all => None,
            None => Some(call.principal().id),
            Some(text) if *text == call.principal().name.as_str() => Some(call.principal().id),
            Some(text) => {
                self.permit(call, Permission::IssuancesListAll).await?;
                let found = self.store.resolve_principal(call.project(), text).await;
                Some(found.map_err(|error| BrokerError::of("principal", &error))?.id)
            }
        };
        let connector = match &ask.connector {
            None => None,
            Some(text) => match self.find_connector(call.project(), text).await {
                Ok(connector) => Some(connector.id),
                Err(error) => return Err(self.unfound(call, "connector", Permission::ConnectorsList, &error).await),
            },
        };
        let active_at = ask.active_only.then(|| self.clock.now());
        let filter = IssuanceFilter { connector, principal, active_at };
        let found = self.store.issuances(call.project(), &filter, page).await;
        found.map_err(|error| BrokerError::of("issuance", &error))
    }

    fn may_list_all(&self, call: &Call) -> bool {
        let question =
            Question { permission: Permission::IssuancesListAll, target: self.target(call, None, None), wish: None };
        matches!(decide(&call.caller.subject, &question, self.clock.now()), Decision::Allow(_))
    }
}

//! List what was minted: one's own, or with the permission for it, all.

use crate::audit::Outcome;
use crate::authz::{Permission, Visible, visible_scope};
use crate::domain::{Issuance, Page, PageAsk, RunId};
use crate::store::{IssuanceFilter, StoreError};

use super::super::{Broker, BrokerError, Call};

/// Which issuances are wished for.
#[derive(Debug, Clone, Default)]
pub struct IssuanceAsk {
    /// Of this connector: name, id, or unique prefix of the id.
    pub connector: Option<String>,
    /// Of this principal: name, id, or unique prefix of the id.
    pub principal: Option<String>,
    /// Minted in this run: name, id, or unique prefix of the id.
    pub run: Option<String>,
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
            Some(text) if all => {
                let found = self.store.resolve_principal(call.project(), text).await;
                Some(found.map_err(|error| BrokerError::of("principal", &error))?.id)
            }
            Some(_) => {
                let refused = BrokerError::Denied {
                    code: "GRANT_MISSING",
                    permission: Permission::IssuancesListAll.as_str(),
                    hint: "without it you see your own issuances only".to_owned(),
                };
                self.write_line(&call.record, call.line(Outcome::Denied, refused.code())).await?;
                return Err(refused);
            }
        };
        let connector = match &ask.connector {
            None => None,
            Some(text) => match self.find_connector(call.project(), text).await {
                Ok(connector) => Some(connector.id),
                // One that exists and gave them nothing looks the same.
                Err(StoreError::NotFound) if !self.sees_all_connectors(call) => {
                    return Ok(Page { items: Vec::new(), next: None });
                }
                Err(error) => return Err(self.unfound(call, "connector", Permission::ConnectorsList, &error).await),
            },
        };
        let active_at = ask.active_only.then(|| self.clock.now());
        let run = self.run_of_issuances(call, ask.run.as_deref(), all).await?;
        let filter = IssuanceFilter { connector, principal, run, active_at };
        let found = self.store.issuances(call.project(), &filter, page).await;
        found.map_err(|error| BrokerError::of("issuance", &error))
    }

    fn sees_all_connectors(&self, call: &Call) -> bool {
        visible_scope(&call.caller.subject, Permission::ConnectorsList, self.clock.now()) == Visible::All
    }

    /// A run sees its own issuances only; others choose among the runs that they
    /// see issuances of.
    async fn run_of_issuances(&self, call: &Call, text: Option<&str>, all: bool) -> Result<Option<RunId>, BrokerError> {
        let Some(text) = text else { return Ok(call.run()) };
        if call.run().is_some() {
            return self.own_run(call, text, Permission::IssuancesList).await.map(|run| Some(run.id));
        }
        // A whole id is taken as it is: issuances outlive the record of a run.
        if let Ok(id) = text.parse() {
            return Ok(Some(id));
        }
        let principal = (!all).then(|| call.principal().id);
        let found = self.store.resolve_run(call.project(), principal, text).await;
        found.map(|run| Some(run.id)).map_err(|error| BrokerError::of("run", &error))
    }

    /// A grant on one connector or component is none on the project's list.
    fn may_list_all(&self, call: &Call) -> bool {
        let visible = visible_scope(&call.caller.subject, Permission::IssuancesListAll, self.clock.now());
        visible == Visible::All
    }
}

//! List what was minted: one's own, or with the permission for it, all of the
//! project or of one connector.

use crate::audit::{Line, Outcome};
use crate::authz::{Permission, Visible, visible_scope};
use crate::domain::{Issuance, Page, PageAsk, RunId};
use crate::store::{IssuanceFilter, StoreError};

use super::super::gate::{Known, denied_by};
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
        let connector = match &ask.connector {
            None => None,
            Some(text) => match self.find_connector(call.project(), text).await {
                Ok(connector) => Some(connector.id),
                // One that exists and gave them nothing looks the same.
                Err(StoreError::NotFound) if !self.sees_all_connectors(call) => return Ok(nothing()),
                Err(error) => return Err(self.unfound(call, "connector", Permission::ConnectorsList, &error).await),
            },
        };
        let everywhere = self.allowed(call, Permission::IssuancesListAll, Known::default());
        let all = everywhere
            || connector.is_some_and(|id| self.allowed(call, Permission::IssuancesListAll, Known::connector(id)));
        let principal = match &ask.principal {
            None if all => None,
            None => Some(call.principal().id),
            Some(text) if call.names_caller(text) => Some(call.principal().id),
            Some(text) if all => match self.store.resolve_principal(call.project(), text).await {
                Ok(principal) => Some(principal.id),
                // Who sees one connector's learns of no principal beyond it.
                Err(StoreError::NotFound) if !everywhere => return Ok(nothing()),
                Err(error) => return Err(BrokerError::of("principal", &error)),
            },
            Some(_) => {
                let hint = "without it you see your own issuances only, or those of a connector that you have it on";
                let refused = denied_by("GRANT_MISSING", Permission::IssuancesListAll, hint);
                let line = Line { connector, ..call.line(Outcome::Denied, refused.code()) };
                self.write_line(&call.record, line).await?;
                return Err(refused);
            }
        };
        let active_at = ask.active_only.then(|| self.clock.now());
        let run = self.run_of_issuances(call, ask.run.as_deref(), everywhere).await?;
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
}

const fn nothing() -> Page<Issuance> {
    Page { items: Vec::new(), next: None }
}

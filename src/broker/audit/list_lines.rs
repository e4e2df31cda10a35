//! List lines of the caller's project.

use crate::audit::{LineFilter, Outcome, StoredLine};
use crate::authz::Permission;
use crate::domain::{ConnectorId, Page, PageAsk, PrincipalId, RunId, Timestamp};
use crate::store::StoreError;

use super::super::{Broker, BrokerError, Call};

/// Which lines are wished for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineAsk {
    /// Of this principal: name, id or unique prefix of the id.
    pub principal: Option<String>,
    /// About this connector: name, id or unique prefix of the id.
    pub connector: Option<String>,
    /// In or about this run: name, id or unique prefix of the id.
    pub run: Option<String>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Broker {
    /// Lists lines, newest first. A whole id is taken as it is, so that what
    /// was deleted can still be asked about; a foreign one finds nothing,
    /// because only lines of the caller's project are looked at.
    ///
    /// # Errors
    /// `Denied`; `NotFound` for a name that is not of this project.
    pub async fn list_audit_lines(
        &self,
        call: &Call,
        ask: &LineAsk,
        page: &PageAsk,
    ) -> Result<Page<StoredLine>, BrokerError> {
        self.permit(call, Permission::AuditRead).await?;
        let filter = LineFilter {
            project: Some(call.project()),
            principal: self.line_principal(call, ask.principal.as_deref()).await?,
            connector: self.line_connector(call, ask.connector.as_deref()).await?,
            run: self.line_run(call, ask.run.as_deref()).await?,
            outcome: ask.outcome,
            since: ask.since,
            until: ask.until,
        };
        let found = self.store.lines(&filter, page).await;
        found.map_err(|error| BrokerError::of("ledger line", &error))
    }

    async fn line_principal(&self, call: &Call, text: Option<&str>) -> Result<Option<PrincipalId>, BrokerError> {
        let Some(text) = text else { return Ok(None) };
        if let Ok(id) = text.parse() {
            return Ok(Some(id));
        }
        let found: Result<_, StoreError> = self.store.resolve_principal(call.project(), text).await;
        found.map(|principal| Some(principal.id)).map_err(|error| BrokerError::of("principal", &error))
    }

    async fn line_connector(&self, call: &Call, text: Option<&str>) -> Result<Option<ConnectorId>, BrokerError> {
        let Some(text) = text else { return Ok(None) };
        if let Ok(id) = text.parse() {
            return Ok(Some(id));
        }
        let found = self.find_connector(call.project(), text).await;
        found.map(|connector| Some(connector.id)).map_err(|error| BrokerError::of("connector", &error))
    }

    async fn line_run(&self, call: &Call, text: Option<&str>) -> Result<Option<RunId>, BrokerError> {
        let Some(text) = text else { return Ok(None) };
        if let Ok(id) = text.parse() {
            return Ok(Some(id));
        }
        let found = self.store.resolve_run(call.project(), None, text).await;
        found.map(|run| Some(run.id)).map_err(|error| BrokerError::of("run", &error))
    }
}

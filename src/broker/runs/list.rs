//! List and describe runs: one's own, or with the permission for it, all. A
//! run sees itself.

use crate::audit::Outcome;
use crate::authz::{Permission, visible_scope};
use crate::domain::{Page, PageAsk, PrincipalId, Run};
use crate::store::RunFilter;

use super::super::{Broker, BrokerError, Call};

/// Which runs are wished for.
#[derive(Debug, Clone, Default)]
pub struct RunAsk {
    /// Started by this principal: name, id, or unique prefix of the id.
    pub principal: Option<String>,
    /// On this stack: name, id, or unique prefix of the id.
    pub stack: Option<String>,
    /// That go on now.
    pub live_only: bool,
}

impl Broker {
    /// Lists runs, newest first.
    ///
    /// # Errors
    /// `Denied`, also for those of others without the permission; `NotFound`.
    pub async fn list_runs(&self, call: &Call, ask: &RunAsk, page: &PageAsk) -> Result<Page<Run>, BrokerError> {
        self.permit(call, Permission::RunsList).await?;
        if let Some(scope) = &call.caller.subject.run {
            return Ok(Page { items: vec![Run::clone(&scope.run)], next: None });
        }
        let principal = self.starter_of(call, ask.principal.as_deref()).await?;
        let stack = match &ask.stack {
            None => None,
            Some(text) => {
                let scope = visible_scope(&call.caller.subject, Permission::RunsList, self.clock.now());
                Some(self.stack_within(call, text, Permission::RunsList, &scope).await?.id)
            }
        };
        let filter = RunFilter { principal, stack, live_at: ask.live_only.then(|| self.clock.now()) };
        let found = self.store.runs(call.project(), &filter, page).await;
        found.map_err(|error| BrokerError::of("run", &error))
    }

    /// Describes one run.
    ///
    /// # Errors
    /// `Denied`; `NotFound`, also for a run of somebody else without the
    /// permission for those.
    pub async fn describe_run(&self, call: &Call, text: &str) -> Result<Run, BrokerError> {
        self.permit(call, Permission::RunsList).await?;
        self.run_named(call, text, Some(Permission::RunsListAll)).await
    }

    /// Whose runs: everybody's only for those who may see them.
    async fn starter_of(&self, call: &Call, text: Option<&str>) -> Result<Option<PrincipalId>, BrokerError> {
        let all = self.sees_all(call, Permission::RunsListAll);
        match text {
            None => Ok((!all).then(|| call.principal().id)),
            Some(text) if call.names_caller(text) => Ok(Some(call.principal().id)),
            Some(text) if all => {
                let found = self.store.resolve_principal(call.project(), text).await;
                Ok(Some(found.map_err(|error| BrokerError::of("principal", &error))?.id))
            }
            Some(_) => {
                let refused = BrokerError::Denied {
                    code: "GRANT_MISSING",
                    permission: Permission::RunsListAll.as_str(),
                    hint: "without it you see your own runs only".to_owned(),
                };
                self.write_line(&call.record, call.line(Outcome::Denied, refused.code())).await?;
                Err(refused)
            }
        }
    }
}

//! Finish a run: its token is nobody's from then on, and what it minted is
//! handed out no more. What clouds still honour is said, and ended where they
//! can when that was asked for.

use crate::audit::{Line, Outcome, Subject};
use crate::authz::Permission;
use crate::domain::{PageAsk, Run, RunState};
use crate::store::{IssuanceFilter, Tx, Write};

use super::super::credentials::{REVOKE_MAX, Touched};
use super::super::{Broker, BrokerError, Call, Once, Revoked};

/// Which run, and what about what it minted.
#[derive(Debug, Clone)]
pub struct FinishRun {
    /// Name, id or unique prefix of the id.
    pub run: String,
    /// End what it minted, where clouds can.
    pub revoke: bool,
    /// What makes the request the same.
    pub once: Option<Once>,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// As stored.
    pub run: Run,
    /// What it minted that was alive then, with what became of it: the last
    /// 1,000.
    pub credentials: Vec<Revoked>,
    /// There is more than these.
    pub more: bool,
}

impl Broker {
    /// Finishes a run. One that is over already stays as it was.
    ///
    /// # Errors
    /// `Denied`; `NotFound`, also for a run of somebody else without the
    /// permission for those; `Unavailable`, with the run finished, when its
    /// issuances cannot be read or a ledger line about one not be written.
    pub async fn finish_run(&self, call: &Call, ask: &FinishRun) -> Result<Finished, BrokerError> {
        self.permit(call, Permission::Own).await?;
        let run = self.run_named(call, &ask.run, Some(Permission::RunsFinish)).await?;
        let run = match self.recall(call, ask.once.as_ref()).await? {
            Some(earlier) => earlier,
            None => self.end_run(call, run, ask.once.as_ref()).await?,
        };
        // The revision has grown: flights and streams look again before they
        // hand out, and find nobody.
        self.forget(&[Touched::Run(run.id)]);
        let (credentials, more) = self.left_over(call, &run, ask.revoke).await?;
        Ok(Finished { run, credentials, more })
    }

    async fn end_run(&self, call: &Call, run: Run, once: Option<&Once>) -> Result<Run, BrokerError> {
        let now = self.clock.now();
        if run.state_at(now) != RunState::Running {
            return Ok(run);
        }
        let finished = run.finished(now);
        let line = Line { subject: Some(Subject::Run(run.id)), ..call.line(Outcome::Ok, "") };
        let tx = Tx::with_line(line.with_detail("name", run.name.as_str()))
            .write(Write::FinishRun { project: run.project, id: run.id, at: now })
            .remember(self.remember(call, once, &finished)?);
        let committed = self.commit(call, "run", tx).await;
        self.settled(call, once, finished, committed).await
    }

    /// What the run minted that is alive: the last 1,000, and whether there is
    /// more.
    async fn left_over(&self, call: &Call, run: &Run, revoke: bool) -> Result<(Vec<Revoked>, bool), BrokerError> {
        let filter =
            IssuanceFilter { run: Some(run.id), active_at: Some(self.clock.now()), ..IssuanceFilter::default() };
        let page = PageAsk { size: REVOKE_MAX, after: None };
        let found = self.store.issuances_to_end(run.project, &filter, &page).await;
        let alive = found.map_err(|error| BrokerError::of("issuance", &error))?;
        let mut credentials = Vec::with_capacity(alive.items.len());
        for issuance in alive.items {
            credentials.push(if revoke {
                self.revoke_one(call, issuance).await?
            } else {
                let note = format!("no longer handed out; the cloud honours it until {}", issuance.expires_at);
                Revoked { issuance, note }
            });
        }
        Ok((credentials, alive.next.is_some()))
    }
}

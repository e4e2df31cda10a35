//! Renew a run: its token lives on, the run does not get longer. By the run
//! itself while its token lives, or by its starter also after that.

use crate::audit::{Line, Outcome, Subject};
use crate::authz::Permission;
use crate::domain::{Run, RunState, Ttl};
use crate::store::{Tx, Write};

use super::super::{Broker, BrokerError, Call, Once};
use super::start::token_ttl;

impl Broker {
    /// Renews a run.
    ///
    /// # Errors
    /// `Denied`; `NotFound`, also for a run of somebody else; `Invalid` for
    /// more than an hour; `Precondition` when the run is over.
    pub async fn renew_run(
        &self,
        call: &Call,
        text: &str,
        ttl: Option<Ttl>,
        once: Option<&Once>,
    ) -> Result<Run, BrokerError> {
        self.permit(call, Permission::Own).await?;
        let run = self.run_named(call, text, None).await?;
        let ttl = token_ttl(ttl)?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        self.sure_of_the_time()?;
        let now = self.clock.now();
        if run.state_at(now) != RunState::Running {
            return Err(over(&run, run.state_at(now)));
        }
        let renewed = run.renewed(now, ttl);
        if renewed == run {
            return Ok(run);
        }
        let line = Line {
            subject: Some(Subject::Run(run.id)),
            expires_at: Some(renewed.token_expires_at),
            ..call.line(Outcome::Ok, "")
        };
        let write = Write::RenewRun { project: run.project, id: run.id, token_expires_at: renewed.token_expires_at };
        let tx = Tx::with_line(line).write(write).remember(self.remember(call, once, &renewed)?);
        let committed = self.commit(call, "run", tx).await;
        self.settled(call, once, renewed, committed).await
    }
}

fn over(run: &Run, state: RunState) -> BrokerError {
    BrokerError::Precondition {
        code: "RUN_OVER",
        message: format!("run {} is {}", run.name, state.as_str()),
        hint: format!("valetkey run start --stack {}", run.stack_name),
    }
}

//! Runs: one execution of a pipeline on a stack.
//!
//! A run is its starter, confined: to the components of one stack, to a short
//! list of acts, and to an end. Its token is short and renewable; what it may
//! do is decided with what its starter holds at that moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::ids::{PrincipalId, ProjectId, RunId, StackId};
use super::name::Name;
use super::token::TokenId;
use super::ttl::Ttl;

/// The longest life of a run's token from each renewal on: what a leaked one
/// is worth once nobody renews it.
pub const RUN_TOKEN_TTL_MAX: Ttl = Ttl::seconds(60 * 60);
/// How long a run lasts when nothing is said.
pub const RUN_DURATION_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that a run lasts, however often it is renewed: no training goes
/// on for a week unless somebody looks at it.
pub const RUN_DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It goes on.
    Running,
    /// Somebody has finished it.
    Finished,
    /// Its end has passed.
    Expired,
}

impl RunState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Expired => "expired",
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Names it for ever.
    pub id: RunId,
    /// Its tenancy.
    pub project: ProjectId,
    /// A label for people: several runs may have it.
    pub name: Name,
    /// On which stack.
    pub stack: StackId,
    /// The stack's name at that time.
    pub stack_name: Name,
    /// Who started it, and whom it acts for.
    pub principal: PrincipalId,
    /// The starter's name at that time.
    pub principal_name: Name,
    /// The public part of its token.
    pub token: TokenId,
    /// When its token ends, unless it is renewed.
    ///
    /// Invariant: never after `ends_at`.
    pub token_expires_at: Timestamp,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ends, however often it is renewed.
    pub ends_at: Timestamp,
    /// When somebody finished it.
    pub finished_at: Option<Timestamp>,
}

impl Run {
    /// What it is at `now`.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> RunState {
        match self.finished_at {
            Some(_) => RunState::Finished,
            None if self.ends_at <= now => RunState::Expired,
            None => RunState::Running,
        }
    }

    /// When it was over, or will be at the latest.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.finished_at.map_or(self.ends_at, |finished| finished.min(self.ends_at))
    }

    /// Renewed at `now`: its token lives for `ttl` from then on, never beyond
    /// the run's end, and never shorter than it would have.
    #[must_use]
    pub fn renewed(&self, now: Timestamp, ttl: Ttl) -> Self {
        let longer = now.plus(ttl.as_duration()).min(self.ends_at);
        Self { token_expires_at: longer.max(self.token_expires_at), ..self.clone() }
    }

    /// Finished at `now`, unless it was before.
    #[must_use]
    pub fn finished(&self, now: Timestamp) -> Self {
        Self { finished_at: Some(self.finished_at.unwrap_or(now)), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    fn run() -> Run {
        Run {
            id: RunId::from_bytes([1; 16]),
            project: ProjectId::from_bytes([2; 16]),
            name: "nightly".parse().unwrap(),
            stack: StackId::from_bytes([3; 16]),
            stack_name: "prod".parse().unwrap(),
            principal: PrincipalId::from_bytes([4; 16]),
            principal_name: "ada".parse().unwrap(),
            token: TokenId("t".repeat(22)),
            token_expires_at: after(3600),
            started_at: START,
            ends_at: after(7200),
            finished_at: None,
        }
    }

    #[test]
    fn a_renewal_never_goes_beyond_the_end_and_never_shortens() {
        let run = run();
        assert_eq!(run.renewed(after(600), RUN_TOKEN_TTL_MAX).token_expires_at, after(4200));
        assert_eq!(run.renewed(after(600), Ttl::seconds(60)).token_expires_at, after(3600), "not shortened");
        assert_eq!(run.renewed(after(7000), RUN_TOKEN_TTL_MAX).token_expires_at, after(7200), "the run's end");
    }

    #[test]
    fn a_run_is_over_when_it_is_finished_or_at_its_end() {
        let run = run();
        assert_eq!((run.state_at(after(7199)), run.over_at()), (RunState::Running, after(7200)));
        assert_eq!(run.state_at(after(7200)), RunState::Expired, "to the second");
        let done = run.finished(after(60));
        assert_eq!(done.finished(after(90)), done, "once");
        assert_eq!((done.state_at(after(61)), done.over_at()), (RunState::Finished, after(60)));
        assert_eq!(run.finished(after(9000)).over_at(), after(7200), "it was over already");
    }
}

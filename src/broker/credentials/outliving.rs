//! The hard end of a mint: a `ttl_max`, the end of the grant, the end of the
//! run. Many providers give the life that they choose, whatever they are asked
//! for, so what they gave is looked at again: what would live past a hard end
//! is handed to nobody, and the ledger says that it is there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::authz::Limits;
use crate::domain::{Issuance, IssuanceState, Revocable, Timestamp, Ttl};
use crate::store::{Tx, Write};

use super::super::{Broker, BrokerError, Call};
use super::plan::{Plan, route_line};

/// How far past a hard end is still not past it: clocks differ, and clouds
/// round to whole minutes.
const SKEW: Duration = Duration::from_secs(60);
/// How long a provider is taken to give what it gave last. Less would mint and
/// throw away for every ask; more would keep refusing after it was mended.
const LEARNED_KEPT: Duration = Duration::from_secs(5 * 60);
/// The most routes of which that is known.
const LEARNED_MAX: usize = 4_096;
/// The reason code.
const OUTLIVES: &str = "OUTLIVES_CEILING";

/// Something that no credential may outlive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ceiling {
    /// The connector's `ttl_max`.
    Connector(Ttl),
    /// The role binding's `ttl_max`.
    Binding(Ttl),
    /// The end of the role binding.
    Grant(Timestamp),
    /// The end of the run.
    Run(Timestamp),
}

impl Ceiling {
    /// When what is handed out at `now` must have ended.
    fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Connector(longest) | Self::Binding(longest) => now.plus(longest.as_duration()),
            Self::Grant(end) | Self::Run(end) => end,
        }
    }

    /// What a credential of `life` is told to be.
    fn outlived_by(self, life: Duration) -> BrokerError {
        let shorter = "or have the provider set to shorter ones, or use an auth method that gives what is asked for";
        let (beyond, remedy) = match self {
            Self::Connector(longest) => (
                format!("longer than the connector's ttl_max of {} s", longest.as_seconds()),
                "a platform engineer can raise it with connector update --ttl-max",
            ),
            Self::Binding(longest) => (
                format!("longer than the role binding's ttl_max of {} s", longest.as_seconds()),
                "ask an owner for a role binding with a longer ttl_max",
            ),
            Self::Grant(end) => (
                format!("past the end of the role binding, {end}"),
                "ask an owner for a role binding that lasts longer",
            ),
            Self::Run(end) => {
                (format!("past the end of the run, {end}"), "start a run that lasts longer, with --max-duration")
            }
        };
        BrokerError::Precondition {
            code: OUTLIVES,
            message: format!("the provider's credential would live {} s: {beyond}", life.as_secs()),
            hint: format!("{remedy}, {shorter}"),
        }
    }
}

/// All that no credential of one caller may outlive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HardEnd([Option<Ceiling>; 3]);

impl HardEnd {
    /// Of a connector's `ttl_max` and of a permit, in a run that ends then.
    pub(super) fn new(connector: Option<Ttl>, limits: &Limits, run: Option<Timestamp>) -> Self {
        let end = limits.not_after.map(|end| if run == Some(end) { Ceiling::Run(end) } else { Ceiling::Grant(end) });
        Self([connector.map(Ceiling::Connector), limits.ttl_max.map(Ceiling::Binding), end])
    }

    /// Refuses what would be handed out at `now` and outlive any of it.
    pub(super) fn check(&self, expires_at: Timestamp, now: Timestamp) -> Result<(), BrokerError> {
        let Some(nearest) = self.0.into_iter().flatten().min_by_key(|ceiling| ceiling.end(now)) else { return Ok(()) };
        if expires_at <= nearest.end(now).plus(SKEW) {
            return Ok(());
        }
        Err(nearest.outlived_by(expires_at.since(now)))
    }
}

/// Whether this says that a credential would outlive a hard end.
pub(super) fn outlives(error: &BrokerError) -> bool {
    error.code() == OUTLIVES
}

/// What a provider gave that was refused.
struct Given {
    asked: Ttl,
    life: Duration,
    until: Timestamp,
}

/// What providers gave that outlived a hard end, by route: it is not asked for
/// again and again.
#[derive(Default)]
pub(in crate::broker) struct Outliving(Mutex<HashMap<[u8; 32], Given>>);

impl Outliving {
    /// Keeps what the provider of this plan gave at `now`.
    fn learn(&self, plan: &Plan, life: Duration, now: Timestamp) {
        let given = Given { asked: plan.granted.ttl, life, until: now.plus(LEARNED_KEPT) };
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.retain(|_, given| given.until > now);
        if learned.len() < LEARNED_MAX {
            learned.insert(plan.route.digest, given);
        }
    }

    /// Why the provider of this plan need not be asked: it gave too much to
    /// whoever asked for as much or more.
    pub(super) fn refusal(&self, plan: &Plan, now: Timestamp) -> Option<BrokerError> {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let given = learned.get(&plan.route.digest)?;
        let known = given.until > now && plan.granted.ttl <= given.asked;
        known.then(|| plan.end.check(now.plus(given.life), now).err()).flatten()
    }
}

impl Broker {
    /// Whether the hard end of the plan admits what was minted; what it does
    /// not admit is remembered.
    pub(super) fn within_end(&self, plan: &Plan, record: &Issuance) -> Result<(), BrokerError> {
        let now = self.clock.now();
        let checked = plan.end.check(record.expires_at, now);
        if checked.is_err() {
            self.outliving.learn(plan, record.expires_at.since(now), now);
        }
        checked
    }

    /// Says in the ledger that what is there, or would be got, is refused.
    pub(super) async fn refuse_outliving(&self, call: &Call, plan: &Plan, error: BrokerError) -> BrokerError {
        let line = route_line(call, &plan.route, Outcome::Denied, error.code());
        match self.write_line(&call.record, line).await {
            Ok(()) => error,
            Err(unwritten) => unwritten,
        }
    }

    /// Ends the entry of a mint that is handed to nobody, for this reason or
    /// because something changed meanwhile, and the credential
    /// where the provider can end one. Gives the error back.
    pub(super) async fn close_outliving(
        &self,
        call: &Call,
        entry: &OpenEntry,
        record: &Issuance,
        error: BrokerError,
    ) -> BrokerError {
        if self.store.commit(self.outliving_tx(entry, record, &error)).await.is_err() {
            return self.close_failed(call, entry, error).await;
        }
        call.record.mark_lined();
        self.end_outliving(call, record).await;
        error
    }

    /// The truth about it: it exists until its end, and nobody has it. What is
    /// the stored secret itself was made by no mint.
    pub(super) fn outliving_tx(&self, entry: &OpenEntry, record: &Issuance, error: &BrokerError) -> Tx {
        let line = entry.result(Outcome::Failed, Reason::new(error.code()));
        if record.passthrough {
            return Tx::with_line(self.ledger.stamp(line));
        }
        let line = Line { expires_at: Some(record.expires_at), ..line }
            .with_detail("fingerprint", &record.fingerprint)
            .with_detail("fate", "handed to nobody; the provider honours it until it ends");
        let (state, ended_at) = (IssuanceState::Withdrawn, Some(self.clock.now()));
        let withdrawn = Issuance { state, ended_at, ..record.clone() };
        Tx::with_line(self.ledger.stamp(line)).write(Write::InsertIssuance(withdrawn))
    }

    /// Ends it at the provider where that can end a single one: an entry of
    /// its own, which says what became of it.
    pub(super) async fn end_outliving(&self, call: &Call, record: &Issuance) {
        if record.revocable != Revocable::Single || record.passthrough {
            return;
        }
        let withdrawn = Issuance { state: IssuanceState::Withdrawn, ..record.clone() };
        if self.revoke_one(call, withdrawn).await.is_err() {
            tracing::error!(issuance = %record.id, "a credential that was handed to nobody could not be ended");
        }
    }
}

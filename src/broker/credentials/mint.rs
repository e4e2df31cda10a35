//! Mint: from the cache, from a flight under way, or by a flight of one's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::connectors::{MintOutcome, UpstreamError};
use crate::domain::{Connector, Issuance, IssuanceId, IssuanceState, Minted, Revocable, Timestamp};
use crate::store::{Guard, StoreError, Tx, Write};

use super::super::connectors::stored_settings;
use super::super::detach::detach;
use super::super::{Broker, BrokerError, Call};
use super::cache::Kept;
use super::flight::{Boarding, Landing, Leading};
use super::hand_out::{HandedOut, audited_passthrough, hand_out_line};
use super::outliving::outlives;
use super::plan::{MintAsk, Plan, changed_meanwhile, route_line};
use super::revoke::destination_of;

/// How long a mint may take in all, role chains included, beyond the patience
/// for a source credential that each use replaces.
const MINT_DEADLINE: Duration = Duration::from_secs(15);
/// How often an ask looks for a flight: one that was refused for what another
/// caller may not have is no answer to this one.
const BOARDINGS_MAX: u32 = 3;
/// How long after a failed refresh the next one is tried, and up to how much
/// later.
const REFRESH_PAUSE: Duration = Duration::from_secs(60);
const REFRESH_JITTER_MS: u64 = 60_000;

/// Tells the one who leads that its hand-out is in the ledger already. Nobody
/// listens once the caller has hung up: then nothing is handed out, and no
/// line says so.
type Seat = oneshot::Sender<()>;

/// A credential for one caller, and whether the line of its hand-out is
/// durable already.
type Obtained = Result<(Arc<Kept>, bool), BrokerError>;

impl Broker {
    /// Mints a credential, or hands out one that is good enough.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` with the field; `Precondition`;
    /// `Upstream` when the cloud gives none and none is kept; `Unavailable`
    /// when the ledger cannot be written.
    pub async fn mint_credential(self: &Arc<Self>, call: &Call, ask: &MintAsk) -> Result<HandedOut, BrokerError> {
        let plan = self.plan(call, ask).await?;
        let obtained = self.obtain(call, &plan).await;
        self.to_the_door(call, ask, &plan, obtained).await
    }

    /// The next credential for one who has the issuance `last`. What is kept
    /// is no news to it: a new one is minted then. Nothing when there is none
    /// yet.
    pub(super) async fn mint_next(
        self: &Arc<Self>,
        call: &Call,
        ask: &MintAsk,
        last: Option<IssuanceId>,
    ) -> Result<Option<HandedOut>, BrokerError> {
        let plan = self.plan(call, ask).await?;
        let known = |kept: &Arc<Kept>| last == Some(kept.issuance);
        let obtained = match self.cache.find(&plan.key) {
            Some(kept) if known(&kept) => self.fly_or_wait(call, &plan).await,
            Some(_) | None => self.obtain(call, &plan).await,
        };
        if obtained.as_ref().is_ok_and(|(kept, _)| known(kept)) {
            return Ok(None);
        }
        self.to_the_door(call, ask, &plan, obtained).await.map(Some)
    }

    /// The line of the hand-out, and a last look.
    async fn to_the_door(
        &self,
        call: &Call,
        ask: &MintAsk,
        plan: &Plan,
        obtained: Obtained,
    ) -> Result<HandedOut, BrokerError> {
        // Another caller's flight had another hard end.
        let within = |(kept, lined): (Arc<Kept>, bool)| {
            plan.end.check(kept.minted.expires_at, self.clock.now()).map(|()| (kept, lined))
        };
        let (kept, lined) = match obtained.and_then(within) {
            Err(error) if outlives(&error) && !call.record.lined() => {
                return Err(Box::pin(self.refuse_outliving(call, plan, error)).await);
            }
            // Whose run was finished meanwhile is nobody by now, and need not
            // ask again.
            Err(error) if error == changed_meanwhile() => {
                Box::pin(self.caller_again(&call.caller.token)).await?;
                return Err(error);
            }
            obtained => obtained?,
        };
        if !lined {
            self.hand_out(call, plan, &kept).await?;
        }
        if let Err(error) = self.may_leave(call, ask, plan, &kept).await {
            let line = route_line(call, &plan.route, Outcome::Denied, "WITHHELD");
            Box::pin(self.write_line(&call.record, Line { issuance: Some(kept.issuance), ..line })).await?;
            return Err(error);
        }
        Ok(HandedOut::new(kept, plan))
    }

    /// Invariant: what leaves was allowed at a revision that is still the
    /// newest after its ledger line is durable, and was not withdrawn.
    async fn may_leave(&self, call: &Call, ask: &MintAsk, plan: &Plan, kept: &Kept) -> Result<(), BrokerError> {
        if self.cache.withdrawn(kept.issuance) {
            self.cache.drop_key(&plan.key);
            return Err(changed_meanwhile());
        }
        self.sure_of_the_time()?;
        if self.lookups.revision() != call.caller.as_of {
            let again = Box::pin(self.still(call, ask, plan)).await?;
            again.end.check(kept.minted.expires_at, self.clock.now())?;
        }
        Ok(())
    }

    /// A kept credential with enough life, or a new one.
    async fn obtain(self: &Arc<Self>, call: &Call, plan: &Plan) -> Obtained {
        let now = self.clock.now();
        let fits = |kept: &Arc<Kept>| plan.end.check(kept.minted.expires_at, now).is_ok();
        if let Some(kept) = self.cache.find(&plan.key).filter(fits) {
            let floor = kept.floor(plan.min_remaining);
            let remaining = kept.remaining(now);
            if remaining >= floor {
                if kept.due(now, floor) {
                    self.refresh_ahead(call, plan, &kept);
                }
                return Ok((kept, false));
            }
            // A credential that still has half of its floor survives an
            // outage of the cloud, and a next one that would live too long.
            return match Box::pin(self.fly_or_wait(call, plan)).await {
                Err(error) if survived(&error) && remaining >= floor.div_ceil(2).max(1) => Ok((kept, false)),
                obtained => obtained,
            };
        }
        // Boxed, as all that the warm path does not take: its frame stays small.
        match Box::pin(self.fly_or_wait(call, plan)).await {
            Err(error) if outlives(&error) => self.kept_uncut(plan, now).map(|kept| (kept, false)).ok_or(error),
            obtained => obtained,
        }
    }

    /// What was minted before the end came near serves on until it ends, where
    /// a next one would live too long.
    fn kept_uncut(&self, plan: &Plan, now: Timestamp) -> Option<Arc<Kept>> {
        let kept = self.cache.find(plan.uncut.as_ref()?)?;
        let enough = kept.remaining(now) >= kept.floor(plan.min_remaining).div_ceil(2).max(1);
        (enough && plan.end.check(kept.minted.expires_at, now).is_ok()).then_some(kept)
    }

    async fn fly_or_wait(self: &Arc<Self>, call: &Call, plan: &Plan) -> Obtained {
        for _ in 0..BOARDINGS_MAX {
            let now = self.clock.now();
            if let Some(error) = self.outliving.refusal(plan, now) {
                return Err(error);
            }
            match self.flights.join(&plan.key, call.principal().id, now)? {
                Boarding::Failed(error) => return Err(error),
                Boarding::Wait(waiting) => match waiting.landing().await {
                    Err(error) if outlives(&error) => {}
                    landing => return Ok((landing?, false)),
                },
                Boarding::Lead(leading, waiting) => {
                    let (seat, mut told) = oneshot::channel();
                    self.take_off(call, plan, leading, Some(seat));
                    let kept = waiting.landing().await?;
                    return Ok((kept, told.try_recv().is_ok()));
                }
            }
        }
        Err(changed_meanwhile())
    }

    /// Mints the next one while the last one still serves.
    fn refresh_ahead(self: &Arc<Self>, call: &Call, plan: &Plan, kept: &Arc<Kept>) {
        let now = self.clock.now();
        // With jitter: what an outage held up does not come back in step.
        let jitter = Duration::from_millis(u64::from(kept.issuance.as_bytes()[1]) * REFRESH_JITTER_MS / 255);
        kept.refresh_not_before.store(now.plus(REFRESH_PAUSE + jitter).millis(), Ordering::Relaxed);
        if self.outliving.refusal(plan, now).is_some() {
            return;
        }
        if let Ok(Boarding::Lead(leading, waiting)) = self.flights.join(&plan.key, call.principal().id, now) {
            drop(waiting);
            self.take_off(call, plan, leading, None);
        }
    }

    fn take_off(self: &Arc<Self>, call: &Call, plan: &Plan, leading: Leading, seat: Option<Seat>) {
        let (broker, call, plan) = (Arc::clone(self), call.clone(), plan.clone());
        detach(async move {
            let landing = broker.fly(&call, &plan, seat).await;
            match &landing {
                Ok(kept) => broker.cache.keep(plan.key.clone(), Arc::clone(kept), plan.since),
                // A final answer ends what is kept, too.
                Err(BrokerError::Upstream(error)) if !error.spares_what_is_kept() => broker.cache.drop_key(&plan.key),
                Err(_) => {}
            }
            leading.land(landing, broker.clock.now());
        });
    }

    /// Unless the cloud is to be left alone.
    async fn fly(&self, call: &Call, plan: &Plan, seat: Option<Seat>) -> Landing {
        let pass = self.breakers.pass(plan.route.connector.id, self.clock.now())?;
        let landing = self.fly_through(call, plan, seat).await;
        pass.landed(&landing, self.clock.now());
        landing
    }

    /// Intent, key, cloud, result: in this order.
    async fn fly_through(&self, call: &Call, plan: &Plan, seat: Option<Seat>) -> Landing {
        if stored_settings(&plan.route.connector)?.exclusive {
            return Box::pin(self.fly_alone(call, plan)).await;
        }
        let issuance = IssuanceId::random(self.entropy.as_ref())?;
        let line = route_line(call, &plan.route, Outcome::Pending, "");
        let entry = self.ledger.open(Line { issuance: Some(issuance), ..line }).await?;
        let asked = self.ask_cloud(call, plan, &entry, issuance).await;
        let minted = match asked.and_then(|outcome| self.usable(plan, outcome)) {
            Ok(minted) => minted,
            Err(error) => return Err(self.close_failed(call, &entry, error).await),
        };
        let record = self.issuance(call, plan, issuance, &minted);
        if let Err(error) = self.within_end(plan, &record) {
            return Err(Box::pin(self.close_outliving(call, &entry, &record, error)).await);
        }
        self.record_issuance(call, plan, &entry, &record, seat).await?;
        Ok(kept(minted, &record))
    }

    pub(super) async fn ask_cloud(
        &self,
        call: &Call,
        plan: &Plan,
        entry: &OpenEntry,
        issuance: IssuanceId,
    ) -> Result<MintOutcome, BrokerError> {
        let route = Arc::clone(&plan.route);
        let attribution = call.attribution(issuance);
        let upstream = self.upstream_for(call, &plan.route.connector, Some(issuance), entry);
        let ttl = plan.granted.ttl;
        // What the cloud has done is lost when nobody hears its answer: so long
        // as whoever asked waits, or not, this does.
        let (deadline, late) = if stored_settings(&plan.route.connector)?.exclusive {
            (upstream.outbound.patience() + MINT_DEADLINE, UpstreamError::InDoubt)
        } else {
            (MINT_DEADLINE, UpstreamError::DeadlineExceeded)
        };
        let asked = self.with_secret(&plan.route.connector, &plan.permit, entry, move |secret| {
            Box::pin(async move {
                let connector = &route.connector;
                let asked = route.kind.mint(
                    &upstream,
                    &connector.settings,
                    secret,
                    connector.secret.usable_until(),
                    &route.scope.json,
                    ttl,
                    &attribution,
                );
                tokio::time::timeout(deadline, asked).await.unwrap_or(Err(late))
            })
        });
        Ok(asked.await??)
    }

    /// What a connector may mint whose source credential no use replaces.
    fn usable(&self, plan: &Plan, outcome: MintOutcome) -> Result<Minted, BrokerError> {
        if outcome.successor.is_some() {
            return Err(BrokerError::Internal { what: "a successor of a source credential that is not exclusive" });
        }
        self.checked(plan, outcome.minted?)
    }

    /// What no connector type may get wrong: the shape that it promised, a
    /// life in the future, and the long-lived secret only where the connector
    /// allows it.
    pub(super) fn checked(&self, plan: &Plan, mut minted: Minted) -> Result<Minted, BrokerError> {
        // A skew tolerance makes no long-lived secret a short-lived one.
        minted.passthrough |= plan.route.passthrough;
        if minted.shape.name() != plan.route.scope.shape {
            return Err(BrokerError::Internal { what: "a credential of another shape than was decided on" });
        }
        if minted.expires_at <= self.clock.now() {
            return Err(UpstreamError::BadAnswer { what: "it has expired already" }.into());
        }
        if minted.passthrough && !plan.route.connector.policy.allow_passthrough {
            return Err(BrokerError::Internal { what: "a long-lived secret was about to leave" });
        }
        Ok(minted)
    }

    /// The record and the result line in one transaction, only while the
    /// connector is as it was when the mint was decided, and the run goes on.
    /// The hand-out to the one who leads goes with them, for as long as it
    /// waits for it: no commit of its own.
    pub(super) async fn record_issuance(
        &self,
        call: &Call,
        plan: &Plan,
        entry: &OpenEntry,
        record: &Issuance,
        seat: Option<Seat>,
    ) -> Result<(), BrokerError> {
        let seat = seat.filter(|seat| !seat.is_closed());
        let hand_out =
            seat.as_ref().map(|_| hand_out_line(call, plan, record.id, record.expires_at, record.passthrough));
        let mut tx = self.issuance_tx(entry, record).guard(as_it_was(&plan.route.connector));
        tx.guards.extend(unfinished(record));
        tx.lines.extend(hand_out.map(|line| self.ledger.stamp(line)));
        match self.store.commit(tx).await {
            Ok(_) => {
                call.record.mark_lined();
                // Whoever went away meanwhile is not told.
                let _ = seat.map(|seat| seat.send(()));
                Ok(())
            }
            // The credential exists at the cloud and is handed to nobody. Who
            // finished its run could not know of it: it is ended here.
            Err(StoreError::Stale | StoreError::NotFound) => {
                Err(Box::pin(self.close_outliving(call, entry, record, changed_meanwhile())).await)
            }
            Err(error) => Err(self.close_failed(call, entry, BrokerError::of("issuance", &error)).await),
        }
    }

    /// The record and the result line of a mint.
    pub(super) fn issuance_tx(&self, entry: &OpenEntry, record: &Issuance) -> Tx {
        let result = Line { expires_at: Some(record.expires_at), ..entry.result(Outcome::Ok, Reason::default()) }
            .with_detail("enforced", &record.enforced.words)
            .with_detail("fingerprint", &record.fingerprint);
        let result = audited_passthrough(result, record.passthrough);
        Tx::with_line(self.ledger.stamp(result)).write(Write::InsertIssuance(record.clone()))
    }

    pub(super) fn issuance(&self, call: &Call, plan: &Plan, id: IssuanceId, minted: &Minted) -> Issuance {
        let route = &plan.route;
        Issuance {
            id,
            project: call.project(),
            connector: route.connector.id,
            connector_name: route.connector.name.clone(),
            component: route.component.as_ref().map(|component| component.id),
            principal: call.principal().id,
            principal_name: call.principal().name.clone(),
            run: call.run(),
            resource_type: route.resource_type.clone(),
            resource_id: route.resource.clone(),
            access: route.access,
            enforced: minted.enforced.clone(),
            revocable: minted.revocable,
            passthrough: minted.passthrough,
            destination: (minted.revocable == Revocable::Single).then(|| destination_of(&route.connector)).flatten(),
            issued_at: self.clock.now(),
            expires_at: minted.expires_at,
            fingerprint: minted.fingerprint(),
            state: IssuanceState::Active,
            ended_at: None,
        }
    }
}

/// Whether what is kept goes on to serve, though no other one was to be had.
fn survived(error: &BrokerError) -> bool {
    matches!(error, BrokerError::Upstream(cause) if cause.spares_what_is_kept()) || outlives(error)
}

/// What is kept of a mint whose record is durable.
pub(super) fn kept(minted: Minted, record: &Issuance) -> Arc<Kept> {
    Arc::new(Kept {
        minted,
        issuance: record.id,
        connector: record.connector,
        component: record.component,
        principal: record.principal,
        run: record.run,
        issued_at: record.issued_at,
        refresh_not_before: AtomicI64::new(0),
    })
}

/// What is minted in a run is recorded while the run goes on: whoever finishes
/// it finds it among what is left, or it is not there.
pub(super) fn unfinished(record: &Issuance) -> Option<Guard> {
    record.run.map(|id| Guard::RunUnfinished { project: record.project, id })
}

const fn as_it_was(connector: &Connector) -> Guard {
    Guard::ConnectorAt { project: connector.project, id: connector.id, version: connector.version }
}

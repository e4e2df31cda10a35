//! A mint that may use its source credential up: alone, with what the last
//! one left, and nothing is handed out before what replaces it is durable.

use std::sync::Arc;

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::connectors::{MintOutcome, UpstreamError};
use crate::domain::{Connector, Issuance, IssuanceId, Verification, VerificationState};
use crate::store::{StoreError, Tx, Write};

use super::super::{Broker, BrokerError, Call};
use super::flight::Landing;
use super::mint::{kept, unfinished};
use super::plan::{Plan, changed_meanwhile, route_line};
use super::route::{Route, digest};

impl Broker {
    /// Turn, intent, key, cloud, successor with result: in this order.
    pub(super) async fn fly_alone(&self, call: &Call, plan: &Plan) -> Landing {
        let _turn = self.turns.take(plan.route.connector.id, call.principal().id).await?;
        let plan = self.plan_of_now(plan).await?;
        let issuance = IssuanceId::random(self.entropy.as_ref())?;
        let line = route_line(call, &plan.route, Outcome::Pending, "");
        let entry = self.ledger.open(Line { issuance: Some(issuance), ..line }).await?;
        let MintOutcome { minted, successor } = match self.ask_cloud(call, &plan, &entry, issuance).await {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.close_condemned(call, &plan.route.connector, &entry, error).await),
        };
        let checked = minted.map_err(BrokerError::from).and_then(|minted| self.checked(&plan, minted));
        let minted = checked.map(|minted| (self.issuance(call, &plan, issuance, &minted), minted));
        let outlives = minted.as_ref().ok().and_then(|(record, _)| self.within_end(&plan, record).err());
        let Some(successor) = successor else {
            let (record, minted) = match minted {
                Ok(minted) => minted,
                Err(error) => return Err(self.close_failed(call, &entry, error).await),
            };
            if let Some(error) = outlives {
                return Err(self.close_outliving(call, &entry, &record, error).await);
            }
            self.record_alone(call, &plan, &entry, &record).await?;
            return Ok(kept(minted, &record));
        };
        // The cloud has replaced it: that is stored, whatever else is so.
        let finish = |now: &mut Connector| {
            let same = digest(now, &plan.route.resource_type, &plan.route.scope) == plan.route.digest;
            let record = minted.as_ref().map(|(record, _)| record).map_err(BrokerError::clone);
            match record.and_then(|record| if same { Ok(record) } else { Err(changed_meanwhile()) }) {
                Ok(record) => match &outlives {
                    None => (self.issuance_tx(&entry, record), Ok(())),
                    Some(error) => (self.outliving_tx(&entry, record, error), Err(error.clone())),
                },
                Err(error) => {
                    let line = entry.result(Outcome::Failed, Reason::new(error.code()));
                    (Tx::with_line(self.ledger.stamp(line)), Err(error))
                }
            }
        };
        let stored = self.succeed(call, &entry, &plan.route.connector, &successor, finish).await;
        let (record, minted) = match (stored, minted) {
            (Ok(()), minted) => minted?,
            (Err(error), Ok((record, _))) if outlives.as_ref() == Some(&error) => {
                self.end_outliving(call, &record).await;
                return Err(error);
            }
            (Err(error), _) => return Err(error),
        };
        // No guard says so: the successor is stored in the same transaction.
        if self.run_is_over(&record).await {
            if self.revoke_one(call, record.clone()).await.is_err() {
                tracing::error!(issuance = %record.id, "a credential that was handed to nobody could not be ended");
            }
            return Err(changed_meanwhile());
        }
        Ok(kept(minted, &record))
    }

    /// Whether somebody has finished the run that this was minted in.
    async fn run_is_over(&self, record: &Issuance) -> bool {
        let Some(id) = record.run else { return false };
        let found = self.store.run(record.project, id).await;
        found.map_or(true, |run| run.finished_at.is_some())
    }

    /// The record of a mint that replaced nothing. A connector that was said
    /// to be failing is not.
    async fn record_alone(
        &self,
        call: &Call,
        plan: &Plan,
        entry: &OpenEntry,
        record: &Issuance,
    ) -> Result<(), BrokerError> {
        let old = &plan.route.connector;
        if old.verification.state != VerificationState::Failing {
            return self.record_issuance(call, plan, entry, record, None).await;
        }
        let new = Connector { verification: self.accepted(old), version: old.version.next(), ..Connector::clone(old) };
        let write = Write::UpdateConnector { connector: new, expected: old.version, sealed: None };
        let mut tx = self.issuance_tx(entry, record).write(write);
        tx.guards.extend(unfinished(record));
        match self.store.commit(tx).await {
            Ok(_) => {
                call.record.mark_lined();
                Ok(())
            }
            Err(StoreError::Stale | StoreError::NotFound) => {
                Err(self.close_outliving(call, entry, record, changed_meanwhile()).await)
            }
            Err(error) => Err(self.close_failed(call, entry, BrokerError::of("issuance", &error)).await),
        }
    }

    /// The plan with the connector as the last mint left it. Nothing that was
    /// decided on may be another.
    async fn plan_of_now(&self, plan: &Plan) -> Result<Plan, BrokerError> {
        let was = &plan.route;
        let found = self.connector(was.connector.project, was.connector.id).await;
        let connector = found.map_err(|_| changed_meanwhile())?;
        if digest(&connector, &was.resource_type, &was.scope) != was.digest {
            return Err(changed_meanwhile());
        }
        Ok(Plan { route: Arc::new(Route { connector, ..Route::clone(was) }), ..plan.clone() })
    }

    /// Closes an entry as failed. When it is the source credential that the
    /// cloud does not take, the connector says so from now on.
    async fn close_condemned(
        &self,
        call: &Call,
        connector: &Connector,
        entry: &OpenEntry,
        error: BrokerError,
    ) -> BrokerError {
        let BrokerError::Upstream(cause) = &error else { return self.close_failed(call, entry, error).await };
        if !cause.condemns_source() || connector.verification.state == VerificationState::Failing {
            return self.close_failed(call, entry, error).await;
        }
        let mut new = connector.clone();
        new.verification = self.failing(connector, cause);
        new.version = connector.version.next();
        let write = Write::UpdateConnector { connector: new, expected: connector.version, sealed: None };
        let line = entry.result(Outcome::Failed, Reason::new(error.code()));
        match self.commit_done(call, "connector", Tx::with_line(line).write(write)).await {
            Ok(_) => error,
            // Somebody changed it meanwhile: what they know is newer.
            Err(_) => self.close_failed(call, entry, error).await,
        }
    }

    /// What stands on a connector whose source credential the cloud refuses.
    pub(in crate::broker) fn failing(&self, old: &Connector, error: &UpstreamError) -> Verification {
        Verification {
            state: VerificationState::Failing,
            checked_at: self.clock.now(),
            reason: error.to_string(),
            identity: old.verification.identity.clone(),
            reach: old.verification.reach.clone(),
        }
    }
}

//! Verifying a connector whose source credential each use replaces: by a mint
//! of its own, whose result is dropped and whose successor is kept.
//!
//! Looking must not use the credential up unnoticed. What was minted for it
//! is handed to nobody and ends by itself.

use std::collections::BTreeMap;

use crate::audit::{OpenEntry, Outcome, Reason};
use crate::authz::Permit;
use crate::connectors::{
    AnyConnectorType, Ask, CLOUD_ACCEPTED, CheckedSettings, ListAsk, MintOutcome, NarrowedScope, Upstream,
    UpstreamError,
};
use crate::domain::{
    AccessLevel, Attribution, Connector, IssuanceId, ResourceTypeName, Ttl, Verification, VerificationState, Version,
};
use crate::sealing::SourceCredential;
use crate::store::{Tx, Write};

use super::super::{Broker, BrokerError, Call};
use super::VERIFY_DEADLINE;
use super::source::{end_of_successor, focus, stored_settings, type_of};

/// All that one look takes.
struct Probe {
    kind: &'static dyn AnyConnectorType,
    upstream: Upstream,
    connector: Connector,
    scope: NarrowedScope,
    ttl: Ttl,
    attribution: Attribution,
    focus: ListAsk,
}

impl Probe {
    async fn ask(self, secret: &SourceCredential) -> Result<(Verification, MintOutcome), UpstreamError> {
        let now = self.upstream.clock.now();
        let settings = &self.connector.settings;
        let end = self.connector.secret.usable_until();
        let asked =
            self.kind.mint(&self.upstream, settings, secret, end, &self.scope.json, self.ttl, &self.attribution);
        let outcome = tokio::time::timeout(self.upstream.outbound.patience() + VERIFY_DEADLINE, asked).await;
        let outcome = outcome.unwrap_or(Err(UpstreamError::InDoubt))?;
        let reach = self.kind.list_resources(&self.upstream, settings, secret, &self.focus).await.unwrap_or_default();
        let mut verification = Verification {
            state: VerificationState::Verified,
            checked_at: now,
            reason: CLOUD_ACCEPTED.to_owned(),
            identity: String::new(),
            reach,
        };
        match (&outcome.minted, &outcome.successor) {
            (Ok(minted), _) => verification.identity.clone_from(&minted.attribution),
            (Err(error), None) => return Err(error.clone()),
            // Used up: it is kept, with what is wrong on it.
            (Err(error), Some(_)) => {
                verification.state = VerificationState::Failing;
                verification.reason = error.to_string();
            }
        }
        Ok((verification, outcome))
    }
}

/// What is said when a checked credential could not be stored. Where the check
/// used it up, the same call again would hand in one that is of no use.
pub(super) fn unstored(used_up: bool, error: BrokerError) -> BrokerError {
    if !used_up || !error.nothing_spent() {
        return error;
    }
    BrokerError::Precondition {
        code: "SUCCESSOR_LOST",
        message: "the cloud replaced the credential that was handed in, and what replaced it could not be stored"
            .to_owned(),
        hint: "hand in a new one: the cloud may refuse this one from now on".to_owned(),
    }
}

impl Broker {
    /// Asks the cloud about a secret that was just handed in. Where asking
    /// replaces it, `secret` and the facts of `connector` are the successor's,
    /// and true is answered: the one that was handed in is used up.
    pub(super) async fn verify_new(
        &self,
        call: &Call,
        connector: &mut Connector,
        secret: &mut SourceCredential,
        entry: &OpenEntry,
    ) -> Result<bool, BrokerError> {
        let settings = stored_settings(connector)?;
        if !settings.exclusive {
            connector.verification = self.verify_handed_in(call, connector, secret, entry).await?;
            return Ok(false);
        }
        if connector.version == Version::FIRST {
            self.name_is_free(call, connector).await?;
        }
        let (verification, outcome) = self.probe(call, connector, &settings, entry)?.ask(secret).await?;
        let used_up = outcome.successor.is_some();
        if let Some(successor) = outcome.successor {
            self.mark(connector, &successor)?;
            end_of_successor(type_of(connector)?, connector, &successor, self.clock.now())?;
            *secret = successor;
        }
        connector.verification = verification;
        Ok(used_up)
    }

    /// A name that is taken must not cost a source credential.
    async fn name_is_free(&self, call: &Call, connector: &Connector) -> Result<(), BrokerError> {
        match self.find_connector(call.project(), connector.name.as_str()).await {
            Ok(found) if found.name == connector.name => Err(BrokerError::NameTaken { noun: "connector" }),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Verifies a stored connector in its turn, and keeps what was found
    /// together with what replaced the credential.
    pub(super) async fn verify_alone(
        &self,
        call: &Call,
        old: &Connector,
        permit: &Permit,
    ) -> Result<Connector, BrokerError> {
        let _turn = self.turns.take(old.id, call.principal().id).await?;
        let found = self.connector(old.project, old.id).await;
        let old = found.map_err(|error| BrokerError::of("connector", &error))?;
        let entry = self.open_on(call, &old, &[]).await?;
        let settings = stored_settings(&old)?;
        let probe = self.probe(call, &old, &settings, &entry)?;
        let asked = self.with_secret(&old, permit, &entry, move |secret| Box::pin(probe.ask(secret)));
        let (verification, successor) = match asked.await {
            Ok(Ok((verification, outcome))) => (verification, outcome.successor),
            Ok(Err(error)) if error.recoverable() => return Err(self.close_failed(call, &entry, error.into()).await),
            Ok(Err(error)) => (self.failing(&old, &error), None),
            Err(error) => return Err(self.close_failed(call, &entry, error).await),
        };
        let mut new = Connector { verification, version: old.version.next(), ..Connector::clone(&old) };
        let Some(successor) = successor else {
            let write = Write::UpdateConnector { connector: new.clone(), expected: old.version, sealed: None };
            let tx = Tx::with_line(verified_line(&entry, new.verification.state)).write(write);
            return match self.commit(call, "connector", tx).await {
                Ok(_) => Ok(new),
                Err(error) => Err(self.close_failed(call, &entry, error).await),
            };
        };
        let finish = |now: &mut Connector| {
            now.verification = new.verification.clone();
            (Tx::with_line(self.ledger.stamp(verified_line(&entry, now.verification.state))), Ok(()))
        };
        self.succeed(call, &entry, &old, &successor, finish).await?;
        if let Ok(stored) = self.connector(old.project, old.id).await {
            new = Connector::clone(&stored);
        }
        Ok(new)
    }

    /// What stands on a connector whose source credential the cloud took.
    pub(in crate::broker) fn accepted(&self, old: &Connector) -> Verification {
        Verification {
            state: VerificationState::Verified,
            checked_at: self.clock.now(),
            reason: CLOUD_ACCEPTED.to_owned(),
            identity: old.verification.identity.clone(),
            reach: old.verification.reach.clone(),
        }
    }

    fn probe(
        &self,
        call: &Call,
        connector: &Connector,
        settings: &CheckedSettings,
        entry: &OpenEntry,
    ) -> Result<Probe, BrokerError> {
        let kind = type_of(connector)?;
        let scope = least_scope(kind, connector).ok_or(UpstreamError::StoredSettings)?;
        let issuance = IssuanceId::random(self.entropy.as_ref())?;
        Ok(Probe {
            kind,
            upstream: self.upstream_for(call, connector, Some(issuance), entry),
            scope,
            ttl: settings.ttl.default,
            attribution: call.attribution(issuance),
            focus: focus(connector),
            connector: connector.clone(),
        })
    }
}

/// Whether the cloud is to be asked about a secret that was handed in. A dry
/// run keeps no successor, so it must not use the secret up.
pub(super) fn asks_cloud(connector: &Connector, skip_verify: bool, validate_only: bool) -> Result<bool, BrokerError> {
    let costs = validate_only && stored_settings(connector)?.exclusive;
    Ok(!skip_verify && !costs)
}

/// The result of a verification; that the cloud refuses is an answer, too.
pub(super) fn verified_line(entry: &OpenEntry, state: VerificationState) -> crate::audit::Line {
    let reason = match state {
        VerificationState::Failing => Reason::new("VERIFICATION_FAILED"),
        VerificationState::Verified | VerificationState::Unverified => Reason::default(),
    };
    entry.result(Outcome::Ok, reason)
}

/// The least that the connector mints: its own resource, or the one that its
/// settings imply, at the lowest level that it serves.
fn least_scope(kind: &dyn AnyConnectorType, connector: &Connector) -> Option<NarrowedScope> {
    let first = || ResourceTypeName::parse(kind.description().resources.first()?.name).ok();
    let resource_type = connector.resource_type.clone().or_else(first)?;
    let fixed = connector.resource_id.as_ref().map(crate::domain::ResourceId::as_str);
    let resource = kind.canonical(&connector.settings, &resource_type, fixed).ok()?;
    [AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin].into_iter().find_map(|access| {
        let (resource_type, resource) = (resource_type.clone(), resource.clone());
        kind.narrow(&connector.settings, &Ask { resource_type, resource, access, parameters: BTreeMap::new() }).ok()
    })
}

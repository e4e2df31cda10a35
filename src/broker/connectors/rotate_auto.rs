//! Rotate a source credential at the cloud: make a key, verify it, switch to
//! it, delete the old one.
//!
//! Invariant: what is stored works, wherever this stops. Each step is durable
//! in the record and in the ledger before the next begins, with the ids of
//! keys and never a key; a rotation that stopped is taken up by the next one.
//! It runs to its end though its caller goes away.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::authz::{Permission, Permit};
use crate::connectors::{AnyConnectorType, MadeKey, UpstreamError};
use crate::domain::{Connector, RotationStage, Timestamp, UnfinishedRotation, Verification, Version};
use crate::sealing::SealedCredential;
use crate::store::{StoreError, Tx, Write};

use super::super::detach::detach;
use super::super::{Broker, BrokerError, Call, Once};
use super::source::{check_secret, seal_context, stored_settings, type_of};
use super::turns::Turn;

/// For one call about a key, the look at who asks included.
const KEY_DEADLINE: Duration = Duration::from_secs(20);
/// For all tries to verify a new key.
const VERIFY_DEADLINE: Duration = Duration::from_secs(100);
/// Pauses between tries: a cloud needs seconds until all of it knows a key, and
/// Google speaks of a minute and more.
const PAUSES_MS: [u64; 9] = [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 20_000, 30_000];
/// Pauses between tries to delete: the key that asks was accepted already.
const DELETE_PAUSES: usize = 6;
/// How often a step is written anew because the record changed meanwhile.
const STEP_TRIES_MAX: u32 = 4;
/// A rotation that switched less than this ago is finished and no more; one
/// from before that is finished, and then the next is done.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// What to rotate.
pub struct RotateAuto {
    /// Name, id, or unique prefix of the id.
    pub connector: String,
    /// The version it was read at; the current one otherwise.
    pub expected: Option<Version>,
    /// When the new source credential ends; otherwise it gets as long a life
    /// as the old one had.
    pub secret_expires_at: Option<Timestamp>,
    /// What makes the request the same.
    pub once: Option<Once>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    /// The record with the new source credential.
    pub connector: Connector,
    /// The key that was made; none when an earlier rotation was finished.
    pub made_key: Option<String>,
    /// The keys that were deleted.
    pub deleted_keys: Vec<String>,
}

impl Broker {
    /// Replaces the source credential by one that the cloud makes.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Stale`; `Precondition` when the auth method has
    /// no such key, when other connectors hold the same one, when a rotation is
    /// under way, or with the step at which it
    /// stopped and the ids of the keys there are; `Upstream` when the cloud
    /// made no key: nothing has changed.
    pub async fn rotate_connector_secret_auto(
        self: &Arc<Self>,
        call: &Call,
        ask: RotateAuto,
    ) -> Result<Rotated, BrokerError> {
        let permission = Permission::ConnectorsRotateSecret;
        let (old, permit) = self.permitted_connector(call, &ask.connector, permission).await?;
        if let Some(earlier) = self.recall(call, ask.once.as_ref()).await? {
            return Ok(earlier);
        }
        if ask.expected.is_some_and(|expected| expected != old.version) {
            return Err(BrokerError::Stale { noun: "connector" });
        }
        let kind = type_of(&old)?;
        rotates(kind, &old)?;
        self.holds_it_alone(call, &old).await?;
        let turn = self.rotations.take(old.id).ok_or_else(under_way)?;
        let entry = self.open_on(call, &old, &[("rotation", "auto")]).await?;
        let rotation = Rotation {
            broker: Arc::clone(self),
            call: call.clone(),
            permit,
            entry,
            kind,
            connector: Connector::clone(&old),
            ask,
            deleted: Vec::new(),
            _turn: turn,
        };
        let (done, outcome) = tokio::sync::oneshot::channel();
        detach(async move {
            // Whoever asked may be gone: the ledger has it.
            let _ = done.send(rotation.run().await);
        });
        outcome.await.unwrap_or(Err(BrokerError::Internal { what: "the rotation did not finish" }))
    }
}

fn rotates(kind: &dyn AnyConnectorType, connector: &Connector) -> Result<(), BrokerError> {
    let methods = &kind.description().methods;
    if methods.iter().any(|method| method.rotates && method.name == connector.auth_method.as_str()) {
        return Ok(());
    }
    Err(BrokerError::Precondition {
        code: "NOT_ROTATED_BY_CLOUD",
        message: format!(
            "{} {} has no key that the cloud could replace",
            connector.connector_type, connector.auth_method
        ),
        hint: "hand in the next source credential: rotate-secret without --auto".to_owned(),
    })
}

fn under_way() -> BrokerError {
    BrokerError::Precondition {
        code: "ROTATION_UNDER_WAY",
        message: "a rotation of this connector is under way".to_owned(),
        hint: "wait for it; describe the connector to see how far it came".to_owned(),
    }
}

/// A rotation under way.
struct Rotation {
    broker: Arc<Broker>,
    call: Call,
    permit: Permit,
    entry: OpenEntry,
    kind: &'static dyn AnyConnectorType,
    /// As it is stored.
    connector: Connector,
    ask: RotateAuto,
    deleted: Vec<String>,
    _turn: Turn,
}

/// Why a step was not written.
enum NotWritten {
    /// It is as before for certain: somebody else replaced the secret, or
    /// deleted the connector.
    Overtaken,
    /// Written or not: the store did not say.
    Unknown(BrokerError),
}

impl Rotation {
    async fn run(mut self) -> Result<Rotated, BrokerError> {
        if let Some(left) = self.connector.secret.rotation.clone()
            && self.take_up(left).await?
        {
            return self.finish(None).await;
        }
        let made = self.make().await?;
        let verification = match self.verify(&made).await {
            Ok(verification) => verification,
            Err(error) => return Err(self.take_back(&made, "verifying the new key", &error.to_string()).await),
        };
        self.still_allowed(&made).await?;
        self.switch(&made, verification).await?;
        self.retire(&made).await?;
        self.finish(Some(made.key_id)).await
    }

    /// Cleans up what an earlier rotation left. True when that was all there
    /// is to do.
    async fn take_up(&mut self, left: UnfinishedRotation) -> Result<bool, BrokerError> {
        let (key_id, stored_is_new) = match left.stage {
            RotationStage::Asked => return Ok(false),
            RotationStage::Made { key_id } => (key_id, false),
            RotationStage::Retiring { key_id } => (key_id, true),
        };
        // A new version first: whoever still works on the old one is overtaken.
        let taken_up = self.step("ROTATION_TAKEN_UP", &[("left_key", &key_id)], |_| {}).await;
        if let Err(error) = taken_up {
            return Err(self.not_written("taking up the last rotation", error, &[&key_id]).await);
        }
        if let Err(error) = self.delete_by_stored(&key_id).await {
            let words = format!("the key {key_id}, which the last rotation left, is not deleted: {error}");
            return Err(self.stopped("deleting the key that was left", &words, &[&key_id]).await);
        }
        self.deleted.push(key_id.clone());
        let now = self.broker.clock.now();
        if stored_is_new && now.since(self.connector.secret.created_at) < FRESH {
            return Ok(true);
        }
        let cleared = self.step("ROTATION_CLEARED", &[("deleted_key", &key_id)], |c| c.secret.rotation = None).await;
        match cleared {
            Ok(()) => Ok(false),
            Err(error) => Err(self.not_written("clearing the last rotation", error, &[]).await),
        }
    }

    /// Asks the cloud for a key, once: the record says before that there may
    /// be one, and after which.
    async fn make(&mut self) -> Result<MadeKey, BrokerError> {
        let asking = self.stage(RotationStage::Asked);
        let asked = self.step("ROTATION_ASKED", &[], |c| c.secret.rotation = Some(asking.clone())).await;
        if let Err(error) = asked {
            return Err(self.not_written("asking for a new key", error, &[]).await);
        }
        let made = match self.make_by_stored().await {
            Ok(made) => made,
            Err(error) => return Err(self.not_made(error).await),
        };
        let stage = self.stage(RotationStage::Made { key_id: made.key_id.clone() });
        let details = [("new_key", made.key_id.as_str()), ("old_key", made.old_key_id.as_str())];
        match self.step("ROTATION_MADE", &details, |c| c.secret.rotation = Some(stage.clone())).await {
            Ok(()) => Ok(made),
            // What is stored is not touched by this step, so the new key goes.
            Err(_) => Err(self.take_back(&made, "writing down the new key", "the record cannot be written").await),
        }
    }

    async fn make_by_stored(&self) -> Result<MadeKey, BrokerError> {
        let (kind, settings) = (self.kind, self.connector.settings.clone());
        let upstream = self.broker.upstream_for(&self.call, &self.connector, None, &self.entry);
        let asked = self.broker.with_secret(&self.connector, &self.permit, &self.entry, move |secret| {
            Box::pin(async move { within(kind.make_key(&upstream, &settings, secret)).await })
        });
        Ok(asked.await??)
    }

    /// No key came back. When there can be none, nothing has changed.
    async fn not_made(&mut self, error: BrokerError) -> BrokerError {
        if there_may_be_a_key(&error) {
            let words = format!("{error}; there may be a new key that nobody holds");
            return self.stopped("asking for a new key", &words, &[]).await;
        }
        // Whether this is written or not: the next rotation begins anew.
        let _ = self.step("ROTATION_REFUSED", &[], |c| c.secret.rotation = None).await;
        self.broker.close_failed(&self.call, &self.entry, error).await
    }

    /// Until the cloud knows the new key, within a deadline.
    async fn verify(&self, made: &MadeKey) -> Result<Verification, UpstreamError> {
        let tries = async {
            let mut pauses = PAUSES_MS.iter().map(|ms| Duration::from_millis(*ms));
            loop {
                match self.broker.verify_handed_in(&self.call, &self.connector, &made.secret, &self.entry).await {
                    Err(error) if may_settle(&error) => match pauses.next() {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error),
                    },
                    verified => return verified,
                }
            }
        };
        tokio::time::timeout(VERIFY_DEADLINE, tries).await.unwrap_or(Err(UpstreamError::DeadlineExceeded))
    }

    /// Stores the new key in place of the old one, whose id is kept.
    async fn switch(&mut self, made: &MadeKey, verification: Verification) -> Result<(), BrokerError> {
        let (next, sealed) = match self.successor(made, verification) {
            Ok(next) => next,
            Err(error) => return Err(self.take_back(made, "sealing the new key", &error.to_string()).await),
        };
        let details = [("new_key", made.key_id.as_str()), ("old_key", made.old_key_id.as_str())];
        let change = |c: &mut Connector| {
            c.secret.clone_from(&next.secret);
            c.verification.clone_from(&next.verification);
        };
        match self.written("ROTATION_SWITCHED", &details, change, Some(sealed)).await {
            Ok(()) => Ok(()),
            Err(NotWritten::Overtaken) => {
                Err(self.take_back(made, "switching to the new key", "the connector was changed meanwhile").await)
            }
            // What is stored is one of the two: neither may go.
            Err(error) => {
                let keys = [made.key_id.as_str(), made.old_key_id.as_str()];
                Err(self.not_written("switching to the new key", error, &keys).await)
            }
        }
    }

    fn successor(
        &self,
        made: &MadeKey,
        verification: Verification,
    ) -> Result<(Connector, SealedCredential), BrokerError> {
        let now = self.broker.clock.now();
        let mut next = self.connector.clone();
        let life = next.secret.expires_at.map(|end| end.since(next.secret.created_at));
        // The lineage stays: the new key has the rights of the old one, and
        // what that minted lives on at the cloud.
        next.secret.version += 1;
        next.secret.created_at = now;
        next.secret.expires_at = self.ask.secret_expires_at.or_else(|| life.map(|life| now.plus(life)));
        self.broker.mark(&mut next, &made.secret)?;
        next.secret.rotation = Some(self.stage(RotationStage::Retiring { key_id: made.old_key_id.clone() }));
        next.verification = verification;
        check_secret(self.kind, &mut next, &made.secret, now)?;
        let sealed = self.broker.keyring.seal(&seal_context(&next, &stored_settings(&next)?), &made.secret)?;
        Ok((next, sealed))
    }

    /// Deletes the old key with the new one.
    async fn retire(&mut self, made: &MadeKey) -> Result<(), BrokerError> {
        let upstream = self.broker.upstream_for(&self.call, &self.connector, None, &self.entry);
        let mut pauses = PAUSES_MS.iter().take(DELETE_PAUSES).map(|ms| Duration::from_millis(*ms));
        loop {
            let asked = self.kind.delete_key(&upstream, &self.connector.settings, &made.secret, &made.old_key_id);
            match within(asked).await {
                Ok(()) => break,
                Err(error) if may_settle(&error) && pauses.len() > 0 => {
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                }
                Err(error) => {
                    let words = format!(
                        "the connector uses the new key {}, and the old key {} still works at the cloud: {error}",
                        made.key_id, made.old_key_id
                    );
                    return Err(self.stopped("deleting the old key", &words, &[&made.old_key_id]).await);
                }
            }
        }
        self.deleted.push(made.old_key_id.clone());
        Ok(())
    }

    /// The last step: nothing is left, and the entry is closed with it.
    async fn finish(mut self, made_key: Option<String>) -> Result<Rotated, BrokerError> {
        for _ in 0..STEP_TRIES_MAX {
            let (expected, mut next) = (self.connector.version, self.connector.clone());
            next.secret.rotation = None;
            next.version = expected.next();
            let rotated =
                Rotated { connector: next.clone(), made_key: made_key.clone(), deleted_keys: self.deleted.clone() };
            let mut line = self.entry.result(Outcome::Ok, Reason::new("ROTATION_DONE"));
            line = line.with_detail("deleted_keys", &self.deleted.join(" "));
            if let Some(key_id) = &made_key {
                line = line.with_detail("new_key", key_id);
            }
            let kept = self.broker.remember(&self.call, self.ask.once.as_ref(), &rotated)?;
            let write = Write::UpdateConnector { connector: next, expected, sealed: None };
            let tx = Tx::with_line(self.broker.ledger.stamp(line)).write(write).remember(kept);
            match self.broker.store.commit(tx).await {
                Ok(_) => {
                    self.call.record.mark_lined();
                    return Ok(rotated);
                }
                Err(StoreError::Stale) if self.reload().await => {}
                Err(error) => {
                    let error = BrokerError::of("connector", &error);
                    return Err(self.not_written("closing the rotation", NotWritten::Unknown(error), &[]).await);
                }
            }
        }
        Err(self.not_written("closing the rotation", NotWritten::Overtaken, &[]).await)
    }

    /// Deletes a new key that is not stored, and says what was wrong.
    async fn take_back(&mut self, made: &MadeKey, step: &'static str, why: &str) -> BrokerError {
        // As it is now: only what is stored can delete.
        self.reload().await;
        match self.delete_by_stored(&made.key_id).await {
            Ok(()) => {
                // Whether this is written or not: deleting a key that is gone is no error.
                let details = [("deleted_key", made.key_id.as_str())];
                let _ = self.step("ROTATION_TAKEN_BACK", &details, |c| c.secret.rotation = None).await;
                let words = format!("{why}; the new key {} was deleted, and the stored one stays", made.key_id);
                self.stopped(step, &words, &[]).await
            }
            Err(error) => {
                let words =
                    format!("{why}; the stored key stays, and the new key {} is not deleted: {error}", made.key_id);
                self.stopped(step, &words, &[&made.key_id]).await
            }
        }
    }

    async fn delete_by_stored(&self, key_id: &str) -> Result<(), BrokerError> {
        let (kind, settings, key_id) = (self.kind, self.connector.settings.clone(), key_id.to_owned());
        let upstream = self.broker.upstream_for(&self.call, &self.connector, None, &self.entry);
        let asked = self.broker.with_secret(&self.connector, &self.permit, &self.entry, move |secret| {
            Box::pin(async move { within(kind.delete_key(&upstream, &settings, secret, &key_id)).await })
        });
        Ok(asked.await??)
    }

    fn stage(&self, stage: RotationStage) -> UnfinishedRotation {
        UnfinishedRotation { stage, since: self.broker.clock.now() }
    }

    async fn step(
        &mut self,
        reason: &'static str,
        details: &[(&'static str, &str)],
        change: impl Fn(&mut Connector) + Send,
    ) -> Result<(), NotWritten> {
        self.written(reason, details, change, None).await
    }

    /// A step in the record with its line, in one transaction. A change that
    /// somebody else made meanwhile is kept, unless it is about the secret.
    async fn written(
        &mut self,
        reason: &'static str,
        details: &[(&'static str, &str)],
        change: impl Fn(&mut Connector) + Send,
        sealed: Option<SealedCredential>,
    ) -> Result<(), NotWritten> {
        for _ in 0..STEP_TRIES_MAX {
            let (expected, mut next) = (self.connector.version, self.connector.clone());
            change(&mut next);
            next.version = expected.next();
            next.updated_at = self.broker.clock.now();
            let mut line = Line { connector: Some(next.id), ..self.call.line(Outcome::Ok, reason) };
            for (key, text) in details {
                line = line.with_detail(key, text);
            }
            let write = Write::UpdateConnector { connector: next.clone(), expected, sealed: sealed.clone() };
            match self.broker.store.commit(Tx::with_line(self.broker.ledger.stamp(line)).write(write)).await {
                Ok(_) => {
                    self.connector = next;
                    return Ok(());
                }
                Err(StoreError::Stale) if self.reload().await => {}
                Err(StoreError::Stale | StoreError::NotFound) => return Err(NotWritten::Overtaken),
                Err(error) => return Err(NotWritten::Unknown(BrokerError::of("connector", &error))),
            }
        }
        Err(NotWritten::Overtaken)
    }

    /// Reads the record again; false when its secret is another one, or the
    /// rotation is somebody else's by now.
    async fn reload(&mut self) -> bool {
        let Ok(now) = self.broker.store.connector(self.connector.project, self.connector.id).await else {
            return false;
        };
        let same = now.secret == self.connector.secret;
        self.connector = now;
        same
    }

    async fn not_written(&self, step: &'static str, error: NotWritten, keys: &[&str]) -> BrokerError {
        let words = match error {
            NotWritten::Overtaken => "the connector was changed meanwhile".to_owned(),
            NotWritten::Unknown(error) => error.to_string(),
        };
        self.stopped(step, &words, keys).await
    }

    /// Closes the entry with the step and the keys that are left.
    async fn stopped(&self, step: &'static str, words: &str, keys: &[&str]) -> BrokerError {
        let error = BrokerError::Precondition {
            code: "ROTATION_STOPPED",
            message: format!("the rotation stopped at {step}: {words}"),
            hint: format!(
                "what is stored works; `valetkey connector rotate-secret {} --auto` takes it up",
                self.connector.name
            ),
        };
        let mut line = self.entry.result(Outcome::Failed, Reason::new(error.code())).with_detail("step", step);
        if !keys.is_empty() {
            line = line.with_detail("keys_left", &keys.join(" "));
        }
        if self.broker.write_line(&self.call.record, line).await.is_err() {
            tracing::error!(seq = self.entry.seq().0, "a ledger entry could not be closed");
        }
        error
    }
}

async fn within<T>(work: impl Future<Output = Result<T, UpstreamError>>) -> Result<T, UpstreamError> {
    tokio::time::timeout(KEY_DEADLINE, work).await.unwrap_or(Err(UpstreamError::DeadlineExceeded))
}

/// What may pass by itself when a key is new.
fn may_settle(error: &UpstreamError) -> bool {
    error.recoverable() || matches!(error, UpstreamError::CredentialRefused { .. })
}

/// Whether the cloud may have made a key all the same.
fn there_may_be_a_key(error: &BrokerError) -> bool {
    matches!(
        error,
        BrokerError::Upstream(
            UpstreamError::Unavailable { .. } | UpstreamError::DeadlineExceeded | UpstreamError::BadAnswer { .. }
        )
    )
}

mod allowed;
#[cfg(test)]
mod tests;

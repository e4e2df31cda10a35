//! How the daemon is, and which keys there are; never the keys.

use crate::audit::Outcome;
use crate::authz::Permission;
use crate::domain::{ClockJump, IssuerKeyFacts, IssuerUrl, KekId, Timestamp};
use crate::issuer::{IssuerError, Rotation};
use crate::sealing::KekState;
use crate::store::{Remembered, StoreFacts, Tx};

use super::{Broker, BrokerError, Call, Once};

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonStatus {
    /// The version of the daemon.
    pub version: &'static str,
    /// When it started.
    pub started_at: Timestamp,
    /// The store's revision.
    pub revision: u64,
    /// The ledger's last place.
    pub ledger_seq: u64,
    /// What the store says of itself.
    pub store: StoreFacts,
    /// Minted credentials in memory.
    pub cached_credentials: u64,
    /// The jump of the clock for which nothing is minted.
    pub clock: Option<ClockJump>,
}

/// A project key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectKey {
    /// The key.
    pub id: KekId,
    /// `active`, `decrypt-only` or `destroyed`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many values the project's keys seal.
    pub sealed_values: u64,
}

/// The OpenID issuer and its keys, without the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerReport {
    /// Its name to the world.
    pub url: IssuerUrl,
    /// All that are published.
    pub keys: Vec<IssuerKeyFacts>,
}

/// Which keys there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReport {
    /// `file` or `passphrase`.
    pub root_provider: &'static str,
    /// The root key's id.
    pub root_key_id: String,
    /// The algorithm of the seals.
    pub algorithm: &'static str,
    /// The keys of the caller's project.
    pub keys: Vec<ProjectKey>,
    /// None when the server is no issuer.
    pub issuer: Option<IssuerReport>,
    /// No key, of whatever project, can be swapped to disk.
    pub locked_in_memory: bool,
}

/// What `sealing` does, for people.
const ALGORITHM: &str = "AES-256-GCM under HKDF-SHA-512 keys, committing";

impl Broker {
    /// How the daemon is.
    ///
    /// # Errors
    /// `Denied`; `Unavailable`.
    pub async fn daemon_status(&self, call: &Call) -> Result<DaemonStatus, BrokerError> {
        self.permit(call, Permission::OperatorStatus).await?;
        let ledger_seq = self.store.last_seq().await.map_err(|error| BrokerError::of("ledger line", &error))?;
        Ok(DaemonStatus {
            version: env!("CARGO_PKG_VERSION"),
            started_at: self.started_at,
            revision: self.lookups.revision().0,
            ledger_seq: ledger_seq.0,
            store: self.store.facts(),
            cached_credentials: self.cache.count(),
            clock: self.watch.doubt(),
        })
    }

    /// Believes the clock again, as it is set now.
    ///
    /// # Errors
    /// `Denied`; `Precondition` when it is not in doubt; `Unavailable`.
    pub async fn accept_clock(&self, call: &Call, once: Option<&Once>) -> Result<ClockJump, BrokerError> {
        self.permit(call, Permission::OperatorAcceptClock).await?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        let jump = self.watch.doubt().ok_or_else(not_in_doubt)?;
        let line = call.line(Outcome::Ok, "CLOCK_ACCEPTED").with_detail("expected", &jump.expected.to_string());
        let line = line.with_detail("shown", &jump.shown.to_string());
        // Kept for a day also by the clock that is believed from now on.
        let kept = self.remember(call, once, &jump)?;
        let kept = kept.map(|kept| Remembered { at: kept.at.max(jump.shown), ..kept });
        let committed = self.commit(call, "clock", Tx::with_line(line).remember(kept)).await;
        // Whose line it is accepts: a second call with the id might accept the next jump.
        if committed.is_ok() {
            self.watch.accept();
        }
        self.settled(call, once, jump, committed).await
    }

    /// Nothing is made whose end could not be judged.
    pub(super) fn sure_of_the_time(&self) -> Result<(), BrokerError> {
        match self.watch.doubt() {
            None => Ok(()),
            Some(_) => Err(BrokerError::Unavailable {
                code: "CLOCK_JUMPED",
                message: "the server's clock jumped; an operator must look at it (valetkey status)",
            }),
        }
    }

    /// The keys of the caller's project: those of others say how many others
    /// there are.
    ///
    /// # Errors
    /// `Denied`; `Unavailable`.
    pub async fn key_status(&self, call: &Call) -> Result<KeyReport, BrokerError> {
        self.permit(call, Permission::OperatorKeys).await?;
        let stored = self.store.keks().await.map_err(|error| BrokerError::of("key", &error))?;
        let sealed_values = self.store.sealed_values(call.project()).await;
        let sealed_values = sealed_values.map_err(|error| BrokerError::of("key", &error))?;
        let own = stored.into_iter().filter(|kek| kek.project == call.project());
        let key = |kek: crate::sealing::WrappedKek| ProjectKey {
            id: kek.id,
            state: state_of(kek.state),
            created_at: kek.created_at,
            sealed_values,
        };
        Ok(KeyReport {
            root_provider: self.root_provider,
            root_key_id: self.root_key_id.clone(),
            algorithm: ALGORITHM,
            keys: own.map(key).collect(),
            issuer: self.issuer.as_ref().map(|issuer| IssuerReport { url: issuer.url().clone(), keys: issuer.keys() }),
            locked_in_memory: self.keyring.locked_in_memory(),
        })
    }

    /// Lets the issuer's next key sign now.
    ///
    /// # Errors
    /// `Denied`; `Precondition` when there is no issuer, or while some cloud
    /// may not know the next key; `Unavailable`.
    pub async fn rotate_issuer_key(&self, call: &Call, once: Option<&Once>) -> Result<Rotation, BrokerError> {
        self.permit(call, Permission::OperatorRotateIssuerKey).await?;
        if let Some(earlier) = self.recall(call, once).await? {
            return Ok(earlier);
        }
        let issuer = self.issuer.as_ref().ok_or_else(no_issuer)?;
        let keep = |rotation: &Rotation| self.remember(call, once, rotation);
        match issuer.rotate(call.line(Outcome::Ok, ""), keep).await {
            Ok(rotation) => {
                call.record.mark_lined();
                Ok(rotation)
            }
            // Another call with the same request id may have been quicker.
            Err(error) => self.recall(call, once).await?.ok_or(error),
        }
    }
}

fn not_in_doubt() -> BrokerError {
    BrokerError::Precondition {
        code: "CLOCK_NOT_IN_DOUBT",
        message: "the clock shows what it should".to_owned(),
        hint: "there is nothing to accept".to_owned(),
    }
}

fn no_issuer() -> BrokerError {
    BrokerError::Precondition {
        code: "NOT_ENABLED",
        message: "this server is no OpenID issuer".to_owned(),
        hint: "set [issuer] url and listen in its config".to_owned(),
    }
}

impl From<IssuerError> for BrokerError {
    fn from(error: IssuerError) -> Self {
        match error {
            IssuerError::Store(error) => Self::of("issuer key", &error),
            IssuerError::Sealing(error) => error.into(),
            IssuerError::Generate(_) => Self::Internal { what: "no key of the issuer could be made" },
            IssuerError::NotYet { ripe_at } => Self::Precondition {
                code: "KEY_NOT_RIPE",
                message: "the next key is not known to every cloud yet".to_owned(),
                hint: match ripe_at {
                    Some(at) => format!("ask again at {at}: until then clouds may keep the keys of before"),
                    None => "ask again in a minute: it is being made".to_owned(),
                },
            },
        }
    }
}

const fn state_of(state: KekState) -> &'static str {
    match state {
        KekState::Active => "active",
        KekState::DecryptOnly => "decrypt-only",
        KekState::Destroyed => "destroyed",
    }
}

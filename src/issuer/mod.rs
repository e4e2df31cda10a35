//! The issuer: valetkey as an OpenID Connect issuer of its own, so that clouds
//! trust it instead of a stored secret.
//!
//! A room of its own, because it holds keys that are no project's, lives by a
//! schedule, and speaks to strangers: none of these is a use case of the
//! broker, and no cloud's. Private keys are sealed at rest, and in memory here
//! and nowhere else. Nothing here accepts a connection: that is the daemon's.
//!
//! Read in this order: `schedule`, `token`, `documents`, `keys`, `rsa`.

mod documents;
mod keys;
mod rsa;
mod schedule;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::audit::{Ledger, Line, LineKind, Outcome};
use crate::domain::{
    Clock, Entropy, IdentityError, IdentityTokens, IssuerKeyFacts, IssuerKeyId, IssuerUrl, SecretText, Subject,
    Timestamp, Ttl,
};
use crate::sealing::{Keyring, SealedIssuerKey, SealingError};
use crate::store::{Remembered, Store, StoreError, Tx, Write};

pub use documents::Answer;
pub use rsa::GenerateError;
pub use schedule::{Rules, TOKEN_TTL_LIMIT};

use keys::Keys;
use schedule::Step;
use token::Facts;

/// The method of the lines that the schedule writes.
const ROTATE: &str = "issuer/rotate-key";

/// Why the keys are not as they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The store did not take or give them.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    /// A key does not open, or is not the one that its name says.
    #[error("a stored key of the issuer does not open")]
    Sealing(#[from] SealingError),
    /// None could be made.
    #[error("no key of the issuer could be made")]
    Generate(#[from] GenerateError),
    /// The next key is not known to every cloud yet: ask again then.
    #[error("the next key of the issuer may not sign yet")]
    NotYet {
        /// When; none while it is being made.
        ripe_at: Option<Timestamp>,
    },
}

/// What an issuer is made of.
pub struct IssuerParts {
    /// Its name to the world.
    pub url: IssuerUrl,
    /// How its keys change.
    pub rules: Rules,
    /// The longest life of a token; at most [`TOKEN_TTL_LIMIT`].
    pub token_ttl_max: Duration,
    /// Where the keys are kept.
    pub store: Arc<dyn Store>,
    /// What seals them.
    pub keyring: Arc<Keyring>,
    /// Where each change of them is written down.
    pub ledger: Ledger,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// A change of keys that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Signs from now on.
    pub active: IssuerKeyId,
    /// Signs no more.
    pub retired: Option<IssuerKeyId>,
}

/// The issuer.
pub struct Issuer {
    parts: IssuerParts,
    keys: ArcSwap<Keys>,
    // One change at a time; each begins with what the last one left.
    turn: Mutex<()>,
}

impl Issuer {
    /// The issuer with the keys that are stored; [`Self::keep`] makes those
    /// that are missing.
    ///
    /// # Errors
    /// `Sealing` when a key does not open: somebody must look.
    pub async fn open(parts: IssuerParts) -> Result<Self, IssuerError> {
        let keys = Self::load(&parts).await?;
        Ok(Self { parts, keys: ArcSwap::from_pointee(keys), turn: Mutex::new(()) })
    }

    /// Its name to the world.
    #[must_use]
    pub const fn url(&self) -> &IssuerUrl {
        &self.parts.url
    }

    /// The keys, without the keys.
    #[must_use]
    pub fn keys(&self) -> Vec<IssuerKeyFacts> {
        self.keys.load().facts().to_vec()
    }

    /// The answer to a stranger's request.
    #[must_use]
    pub fn answer(&self, method: &str, path: &str, query: Option<&str>) -> Answer {
        self.keys.load().documents().answer(method, path, query)
    }

    /// Does what is due by the schedule; cheap when nothing is.
    ///
    /// # Errors
    /// What was done stays; the next call goes on.
    pub async fn keep(&self) -> Result<(), IssuerError> {
        let _turn = self.turn.lock().await;
        while let Some(step) = self.due() {
            let line = Line::about(ROTATE, LineKind::Single, Outcome::Ok);
            self.carry_out(step, self.parts.ledger.stamp(line), None).await?;
        }
        Ok(())
    }

    /// Lets the next key sign now. `line` is about who asked for it, `keep` makes
    /// the answer that is kept with it.
    ///
    /// # Errors
    /// `NotYet` while some cloud may not know the next key.
    pub async fn rotate<E: From<IssuerError>>(
        &self,
        line: Line,
        keep: impl FnOnce(&Rotation) -> Result<Option<Remembered>, E>,
    ) -> Result<Rotation, E> {
        let _turn = self.turn.lock().await;
        let wished = schedule::rotation(self.parts.clock.now(), self.keys.load().facts(), &self.parts.rules);
        let step = wished.map_err(|ripe_at| IssuerError::NotYet { ripe_at })?;
        let Step::Activate { id, retire } = step.clone() else {
            return Err(IssuerError::NotYet { ripe_at: None }.into());
        };
        let rotation = Rotation { active: id, retired: retire };
        let remembered = keep(&rotation)?;
        self.carry_out(step, self.parts.ledger.stamp(line), remembered).await?;
        Ok(rotation)
    }

    fn due(&self) -> Option<Step> {
        schedule::next_step(self.parts.clock.now(), self.keys.load().facts(), &self.parts.rules)
    }

    /// One step and its line in one transaction; then what is stored is what
    /// is published and what signs.
    async fn carry_out(&self, step: Step, line: Line, remembered: Option<Remembered>) -> Result<(), IssuerError> {
        let now = self.parts.clock.now();
        let tx = match step {
            Step::MakeActive => self.made(line, now, Some(now)).await?,
            Step::MakeNext => self.made(line, now, None).await?,
            Step::Activate { id, retire } => {
                let line = line.with_detail("step", "activate").with_detail("key", id.as_str());
                let line = retire.iter().fold(line, |line, retired| line.with_detail("retired", retired.as_str()));
                Tx::with_line(line).write(Write::ActivateIssuerKey { id, retire, at: now })
            }
            Step::Remove(id) => {
                let line = line.with_detail("step", "remove").with_detail("key", id.as_str());
                Tx::with_line(line).write(Write::DeleteIssuerKey(id))
            }
        };
        self.parts.store.commit(tx.remember(remembered)).await?;
        self.keys.store(Arc::new(Self::load(&self.parts).await?));
        Ok(())
    }

    async fn made(&self, line: Line, now: Timestamp, activated_at: Option<Timestamp>) -> Result<Tx, IssuerError> {
        let key = keys::make(Arc::clone(&self.parts.entropy)).await?;
        let id = keys::name_of(&key)?;
        let sealed = self.parts.keyring.seal_issuer_key(&id, &key)?;
        let line = line.with_detail("step", "make").with_detail("key", id.as_str());
        let facts = IssuerKeyFacts { id, created_at: now, activated_at, retired_at: None };
        Ok(Tx::with_line(line).write(Write::InsertIssuerKey(SealedIssuerKey { facts, sealed })))
    }

    async fn load(parts: &IssuerParts) -> Result<Keys, IssuerError> {
        let stored = parts.store.issuer_keys().await?;
        Ok(Keys::open(&stored, &parts.keyring, &parts.url, parts.rules.max_age)?)
    }
}

impl IdentityTokens for Issuer {
    fn token(&self, subject: &Subject, audience: &str, ttl: Ttl) -> Result<SecretText, IdentityError> {
        let keys = self.keys.load();
        let (id, key) = keys.signing().ok_or(IdentityError::Unsigned)?;
        let longest = u32::try_from(self.parts.token_ttl_max.min(TOKEN_TTL_LIMIT).as_secs()).unwrap_or(u32::MAX);
        let mut jti = [0; 16];
        self.parts.entropy.fill(&mut jti).map_err(|_| IdentityError::Unsigned)?;
        let facts = Facts {
            issuer: &self.parts.url,
            audience,
            now: self.parts.clock.now(),
            ttl: ttl.min(Ttl::seconds(longest)),
            id: jti,
        };
        key.sign(token::header(id), &token::claims(subject, &facts)).map_err(|_| IdentityError::Unsigned)
    }
}

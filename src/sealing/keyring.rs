//! The keys in memory, and the only way to open anything.
//!
//! Owns which key seals, which opens, and the check of permit and ledger
//! entry. Never lends plaintext for longer than one call, never returns it.

mod issuer_key;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::audit::OpenEntry;
use crate::authz::Permit;
use crate::domain::{Clock, Entropy, KekId, ProjectId, SecretFieldName};

use super::context::{Place, SealContext};
use super::envelope::{self, Record};
use super::error::SealingError;
use super::fresh::Fresh;
use super::plaintext::{Plaintext, SourceCredential};
use super::project_key::{KeyStatus, ProjectKey};
use super::purpose::{MacKeys, Purpose};
use super::root_key::RootKey;
use super::sealed::{KekState, Sealed, SealedCredential, WrappedKek};

/// The words of the one construct, for `key status`.
pub const ALGORITHM: &str = "HKDF-SHA-512 with commitment, AES-256-GCM";
/// The most fields of one credential: the richest auth method has eight.
pub const FIELDS_MAX: usize = 64;

/// What `with_open` lends the credential to.
pub type Opened<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

type Keys = BTreeMap<KekId, Arc<ProjectKey>>;

/// Holds the keys of all projects, locked in memory.
pub struct Keyring {
    root: RootKey,
    macs: MacKeys,
    keys: ArcSwap<Keys>,
    clock: Arc<dyn Clock>,
    fresh: Fresh,
}

impl Keyring {
    /// A keyring of these project keys.
    ///
    /// # Errors
    /// `WrongRootKey` when the root key does not open one of them.
    pub fn load(
        root: RootKey,
        keks: &[WrappedKek],
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SealingError> {
        let mut keys = Keys::new();
        for wrapped in keks {
            keys.insert(wrapped.id, Arc::new(ProjectKey::unwrap(&root, wrapped)?));
        }
        let macs = MacKeys::derive(root.bytes())?;
        Ok(Self { root, macs, keys: ArcSwap::from_pointee(keys), clock, fresh: Fresh::new(entropy) })
    }

    /// Makes an active key for a project and keeps it; the caller stores it,
    /// or says [`Self::forget`] when it could not.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn make_kek(&self, project: ProjectId) -> Result<WrappedKek, SealingError> {
        let (key, wrapped) = ProjectKey::make(&self.root, project, self.clock.now(), &self.fresh)?;
        let key = Arc::new(key);
        self.keys.rcu(|keys| {
            let mut keys = Keys::clone(keys);
            keys.insert(wrapped.id, Arc::clone(&key));
            keys
        });
        Ok(wrapped)
    }

    /// Drops a key that could not be stored: nothing may be sealed under it.
    pub fn forget(&self, id: KekId) {
        self.keys.rcu(|keys| {
            let mut keys = Keys::clone(keys);
            keys.remove(&id);
            keys
        });
    }

    /// Seals a source credential, each field by itself.
    ///
    /// # Errors
    /// When the project has no active key, a field is too large, or the
    /// random source fails.
    pub fn seal(&self, context: &SealContext, credential: &SourceCredential) -> Result<SealedCredential, SealingError> {
        let key = self.active(context.project)?;
        let kek = key.kek().ok_or(SealingError::NoKey)?;
        let names: Vec<_> = credential.fields().map(|(name, _)| name).collect();
        if names.len() > FIELDS_MAX {
            return Err(SealingError::TooLarge);
        }
        let mut fields = Vec::with_capacity(names.len());
        for (field, value) in credential.fields() {
            let place = Place::SourceField { context, field, names: &names };
            let sealed = envelope::seal(kek, key.key_id(), &place, value.expose(), &self.fresh)?;
            fields.push((field.clone(), sealed));
        }
        Ok(SealedCredential { secret_version: context.secret_version, fields })
    }

    /// Opens a source credential for the length of one call of `use_it`, and
    /// wipes it when the call ends.
    ///
    /// # Errors
    /// `NotPermitted` when permit and entry do not both name this connector
    /// and project, or the permission opens no secret; `DoesNotOpen` when a
    /// field does not open.
    pub async fn with_open<R, F>(
        &self,
        sealed: &SealedCredential,
        context: &SealContext,
        permit: &Permit,
        entry: &OpenEntry,
        use_it: F,
    ) -> Result<R, SealingError>
    where
        F: for<'a> FnOnce(&'a SourceCredential) -> Opened<'a, R> + Send,
        R: Send,
    {
        if !permitted(context, permit, entry) {
            return Err(SealingError::NotPermitted);
        }
        let credential = self.open(sealed, context)?;
        Ok(use_it(&credential).await)
    }

    /// Truncated HMAC under a key of the project: equal credentials of a
    /// project have equal fingerprints, as long as its key is not rotated.
    ///
    /// # Errors
    /// When the project has no active key.
    pub fn fingerprint(&self, project: ProjectId, credential: &SourceCredential) -> Result<String, SealingError> {
        self.active(project)?.fingerprint(credential)
    }

    /// HMAC-SHA-256 of `message` under a key derived from the root key.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
        self.macs.mac(purpose, message)
    }

    /// What keys there are, by id.
    #[must_use]
    pub fn status(&self) -> Vec<KeyStatus> {
        self.keys.load().values().map(|key| key.status.clone()).collect()
    }

    /// Names the root key: safe to show, the same at every start.
    #[must_use]
    pub fn root_key_id(&self) -> String {
        self.root.id()
    }

    /// Whether every key's pages are locked. False when the system's limit of
    /// locked memory (`RLIMIT_MEMLOCK`) is too low.
    #[must_use]
    pub fn locked_in_memory(&self) -> bool {
        let live = |key: &ProjectKey| key.kek().is_none() || key.status.locked_in_memory;
        self.root.in_memory() && self.macs.in_memory() && self.keys.load().values().all(|key| live(key))
    }

    /// The newest active key of a project.
    fn active(&self, project: ProjectId) -> Result<Arc<ProjectKey>, SealingError> {
        let keys = self.keys.load();
        let mine = keys.values().filter(|key| key.status.project == project && key.status.state == KekState::Active);
        mine.max_by_key(|key| (key.status.created_at, key.status.id)).cloned().ok_or(SealingError::NoKey)
    }

    fn open(&self, sealed: &SealedCredential, context: &SealContext) -> Result<SourceCredential, SealingError> {
        if sealed.secret_version != context.secret_version || sealed.fields.len() > FIELDS_MAX {
            return Err(SealingError::DoesNotOpen);
        }
        let stored: BTreeMap<&SecretFieldName, &Sealed> =
            sealed.fields.iter().map(|(name, field)| (name, field)).collect();
        if stored.len() != sealed.fields.len() {
            return Err(SealingError::DoesNotOpen);
        }
        let names: Vec<_> = stored.keys().copied().collect();
        let mut fields = BTreeMap::new();
        for (field, sealed) in stored {
            let place = Place::SourceField { context, field, names: &names };
            fields.insert(field.clone(), self.open_field(sealed, context.project, &place)?);
        }
        Ok(SourceCredential::new(fields))
    }

    fn open_field(&self, sealed: &Sealed, project: ProjectId, place: &Place<'_>) -> Result<Plaintext, SealingError> {
        let record = Record::parse(sealed.as_bytes()).ok_or(SealingError::DoesNotOpen)?;
        let keys = self.keys.load();
        // A key of another project is no key: the record does not choose.
        let key = keys.get(&KekId::from_bytes(record.key.0)).filter(|key| key.status.project == project);
        let kek = key.and_then(|key| key.kek()).ok_or(SealingError::DoesNotOpen)?;
        let mut plain = record.open(kek, place)?;
        Ok(Plaintext::new(std::mem::take(&mut *plain)))
    }
}

fn permitted(context: &SealContext, permit: &Permit, entry: &OpenEntry) -> bool {
    permit.project() == context.project
        && entry.project() == Some(context.project)
        && permit.connector() == Some(context.connector)
        && entry.connector() == Some(context.connector)
        && permit.opens_secret()
}

#[cfg(test)]
mod tests;

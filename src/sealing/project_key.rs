//! The keys of one project: one that seals and opens, one for fingerprints.
//!
//! Owns how a project key is wrapped under the root key. Locked in memory,
//! wiped on drop, no Debug, no Clone.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::{KekId, ProjectId, Timestamp};

use super::context::Place;
use super::derive::derive;
use super::envelope::{self, KeyId, Record};
use super::error::SealingError;
use super::fresh::Fresh;
use super::locked::Locked;
use super::plaintext::SourceCredential;
use super::root_key::RootKey;
use super::sealed::{KekState, WrappedKek};

const FINGERPRINT_LABEL: &[u8] = b"valetkey/fingerprint/v1";
/// Bytes of a fingerprint that are shown: enough to tell credentials apart,
/// useless for guessing without the key.
const FINGERPRINT_LENGTH: usize = 8;

/// What is known of a key without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key.
    pub id: KekId,
    /// Whose values it seals.
    pub project: ProjectId,
    /// What it may be used for.
    pub state: KekState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether its pages are locked: false when the system's limit of locked
    /// memory (`RLIMIT_MEMLOCK`) is too low, or when the key is destroyed.
    pub locked_in_memory: bool,
}

/// The keys of one project.
pub(super) struct ProjectKey {
    pub(super) status: KeyStatus,
    // Invariant: nothing exactly when the state is `Destroyed`.
    material: Option<Material>,
}

struct Material {
    kek: Locked<32>,
    // As long as a block of SHA-256, which is HMAC's own key length.
    fingerprint: Locked<64>,
}

impl ProjectKey {
    /// A fresh active key, and its wrapped form for a store.
    pub(super) fn make(
        root: &RootKey,
        project: ProjectId,
        created_at: Timestamp,
        fresh: &Fresh,
    ) -> Result<(Self, WrappedKek), SealingError> {
        let id = KekId::random(fresh.entropy())?;
        let kek = Locked::filled(|to| fresh.key(to))?;
        let sealed =
            envelope::seal(root.bytes(), root.key_id(), &Place::ProjectKey { project, id }, kek.bytes(), fresh)?;
        let wrapped = WrappedKek { id, project, state: KekState::Active, created_at, sealed };
        Ok((Self::with(&wrapped, Some(Material::of(kek)?)), wrapped))
    }

    /// The key that was wrapped under `root`.
    pub(super) fn unwrap(root: &RootKey, wrapped: &WrappedKek) -> Result<Self, SealingError> {
        match wrapped.state {
            KekState::Destroyed => Ok(Self::with(wrapped, None)),
            KekState::Active | KekState::DecryptOnly => {
                let material = Material::of(open(root, wrapped)?)?;
                Ok(Self::with(wrapped, Some(material)))
            }
        }
    }

    fn with(wrapped: &WrappedKek, material: Option<Material>) -> Self {
        let locked_in_memory = material.as_ref().is_some_and(Material::in_memory);
        let WrappedKek { id, project, state, created_at, .. } = *wrapped;
        Self { status: KeyStatus { id, project, state, created_at, locked_in_memory }, material }
    }

    /// The key, unless it is destroyed.
    pub(super) fn kek(&self) -> Option<&[u8; 32]> {
        self.material.as_ref().map(|material| material.kek.bytes())
    }

    /// The name of the key in a record.
    pub(super) const fn key_id(&self) -> KeyId {
        KeyId(*self.status.id.as_bytes())
    }

    /// Truncated HMAC over all fields, in hex.
    pub(super) fn fingerprint(&self, credential: &SourceCredential) -> Result<String, SealingError> {
        let material = self.material.as_ref().ok_or(SealingError::NoKey)?;
        let mut mac = Hmac::<Sha256>::new(material.fingerprint.bytes().into());
        for (name, value) in credential.fields() {
            for part in [name.as_str().as_bytes(), value.expose()] {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
        }
        let tag = mac.finalize().into_bytes();
        Ok(hex::encode(tag.split_at(FINGERPRINT_LENGTH).0))
    }
}

fn open(root: &RootKey, wrapped: &WrappedKek) -> Result<Locked<32>, SealingError> {
    let record = Record::parse(wrapped.sealed.as_bytes()).ok_or(SealingError::WrongRootKey)?;
    if record.key != root.key_id() {
        return Err(SealingError::WrongRootKey);
    }
    let place = Place::ProjectKey { project: wrapped.project, id: wrapped.id };
    let plain = record.open(root.bytes(), &place).map_err(|_| SealingError::WrongRootKey)?;
    let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| SealingError::WrongRootKey)?;
    Locked::filled(|to| {
        to.copy_from_slice(bytes);
        Ok(())
    })
}

impl Material {
    fn of(kek: Locked<32>) -> Result<Self, SealingError> {
        let fingerprint = Locked::filled(|to| derive(kek.bytes(), None, &[FINGERPRINT_LABEL], to))?;
        Ok(Self { kek, fingerprint })
    }

    const fn in_memory(&self) -> bool {
        self.kek.in_memory() && self.fingerprint.in_memory()
    }
}

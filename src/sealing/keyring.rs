//! The keys in memory, and the only way to open anything.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::audit::OpenEntry;
use crate::authz::Permit;
use crate::domain::{Clock, Entropy, KekId, ProjectId};

use super::context::SealContext;
use super::plaintext::SourceCredential;
use super::sealed::{KekState, SealedCredential, WrappedKek};

/// Why nothing was sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The record does not open here: altered, foreign, older, or sent to
    /// another place than it was sealed for.
    #[error("a sealed record does not open: it was altered, moved or replaced")]
    DoesNotOpen,
    /// The root key is not the one this store was made with.
    #[error("the root key is not the one this store was made with")]
    WrongRootKey,
    /// The project has no active key.
    #[error("the project has no active key")]
    NoKey,
    /// Permit and ledger entry do not both name this connector.
    #[error("permit and ledger entry do not both name this connector")]
    NotPermitted,
    /// The random source failed.
    #[error("the system's random source failed")]
    Entropy,
    /// A field is larger than 64 KiB.
    #[error("a secret field is larger than 64 KiB")]
    TooLarge,
}

/// The root wrapping key, from one of the providers; never stored.
pub struct RootKey(());

/// What a key derived from the root key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Digests of tokens at rest.
    TokenPepper,
    /// MACs of page tokens.
    PageToken,
    /// Digests of peer addresses in the ledger.
    SourceDigest,
}

/// What is known of a key without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key.
    pub id: KekId,
    /// Whose values it seals.
    pub project: ProjectId,
    /// What it may be used for.
    pub state: KekState,
}

/// What `with_open` lends the credential to.
pub type Opened<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Holds the keys of all projects, locked in memory.
pub struct Keyring(());

impl Keyring {
    /// A keyring of these project keys.
    ///
    /// # Errors
    /// When the root key does not open them.
    pub fn load(
        _root: RootKey,
        _keks: &[WrappedKek],
        _clock: Arc<dyn Clock>,
        _entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SealingError> {
        todo!()
    }

    /// Makes an active key for a project and keeps it; the caller stores it.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn make_kek(&self, _project: ProjectId) -> Result<WrappedKek, SealingError> {
        todo!()
    }

    /// Seals a source credential, each field by itself.
    ///
    /// # Errors
    /// When the project has no active key, a field is too large, or the
    /// random source fails.
    pub fn seal(
        &self,
        _context: &SealContext,
        _credential: &SourceCredential,
    ) -> Result<SealedCredential, SealingError> {
        todo!()
    }

    /// Opens a source credential for the length of one call of `use_it`.
    ///
    /// # Errors
    /// When permit and entry do not both name this connector and project, or
    /// a field does not open.
    pub async fn with_open<R, F>(
        &self,
        _sealed: &SealedCredential,
        _context: &SealContext,
        _permit: &Permit,
        _entry: &OpenEntry,
        _use_it: F,
    ) -> Result<R, SealingError>
    where
        F: for<'a> FnOnce(&'a SourceCredential) -> Opened<'a, R> + Send,
        R: Send,
    {
        todo!()
    }

    /// Truncated HMAC under a key of the project: equal credentials of a
    /// project have equal fingerprints.
    ///
    /// # Errors
    /// When the project has no active key.
    pub fn fingerprint(&self, _project: ProjectId, _credential: &SourceCredential) -> Result<String, SealingError> {
        todo!()
    }

    /// HMAC-SHA-256 of `message` under a key derived from the root key.
    #[must_use]
    pub fn mac(&self, _purpose: Purpose, _message: &[u8]) -> [u8; 32] {
        todo!()
    }

    /// What keys there are.
    #[must_use]
    pub fn status(&self) -> Vec<KeyStatus> {
        todo!()
    }
}

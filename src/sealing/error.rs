//! Why the strongroom refuses. Never says what it holds.

use crate::domain::EntropyError;

use super::derive::TooLong;

/// Why nothing was sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The record does not open here: altered, foreign, older, or sent to
    /// another place than it was sealed for.
    #[error("a sealed record does not open: it was altered, moved or replaced")]
    DoesNotOpen,
    /// A project key does not open under the root key.
    #[error("the root key does not open this store's keys: use the root key that the store was made with")]
    WrongRootKey,
    /// The project has no active key.
    #[error("the project has no active key")]
    NoKey,
    /// Permit and ledger entry do not both name this connector, or the permit
    /// is for something that opens no secret.
    #[error("permit and ledger entry do not both name this connector")]
    NotPermitted,
    /// The random source failed or stands still.
    #[error("the system's random source failed")]
    Entropy,
    /// A field is larger than 64 KiB, or there are more than 64 fields.
    #[error("a secret field is larger than 64 KiB, or there are more than 64 fields")]
    TooLarge,
}

impl From<EntropyError> for SealingError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

impl From<TooLong> for SealingError {
    // No length of ours is too long; if one were, there would be no key.
    fn from(_: TooLong) -> Self {
        Self::NoKey
    }
}

//! The strongroom: the one room where source credentials are plaintext.
//!
//! A value is sealed under a key of its own, derived from its project's key
//! and a fresh salt, committed to that key, and bound to where it belongs and
//! where it may be sent. Opening needs a permit and a durable ledger entry,
//! and lends the plaintext for one call.
//!
//! Read in this order: [`plaintext`], [`sealed`], [`context`], `envelope`
//! (the construct), `project_key`, [`keyring`], [`root_key`].

pub mod context;
mod derive;
mod envelope;
pub mod error;
mod fresh;
mod hostile;
pub mod keyring;
mod locked;
pub mod plaintext;
mod project_key;
mod purpose;
pub mod root_key;
pub mod sealed;
#[cfg(test)]
mod seeded;
#[cfg(test)]
mod vectors;

pub use context::SealContext;
pub use error::SealingError;
pub use hostile::fuzz_open;
pub use keyring::{ALGORITHM, Keyring, Opened};
pub use plaintext::{Plaintext, SourceCredential};
pub use project_key::KeyStatus;
pub use purpose::Purpose;
pub use root_key::{RootKey, RootKeyError};
pub use sealed::{KekState, Sealed, SealedCredential, SealedIssuerKey, WrappedKek};

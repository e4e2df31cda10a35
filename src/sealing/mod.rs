//! The strongroom: the one room where source credentials are plaintext.
//!
//! A value is sealed under a key of its own, derived from its project's key
//! and a fresh salt, committed to that key, and bound to where it belongs and
//! where it may be sent. Opening needs a permit and a durable ledger entry,
//! and lends the plaintext for one call.

pub mod context;
pub mod keyring;
pub mod plaintext;
pub mod sealed;

pub use context::SealContext;
pub use keyring::{KeyStatus, Keyring, Purpose, RootKey, SealingError};
pub use plaintext::{Plaintext, SourceCredential};
pub use sealed::{KekState, Sealed, SealedCredential, WrappedKek};

//! Identities that the daemon's own machine has, and that connectors may
//! borrow by name. This room reads no file and no environment: who wires the
//! daemon hands the identities in.

use crate::domain::SecretText;

/// A borrowed identity. No Debug.
pub struct ImplicitIdentity {
    /// The key's id.
    pub access_key_id: SecretText,
    /// The key.
    pub secret_access_key: SecretText,
    /// Set when the identity is temporary.
    pub session_token: Option<SecretText>,
}

/// Where implicit identities come from.
pub trait ImplicitIdentities: Send + Sync {
    /// The identity with this name, as it is now.
    fn identity(&self, name: &str) -> Option<ImplicitIdentity>;
}

//! Sealed values as they are stored.

use serde::{Deserialize, Serialize};

use crate::domain::{IssuerKeyFacts, KekId, ProjectId, SecretFieldName, Timestamp};

/// One sealed value: `magic || format || alg || kek_id || salt || nonce ||
/// commitment || ciphertext || tag`. Opaque outside `sealing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes bytes from a store; nothing is checked before they are opened.
    #[must_use]
    pub const fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes for a store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A sealed source credential: each field by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCredential {
    /// The version it was sealed as.
    pub secret_version: u64,
    /// The fields by name.
    pub fields: Vec<(SecretFieldName, Sealed)>,
}

/// What a project key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KekState {
    /// Seals and opens.
    Active,
    /// Opens only.
    DecryptOnly,
    /// Gone.
    Destroyed,
}

/// A project key, sealed under the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKek {
    /// Names it for ever.
    pub id: KekId,
    /// Whose values it seals.
    pub project: ProjectId,
    /// What it may be used for.
    pub state: KekState,
    /// When it was made.
    pub created_at: Timestamp,
    /// The key, sealed.
    pub sealed: Sealed,
}

/// A signing key of the issuer, sealed under the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedIssuerKey {
    /// What is known of it without the key.
    pub facts: IssuerKeyFacts,
    /// The private key in PKCS#1, sealed.
    pub sealed: Sealed,
}

//! The root key and its providers: a file, or a passphrase.
//!
//! Owns the checks of where a root key comes from. Never takes one from the
//! environment (visible in `/proc`, inherited, dumped), never stores one but
//! when asked to create the file.

mod error;
mod file;
mod opener;
mod passphrase;

use crate::domain::Entropy;

use super::derive::derive;
use super::envelope::KeyId;
use super::fresh::draw_key;
use super::locked::Locked;

pub use error::RootKeyError;

const ID_LABEL: &[u8] = b"valetkey/root-id/v1";

/// The root wrapping key, from one of the providers, locked in memory.
pub struct RootKey {
    key: Locked<32>,
    id: KeyId,
}

impl RootKey {
    /// Names the key: 32 hex characters of an HMAC under it, safe to show.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.id.0)
    }

    /// A key that `fill` writes where it stays.
    fn filled(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), RootKeyError>) -> Result<Self, RootKeyError> {
        let key = Locked::filled(fill)?;
        let mut id = KeyId([0; 16]);
        derive(key.bytes(), None, &[ID_LABEL], &mut id.0).map_err(|_| RootKeyError::Entropy)?;
        Ok(Self { key, id })
    }

    /// A fresh random key.
    fn random(entropy: &dyn Entropy) -> Result<Self, RootKeyError> {
        Self::filled(|to| draw_key(entropy, to).map_err(|_| RootKeyError::Entropy))
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        self.key.bytes()
    }

    pub(super) const fn key_id(&self) -> KeyId {
        self.id
    }

    pub(super) const fn in_memory(&self) -> bool {
        self.key.in_memory()
    }

    /// A key of fixed bytes.
    #[cfg(test)]
    pub(crate) fn for_tests(byte: u8) -> Self {
        Self::filled(|to| {
            to.fill(byte);
            Ok(())
        })
        .unwrap()
    }
}

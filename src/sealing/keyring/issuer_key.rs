//! The issuer's signing keys under the root key.
//!
//! They are no source credential and no project's: no permit names them, and
//! the issuer alone asks. Bound to their name and to this purpose: no record
//! of another purpose opens here, and none of these anywhere else.

use zeroize::Zeroizing;

use crate::domain::IssuerKeyId;

use super::super::context::Place;
use super::super::envelope::{Record, seal};
use super::super::error::SealingError;
use super::super::sealed::Sealed;
use super::Keyring;

impl Keyring {
    /// Seals the private key that is named `id`.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn seal_issuer_key(&self, id: &IssuerKeyId, private: &[u8]) -> Result<Sealed, SealingError> {
        seal(self.root.bytes(), self.root.key_id(), &Place::IssuerKey { id }, private, &self.fresh)
    }

    /// Opens the private key that is named `id`.
    ///
    /// # Errors
    /// `WrongRootKey` when it was sealed under another root key; `DoesNotOpen`
    /// when it is not the key of this name, or altered.
    pub fn open_issuer_key(&self, id: &IssuerKeyId, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let record = Record::parse(sealed.as_bytes()).ok_or(SealingError::DoesNotOpen)?;
        if record.key != self.root.key_id() {
            return Err(SealingError::WrongRootKey);
        }
        record.open(self.root.bytes(), &Place::IssuerKey { id })
    }
}

//! The one construct: a fresh key for each value, a commitment to it, and
//! AES-256-GCM over the value with header and context authenticated.
//!
//! `okm = HKDF-SHA-512(key, salt, "valetkey/seal/v1" || ctx)` gives the AES
//! key and the commitment. Each AES key is used once, so no nonce budget runs
//! out; the commitment shuts out records that open under two keys
//! (CVE-2020-8897). Owns the record's bytes; knows no keyring and no project.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::context::Place;
use super::derive::derive;
use super::error::SealingError;
use super::fresh::{Fresh, SALT_LENGTH};
use super::plaintext::PLAINTEXT_LENGTH_MAX;
use super::sealed::Sealed;

/// The first bytes of every record.
const MAGIC: [u8; 4] = *b"vkSR";
/// The only format; an unknown one is an error, never best effort.
const FORMAT: u8 = 1;
/// The label of the derivation.
const LABEL: &[u8] = b"valetkey/seal/v1";
const KEY_ID_LENGTH: usize = 16;
const NONCE_LENGTH: usize = 12;
const COMMITMENT_LENGTH: usize = 32;
const TAG_LENGTH: usize = 16;
const HEADER_LENGTH: usize = MAGIC.len() + 2 + KEY_ID_LENGTH + SALT_LENGTH + NONCE_LENGTH + COMMITMENT_LENGTH;
/// The longest record that is looked at.
pub(super) const RECORD_LENGTH_MAX: usize = HEADER_LENGTH + PLAINTEXT_LENGTH_MAX + TAG_LENGTH;

/// Names the key a record is sealed under: a project key's id or the root
/// key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyId(pub(super) [u8; KEY_ID_LENGTH]);

/// How a record is sealed. The byte is authenticated twice, in the header and
/// in the context: nobody can choose another one for us (CVE-2020-8912).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    HkdfSha512Aes256Gcm,
}

impl Algorithm {
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::HkdfSha512Aes256Gcm => 1,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::HkdfSha512Aes256Gcm),
            _ => None,
        }
    }
}

/// A record, taken apart and not yet believed.
pub(super) struct Record<'a> {
    pub(super) key: KeyId,
    algorithm: Algorithm,
    salt: &'a [u8; SALT_LENGTH],
    nonce: &'a [u8; NONCE_LENGTH],
    commitment: &'a [u8; COMMITMENT_LENGTH],
    header: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_LENGTH],
}

impl<'a> Record<'a> {
    /// Takes a record apart; nothing for what is too long, too short or of an
    /// unknown kind. Allocates nothing.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > RECORD_LENGTH_MAX {
            return None;
        }
        let (magic, rest) = bytes.split_first_chunk::<{ MAGIC.len() }>()?;
        let ([format, algorithm], rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_first_chunk::<KEY_ID_LENGTH>()?;
        let (salt, rest) = rest.split_first_chunk::<SALT_LENGTH>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        let (commitment, rest) = rest.split_first_chunk::<COMMITMENT_LENGTH>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LENGTH>()?;
        if *magic != MAGIC || *format != FORMAT {
            return None;
        }
        let header = bytes.get(..HEADER_LENGTH)?;
        let algorithm = Algorithm::of(*algorithm)?;
        Some(Self { key: KeyId(*key), algorithm, salt, nonce, commitment, header, ciphertext, tag })
    }

    /// Opens the record under `key` at `place`.
    pub(super) fn open(&self, key: &[u8; 32], place: &Place<'_>) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let mut buffer = Zeroizing::new(self.ciphertext.to_vec());
        self.open_in_place(key, place, &mut buffer)?;
        Ok(buffer)
    }

    /// Turns the ciphertext in `buffer` into plaintext, or wipes it.
    fn open_in_place(&self, key: &[u8; 32], place: &Place<'_>, buffer: &mut [u8]) -> Result<(), SealingError> {
        let context = place.encode(&self.key, self.algorithm);
        let keys = ValueKeys::derive(key, self.salt, &context)?;
        let opened = keys.commits_to(self.commitment)
            && keys
                .cipher()?
                .decrypt_inout_detached(
                    &Nonce::from(*self.nonce),
                    &authenticated(self.header, &context),
                    (&mut *buffer).into(),
                    &Tag::from(*self.tag),
                )
                .is_ok();
        if opened {
            return Ok(());
        }
        // aes-gcm checks the tag first; a version that did not left plaintext
        // behind (RUSTSEC-2023-0096).
        buffer.zeroize();
        Err(SealingError::DoesNotOpen)
    }
}

/// Seals `plaintext` under `key`, named `id`, at `place`.
pub(super) fn seal(
    key: &[u8; 32],
    id: KeyId,
    place: &Place<'_>,
    plaintext: &[u8],
    fresh: &Fresh,
) -> Result<Sealed, SealingError> {
    if plaintext.len() > PLAINTEXT_LENGTH_MAX {
        return Err(SealingError::TooLarge);
    }
    let algorithm = Algorithm::HkdfSha512Aes256Gcm;
    let salt = fresh.salt()?;
    let nonce: [u8; NONCE_LENGTH] = fresh.bytes()?;
    let context = place.encode(&id, algorithm);
    let keys = ValueKeys::derive(key, &salt, &context)?;
    let mut record = Vec::with_capacity(HEADER_LENGTH + plaintext.len() + TAG_LENGTH);
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&[FORMAT, algorithm.byte()]);
    record.extend_from_slice(&id.0);
    record.extend_from_slice(&salt);
    record.extend_from_slice(&nonce);
    record.extend_from_slice(keys.commitment());
    let aad = authenticated(&record, &context);
    record.extend_from_slice(plaintext);
    let body = record.get_mut(HEADER_LENGTH..).unwrap_or_default();
    let tag = keys.cipher()?.encrypt_inout_detached(&Nonce::from(nonce), &aad, body.into());
    match tag {
        Ok(tag) => record.extend_from_slice(&tag),
        Err(_) => {
            record.zeroize();
            return Err(SealingError::TooLarge);
        }
    }
    Ok(Sealed::from_stored(record))
}

fn authenticated(header: &[u8], context: &[u8]) -> Vec<u8> {
    // The header has a fixed length, so joining is injective.
    [header, context].concat()
}

/// The key of one value, and the commitment to it.
struct ValueKeys(Zeroizing<[u8; 32 + COMMITMENT_LENGTH]>);

impl ValueKeys {
    fn derive(key: &[u8; 32], salt: &[u8; SALT_LENGTH], context: &[u8]) -> Result<Self, SealingError> {
        let mut okm = Zeroizing::new([0; 32 + COMMITMENT_LENGTH]);
        derive(key, Some(salt), &[LABEL, context], okm.as_mut_slice())?;
        Ok(Self(okm))
    }

    fn cipher(&self) -> Result<Aes256Gcm, SealingError> {
        let (key, _) = self.0.split_at(32);
        Aes256Gcm::new_from_slice(key).map_err(|_| SealingError::NoKey)
    }

    fn commitment(&self) -> &[u8] {
        self.0.split_at(32).1
    }

    fn commits_to(&self, claimed: &[u8; COMMITMENT_LENGTH]) -> bool {
        self.commitment().ct_eq(claimed).into()
    }
}

#[cfg(test)]
mod tests;

//! Keys from keys: HKDF-SHA-512, one label for each use.
//!
//! Owns the labels' shape; says nothing of what a key is for.

use hkdf::Hkdf;
use sha2::Sha512;

/// The output is longer than HKDF gives; no length of ours is.
#[derive(Debug)]
pub(super) struct TooLong;

/// HKDF-SHA-512 of `key` with `salt` and the joined `info` into `to`.
///
/// Invariant: a label of ours is never the beginning of another, so joining
/// is injective.
pub(super) fn derive(key: &[u8; 32], salt: Option<&[u8]>, info: &[&[u8]], to: &mut [u8]) -> Result<(), TooLong> {
    Hkdf::<Sha512>::new(salt, key).expand_multi_info(info, to).map_err(|_| TooLong)
}

//! The root key from a file of 32 bytes, raw or as base64.
//!
//! Owns the content of the file; `opener` owns how it is opened.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::domain::Entropy;
use crate::sealing::fresh::one_value;

use super::{RootKey, RootKeyError, opener};

/// Base64 of 32 bytes, and the line end that an editor adds.
const FILE_LENGTH_MAX: usize = 45;

impl RootKey {
    /// The key in the file at `path`.
    ///
    /// # Errors
    /// When the file is not strictly ours alone, or does not hold a key; says
    /// which path and what to do.
    pub fn from_file(path: &Path) -> Result<Self, RootKeyError> {
        let content = opener::read(path, FILE_LENGTH_MAX)?;
        Self::filled(|to| {
            let read = decode(&content, to);
            if read && !one_value(to) { Ok(()) } else { Err(RootKeyError::Malformed(path.to_owned())) }
        })
    }

    /// Makes a random key and writes it to a new file of mode 0600.
    ///
    /// # Errors
    /// When there is something at `path`, its directories are not safe, or
    /// the disk or the random source fails.
    pub fn create_file(path: &Path, entropy: &dyn Entropy) -> Result<Self, RootKeyError> {
        let key = Self::random(entropy)?;
        opener::create(path, key.bytes())?;
        Ok(key)
    }
}

/// Writes the key that `content` stands for; whether there was one.
fn decode(content: &[u8], to: &mut [u8; 32]) -> bool {
    if content.len() == to.len() {
        to.copy_from_slice(content);
        return true;
    }
    let text = content.strip_suffix(b"\n").unwrap_or(content);
    // The decoder wants room for three bytes of each four: 33 of 44.
    let mut room = Zeroizing::new([0; 33]);
    match STANDARD.decode_slice(text, room.as_mut_slice()) {
        Ok(32) => {
            to.copy_from_slice(room.split_at(32).0);
            true
        }
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests;

//! The root key from a passphrase, by argon2id.
//!
//! Owns the parameter file: salt, costs, and a check value that tells a wrong
//! passphrase from a wrong store. The file is no secret, but it is not
//! believed: costs below the floor would make guessing cheap, costs above the
//! ceiling would make starting impossible.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::Entropy;
use crate::sealing::derive::derive;
use crate::sealing::fresh::one_value;

use super::{RootKey, RootKeyError, opener};

/// Costs of a new file: the second choice of RFC 9106.
const NEW: Costs = Costs { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// OWASP ASVS 5.0, appendix C.
const MEMORY_KIB_MIN: u32 = 46 * 1024;
/// What a small machine can still give at start.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 4;
/// Below this a passphrase is guessed in spite of argon2id.
const PASSPHRASE_LENGTH_MIN: usize = 12;
const PASSPHRASE_LENGTH_MAX: usize = 1024;
const FILE_VERSION: u32 = 1;
/// Ten times what we write.
const FILE_LENGTH_MAX: usize = 2048;
const SALT_LENGTH: usize = 32;
const CHECK_LENGTH: usize = 32;
const CHECK_LABEL: &[u8] = b"valetkey/passphrase-check/v1";

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredParams {
    version: u32,
    argon2id: Costs,
    salt: String,
    check: String,
}

impl RootKey {
    /// Writes new parameters for `passphrase`, and derives the key.
    ///
    /// # Errors
    /// When the passphrase is not 12 to 1,024 bytes, there is something at
    /// the path, its directories are not safe, or disk or random source fail.
    pub fn create_passphrase(
        params_path: &Path,
        passphrase: &Zeroizing<Vec<u8>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, RootKeyError> {
        check_length(passphrase)?;
        let mut salt = [0; SALT_LENGTH];
        entropy.fill(&mut salt).map_err(|_| RootKeyError::Entropy)?;
        if one_value(&salt) {
            return Err(RootKeyError::Entropy);
        }
        let key = stretch(params_path, passphrase, NEW, &salt)?;
        let check = STANDARD.encode(check_value(params_path, &key, NEW, &salt)?);
        let stored = StoredParams { version: FILE_VERSION, argon2id: NEW, salt: STANDARD.encode(salt), check };
        let mut text = serde_json::to_string_pretty(&stored).map_err(|_| out_of_bounds(params_path))?;
        text.push('\n');
        opener::create(params_path, text.as_bytes())?;
        Ok(key)
    }

    /// The key of `passphrase` under the parameters at `params_path`.
    ///
    /// # Errors
    /// When the file is not strictly ours alone or out of bounds, or the
    /// passphrase is another one.
    pub fn from_passphrase(params_path: &Path, passphrase: &Zeroizing<Vec<u8>>) -> Result<Self, RootKeyError> {
        check_length(passphrase)?;
        let text = opener::read(params_path, FILE_LENGTH_MAX)?;
        let stored: StoredParams = serde_json::from_slice(&text).map_err(|_| out_of_bounds(params_path))?;
        let (salt, check) = stored.checked().ok_or_else(|| out_of_bounds(params_path))?;
        let key = stretch(params_path, passphrase, stored.argon2id, &salt)?;
        let same: bool = check_value(params_path, &key, stored.argon2id, &salt)?.ct_eq(&check).into();
        if same { Ok(key) } else { Err(RootKeyError::WrongPassphrase(params_path.to_owned())) }
    }
}

impl StoredParams {
    /// Salt and check value, when everything is in bounds.
    fn checked(&self) -> Option<([u8; SALT_LENGTH], [u8; CHECK_LENGTH])> {
        let costs = self.argon2id;
        let bounded = self.version == FILE_VERSION
            && (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&costs.memory_kib)
            && (1..=PASSES_MAX).contains(&costs.passes)
            && (1..=LANES_MAX).contains(&costs.lanes);
        let salt = STANDARD.decode(&self.salt).ok()?.try_into().ok()?;
        let check = STANDARD.decode(&self.check).ok()?.try_into().ok()?;
        bounded.then_some((salt, check))
    }
}

fn check_length(passphrase: &[u8]) -> Result<(), RootKeyError> {
    if (PASSPHRASE_LENGTH_MIN..=PASSPHRASE_LENGTH_MAX).contains(&passphrase.len()) {
        Ok(())
    } else {
        Err(RootKeyError::WeakPassphrase)
    }
}

fn stretch(path: &Path, passphrase: &[u8], costs: Costs, salt: &[u8]) -> Result<RootKey, RootKeyError> {
    let params = Params::new(costs.memory_kib, costs.passes, costs.lanes, Some(32)).map_err(|_| out_of_bounds(path))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    RootKey::filled(|to| argon2.hash_password_into(passphrase, salt, to).map_err(|_| out_of_bounds(path)))
}

/// A digest under the key, over the costs and the salt: it tells nothing that
/// a wrapped project key would not tell.
fn check_value(path: &Path, key: &RootKey, costs: Costs, salt: &[u8]) -> Result<[u8; CHECK_LENGTH], RootKeyError> {
    let mut check = [0; CHECK_LENGTH];
    let costs = [costs.memory_kib, costs.passes, costs.lanes].map(u32::to_be_bytes).concat();
    derive(key.bytes(), Some(salt), &[CHECK_LABEL, &costs], &mut check).map_err(|_| out_of_bounds(path))?;
    Ok(check)
}

fn out_of_bounds(path: &Path) -> RootKeyError {
    RootKeyError::Parameters(path.to_owned())
}

#[cfg(test)]
mod tests;

//! Fresh bytes for salts, nonces and keys, from the entropy that is handed in.
//!
//! A source that fails or stands still is noticed: nothing is sealed with it.

use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroize;

use crate::domain::{Entropy, EntropyError};

/// Bytes of a salt.
pub(super) const SALT_LENGTH: usize = 32;

/// Draws salts, nonces and keys.
pub(super) struct Fresh {
    entropy: Arc<dyn Entropy>,
    // Salts are stored in the clear beside what they seal: no secret.
    last: Mutex<[u8; SALT_LENGTH]>,
}

impl Fresh {
    pub(super) const fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, last: Mutex::new([0; SALT_LENGTH]) }
    }

    /// A salt that is not the one before.
    pub(super) fn salt(&self) -> Result<[u8; SALT_LENGTH], EntropyError> {
        let salt = draw(self.entropy.as_ref())?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == salt {
            return Err(EntropyError);
        }
        *last = salt;
        Ok(salt)
    }

    /// Random bytes that are no secret.
    pub(super) fn bytes<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        draw(self.entropy.as_ref())
    }

    /// A key, written where it stays.
    pub(super) fn key(&self, to: &mut [u8; 32]) -> Result<(), EntropyError> {
        draw_key(self.entropy.as_ref(), to)
    }

    /// The source itself.
    pub(super) fn entropy(&self) -> &dyn Entropy {
        self.entropy.as_ref()
    }
}

/// A key that a standing source cannot have made: the next draw differs. A
/// source that stands would show the key as the next salt.
pub(super) fn draw_key(entropy: &dyn Entropy, to: &mut [u8; 32]) -> Result<(), EntropyError> {
    entropy.fill(to)?;
    let mut witness: [u8; 32] = draw(entropy)?;
    let stands = *to == witness || one_value(to);
    witness.zeroize();
    if stands {
        to.zeroize();
        return Err(EntropyError);
    }
    Ok(())
}

fn draw<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    if one_value(&bytes) { Err(EntropyError) } else { Ok(bytes) }
}

/// Whether all bytes are the same: by chance once in 2^88 draws of a nonce.
pub(super) fn one_value(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|first| bytes.iter().all(|byte| byte == first))
}

//! Entropy of tests: the same bytes at every run, or none, or always one.
//!
//! Compiled for tests only; no product code can reach it.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::domain::{Entropy, EntropyError};

/// SHA-256 of a seed and a counter.
pub(super) struct Seeded {
    seed: u8,
    drawn: AtomicU64,
}

impl Seeded {
    pub(super) const fn new(seed: u8) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        for block in buffer.chunks_mut(32) {
            let count = self.drawn.fetch_add(1, Ordering::SeqCst);
            let bytes = Sha256::new().chain_update([self.seed]).chain_update(count.to_be_bytes()).finalize();
            block.copy_from_slice(&bytes[..block.len()]);
        }
        Ok(())
    }
}

/// Always fails.
pub(super) struct Failing;

impl Entropy for Failing {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

/// Always the same bytes: 0, `step`, twice `step`, ...
pub(super) struct Standing {
    pub(super) step: u8,
}

impl Entropy for Standing {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        let mut value = 0;
        for byte in buffer {
            *byte = value;
            value = value.wrapping_add(self.step);
        }
        Ok(())
    }
}

/// What the system gives; for tests that count.
pub(super) struct System;

impl Entropy for System {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(buffer).map_err(|_| EntropyError)
    }
}

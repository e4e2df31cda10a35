//! The entry for the fuzz target: hostile records against a fixed key.
//!
//! Holds no key of any store and opens nothing that was ever sealed.

use crate::domain::{KekId, ProjectId};

use super::context::Place;
use super::envelope::Record;

/// Parses `data` as a sealed record and tries to open it under a fixed key.
///
/// For the fuzz target of sealed records: returns for every input, without a
/// panic and without taking more memory than the largest record. True when
/// `data` was taken apart; nobody without the key can make it open.
#[must_use]
pub fn fuzz_open(data: &[u8]) -> bool {
    let place = Place::ProjectKey { project: ProjectId::from_bytes([1; 16]), id: KekId::from_bytes([2; 16]) };
    match Record::parse(data) {
        Some(record) => {
            let opened = record.open(&[3; 32], &place);
            debug_assert!(opened.is_err());
            true
        }
        None => false,
    }
}

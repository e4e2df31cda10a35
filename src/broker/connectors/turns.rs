//! One rotation of a connector at a time: a second one would take the first
//! one's new key for one that nobody holds.
//!
//! Holds in this process; between processes the version of the record decides.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ConnectorId;

/// Which connectors are being rotated.
#[derive(Clone, Default)]
pub(in crate::broker) struct RotationTurns(Arc<Mutex<BTreeSet<ConnectorId>>>);

/// The right to rotate one connector; given back when dropped.
pub(super) struct Turn {
    turns: RotationTurns,
    connector: ConnectorId,
}

impl RotationTurns {
    /// A turn, unless somebody has it.
    pub(super) fn take(&self, connector: ConnectorId) -> Option<Turn> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(connector);
        taken.then(|| Turn { turns: self.clone(), connector })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.connector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_has_one_turn_and_gives_it_back() {
        let turns = RotationTurns::default();
        let (one, other) = (ConnectorId::from_bytes([1; 16]), ConnectorId::from_bytes([2; 16]));
        let held = turns.take(one);
        assert!(held.is_some() && turns.take(one).is_none() && turns.take(other).is_some());
        drop(held);
        assert!(turns.take(one).is_some());
    }
}

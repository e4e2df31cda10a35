//! Connections in the order they came, so that at the cap the oldest one that
//! never authenticated gives way: silent peers cannot shut others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::layers::Connection;

/// All connections by age; those that authenticated are passed over.
#[derive(Default)]
pub(super) struct Strangers(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    next: u64,
    // Invariant: at most as many as the listener has places.
    open: BTreeMap<u64, Arc<Connection>>,
}

/// A connection is open as long as this lives.
pub(super) struct Entry {
    strangers: Arc<Strangers>,
    number: u64,
}

impl Strangers {
    pub(super) fn enter(self: &Arc<Self>, connection: Arc<Connection>) -> Entry {
        let mut connections = self.connections();
        let number = connections.next;
        connections.next += 1;
        connections.open.insert(number, connection);
        Entry { strangers: Arc::clone(self), number }
    }

    /// Cuts the oldest stranger, when there is one.
    pub(super) fn cut_oldest(&self) {
        let mut connections = self.connections();
        let oldest = connections.open.iter().find(|(_, connection)| !connection.trusted()).map(|(number, _)| *number);
        if let Some(connection) = oldest.and_then(|number| connections.open.remove(&number)) {
            connection.cut();
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.strangers.connections().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::layers::Fate;

    #[test]
    fn f1_the_oldest_stranger_gives_way_and_whoever_authenticated_stays() {
        let strangers = Arc::new(Strangers::default());
        let all: Vec<_> = (0..3).map(|_| Arc::new(Connection::new([127, 0, 0, 1].into(), String::new()))).collect();
        let entries: Vec<_> = all.iter().map(|connection| strangers.enter(Arc::clone(connection))).collect();
        all[0].trust();
        strangers.cut_oldest();
        let fates: Vec<_> = all.iter().map(|connection| connection.fate()).collect();
        assert_eq!(fates, [Fate::Serve, Fate::Cut, Fate::Serve]);
        strangers.cut_oldest();
        strangers.cut_oldest();
        assert_eq!((all[0].fate(), all[2].fate()), (Fate::Serve, Fate::Cut));
        drop(entries);
        assert!(strangers.connections().open.is_empty());
    }
}

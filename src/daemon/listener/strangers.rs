//! Connections in the order they came, so that at the cap the oldest one that
//! never authenticated gives way: silent peers cannot shut others out. Whoever
//! has the most places gives way first, so that one flooding host takes from
//! itself and not from others that are still shaking hands.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::layers::{Connection, network};

/// The oldest strangers that are looked at to cut one: each new connection
/// costs this much at the cap.
const LOOKED_AT_MAX: usize = 1024;

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

    /// Cuts a stranger, when there is one: the oldest of the address that has
    /// the most of them.
    pub(super) fn cut_one(&self) {
        let mut connections = self.connections();
        if let Some(connection) = connections.to_cut().and_then(|number| connections.open.remove(&number)) {
            connection.cut();
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn to_cut(&self) -> Option<u64> {
        let mut held: HashMap<(bool, u64), (usize, u64)> = HashMap::new();
        let strangers = self.open.iter().filter(|(_, connection)| !connection.trusted());
        for (&number, connection) in strangers.take(LOOKED_AT_MAX) {
            held.entry(network(connection.peer)).or_insert((0, number)).0 += 1;
        }
        let most = held.into_values().max_by_key(|&(count, oldest)| (count, Reverse(oldest)));
        most.map(|(_, oldest)| oldest)
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

    const HERE: [u8; 4] = [127, 0, 0, 1];
    const THERE: [u8; 4] = [127, 0, 0, 2];
    const ELSEWHERE: [u8; 4] = [127, 0, 0, 3];

    fn entered(strangers: &Arc<Strangers>, peers: &[[u8; 4]]) -> (Vec<Arc<Connection>>, Vec<Entry>) {
        let all: Vec<_> = peers.iter().map(|&peer| Arc::new(Connection::new(peer.into(), String::new()))).collect();
        let entries = all.iter().map(|connection| strangers.enter(Arc::clone(connection))).collect();
        (all, entries)
    }

    fn fates(all: &[Arc<Connection>]) -> Vec<Fate> {
        all.iter().map(|connection| connection.fate()).collect()
    }

    #[test]
    fn f1_the_oldest_stranger_gives_way_and_whoever_authenticated_stays() {
        let strangers = Arc::new(Strangers::default());
        let (all, entries) = entered(&strangers, &[HERE; 3]);
        all[0].trust();
        strangers.cut_one();
        assert_eq!(fates(&all), [Fate::Serve, Fate::Cut, Fate::Serve]);
        strangers.cut_one();
        strangers.cut_one();
        assert_eq!((all[0].fate(), all[2].fate()), (Fate::Serve, Fate::Cut));
        drop(entries);
        assert!(strangers.connections().open.is_empty());
    }

    #[test]
    fn f1_whoever_has_the_most_places_gives_way_first() {
        let strangers = Arc::new(Strangers::default());
        let (all, _entries) = entered(&strangers, &[HERE, THERE, ELSEWHERE, THERE, THERE]);
        all[4].trust();
        strangers.cut_one();
        assert_eq!(fates(&all), [Fate::Serve, Fate::Cut, Fate::Serve, Fate::Serve, Fate::Serve]);
        // Now each has one, and the oldest of all is next.
        strangers.cut_one();
        assert_eq!(fates(&all), [Fate::Cut, Fate::Cut, Fate::Serve, Fate::Serve, Fate::Serve]);
    }
}

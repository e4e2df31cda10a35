//! Connections in the order they came, so that at the cap the oldest one that
//! never authenticated gives way: silent peers cannot shut others out. Whoever
//! has the most places gives way first, so that one flooding host takes from
//! itself and not from others that are still shaking hands. Where all have
//! authenticated, a principal with more than its share gives way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::layers::{Connection, network};
use crate::domain::PrincipalId;

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
    /// the most of them. Else, of the principal that has the most connections
    /// when these are more than `own_max`, the one that is idle the longest.
    pub(super) fn cut_one(&self, own_max: usize) {
        let mut connections = self.connections();
        let number = connections.to_cut().or_else(|| connections.beyond_share(own_max));
        if let Some(connection) = number.and_then(|number| connections.open.remove(&number)) {
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

    /// One that is in use goes only when all of that principal's are: the
    /// oldest of them.
    fn beyond_share(&self, own_max: usize) -> Option<u64> {
        let mut held: HashMap<PrincipalId, (usize, u64)> = HashMap::new();
        for (&number, connection) in &self.open {
            if let Some(principal) = connection.principal() {
                held.entry(principal).or_insert((0, number)).0 += 1;
            }
        }
        let beyond = held.into_iter().filter(|&(_, (count, _))| count > own_max);
        let (most, _) = beyond.max_by_key(|&(_, (count, oldest))| (count, Reverse(oldest)))?;
        let own = self.open.iter().filter(|(_, connection)| connection.principal() == Some(most));
        own.max_by_key(|&(&number, connection)| (connection.idle(), Reverse(number))).map(|(&number, _)| number)
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
        strangers.cut_one(usize::MAX);
        assert_eq!(fates(&all), [Fate::Serve, Fate::Cut, Fate::Serve]);
        strangers.cut_one(usize::MAX);
        strangers.cut_one(usize::MAX);
        assert_eq!((all[0].fate(), all[2].fate()), (Fate::Serve, Fate::Cut));
        drop(entries);
        assert!(strangers.connections().open.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_principal_beyond_its_share_gives_way_where_all_have_authenticated() {
        let strangers = Arc::new(Strangers::default());
        let (all, entries) = entered(&strangers, &[HERE; 6]);
        for (number, connection) in all.iter().enumerate() {
            connection.trust();
            connection.serves(PrincipalId::from_bytes([u8::from(number >= 4); 16]));
        }
        // A later call of somebody else does not make it somebody else's.
        all[0].serves(PrincipalId::from_bytes([1; 16]));
        strangers.cut_one(4);
        assert_eq!(fates(&all), [Fate::Serve; 6], "nobody has more than its share");
        let held = all[0].enter();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        drop(all[1].enter());
        strangers.cut_one(3);
        assert_eq!(all[2].fate(), Fate::Cut, "the oldest that is idle the longest");
        strangers.cut_one(3);
        assert_eq!(fates(&all).iter().filter(|fate| **fate == Fate::Cut).count(), 1, "three are its share");
        strangers.cut_one(2);
        assert_eq!(all[3].fate(), Fate::Cut);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        strangers.cut_one(1);
        assert_eq!((all[0].fate(), all[1].fate()), (Fate::Serve, Fate::Cut), "what is in use goes last");
        let busy = (all[4].enter(), all[5].enter());
        strangers.cut_one(1);
        assert_eq!((all[4].fate(), all[5].fate()), (Fate::Cut, Fate::Serve), "the oldest, where all are in use");
        drop((held, busy, entries));
        assert!(strangers.connections().open.is_empty());
    }

    #[test]
    fn f1_whoever_has_the_most_places_gives_way_first() {
        let strangers = Arc::new(Strangers::default());
        let (all, _entries) = entered(&strangers, &[HERE, THERE, ELSEWHERE, THERE, THERE]);
        all[4].trust();
        strangers.cut_one(usize::MAX);
        assert_eq!(fates(&all), [Fate::Serve, Fate::Cut, Fate::Serve, Fate::Serve, Fate::Serve]);
        // Now each has one, and the oldest of all is next.
        strangers.cut_one(usize::MAX);
        assert_eq!(fates(&all), [Fate::Cut, Fate::Cut, Fate::Serve, Fate::Serve, Fate::Serve]);
    }
}

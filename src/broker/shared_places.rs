//! Places that many principals share: so many in all, and of these so many for
//! each, so that no principal shuts the others out.
//!
//! Taking and giving back a place look at one number of one principal, under a
//! lock that is never held across an await. Nothing is kept of a principal
//! that has no place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{PrincipalId, Share};

/// Principals are counted under so many locks: ids are random, so two that are
/// busy seldom wait for each other.
const SHARDS: usize = 16;

type Shard = Mutex<HashMap<PrincipalId, usize>>;

/// Places, all of them and those of each principal.
pub struct SharedPlaces {
    all: Arc<Semaphore>,
    all_max: usize,
    own_max: usize,
    // Invariant: no entry is 0, and all of them together are at most `all_max`.
    held: [Shard; SHARDS],
}

/// A place, for as long as this lives.
pub struct HeldPlace {
    places: Arc<SharedPlaces>,
    principal: PrincipalId,
    /// Until it is given back.
    permit: Option<OwnedSemaphorePermit>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    Full,
    /// The principal has as many as one may have, which is so many.
    OwnFull(usize),
}

impl SharedPlaces {
    /// So many places, of which each principal may have a share.
    #[must_use]
    pub fn new(all_max: usize, share: Share) -> Arc<Self> {
        let held = std::array::from_fn(|_| Shard::default());
        Arc::new(Self { all: Arc::new(Semaphore::new(all_max)), all_max, own_max: share.of(all_max), held })
    }

    /// A place for `principal`.
    ///
    /// # Errors
    /// When it has as many as it may, and when there are none left.
    pub fn take(self: &Arc<Self>, principal: PrincipalId) -> Result<HeldPlace, NoPlace> {
        let mut held = self.shard(principal);
        let own = held.get(&principal).copied().unwrap_or_default();
        if own >= self.own_max {
            return Err(NoPlace::OwnFull(self.own_max));
        }
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| NoPlace::Full)?;
        held.insert(principal, own + 1);
        drop(held);
        Ok(HeldPlace { places: Arc::clone(self), principal, permit: Some(permit) })
    }

    /// Returns when every place is free.
    pub async fn all_free(&self) {
        // An error means that there are no places any more.
        drop(self.all.acquire_many(u32::try_from(self.all_max).unwrap_or(u32::MAX)).await);
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.all_max.saturating_sub(self.all.available_permits())
    }

    fn shard(&self, principal: PrincipalId) -> MutexGuard<'_, HashMap<PrincipalId, usize>> {
        let number = usize::from(principal.as_bytes()[0]) % SHARDS;
        self.held.get(number).unwrap_or(&self.held[0]).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        let mut held = self.places.shard(self.principal);
        if let Entry::Occupied(mut own) = held.entry(self.principal) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
        // Under the lock: the principal has never more places than are counted.
        self.permit = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(byte: u8) -> PrincipalId {
        PrincipalId::from_bytes([byte; 16])
    }

    fn quarter_of(all: usize) -> Arc<SharedPlaces> {
        SharedPlaces::new(all, Share::percent(25).unwrap())
    }

    fn refused(places: &Arc<SharedPlaces>, byte: u8) -> Option<NoPlace> {
        places.take(principal(byte)).err()
    }

    #[test]
    fn a_principal_gets_its_share_and_not_one_place_more() {
        let places = quarter_of(8);
        let mut own: Vec<_> = (0..2).map(|_| places.take(principal(1)).ok().unwrap()).collect();
        assert_eq!(refused(&places, 1), Some(NoPlace::OwnFull(2)));
        assert_eq!(refused(&places, 2), None, "another has its own");
        assert_eq!(refused(&places, 17), None, "also one that is counted under the same lock");
        drop(own.pop());
        assert_eq!(refused(&places, 1), None, "a place was given back");
    }

    #[test]
    fn all_together_get_all_places_and_no_more() {
        let places = quarter_of(4);
        let held: Vec<_> = (1..=4).map(|byte| places.take(principal(byte)).ok().unwrap()).collect();
        assert_eq!((refused(&places, 5), places.taken()), (Some(NoPlace::Full), 4));
        drop(held);
        assert_eq!((refused(&places, 5), places.taken()), (None, 0));
    }

    #[test]
    fn nothing_is_kept_of_who_has_no_place() {
        let places = quarter_of(4);
        let held = places.take(principal(1)).ok().unwrap();
        assert_eq!(refused(&places, 1), Some(NoPlace::OwnFull(1)));
        let full: Vec<_> = (2..=4).map(|byte| places.take(principal(byte)).ok().unwrap()).collect();
        assert_eq!(refused(&places, 5), Some(NoPlace::Full));
        let entries = || places.held.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>();
        assert_eq!(entries(), 4, "who was refused is not there");
        drop((held, full));
        assert_eq!(entries(), 0);
    }

    #[test]
    fn many_threads_of_one_principal_never_have_more_than_its_share() {
        let places = quarter_of(40);
        let most = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let held: Vec<_> = (0..4).map_while(|_| places.take(principal(1)).ok()).collect();
                        most.fetch_max(places.taken(), std::sync::atomic::Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
        assert_eq!(places.taken(), 0);
    }
}

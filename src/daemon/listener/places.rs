//! How many connections a listener has, and that at the cap one that never
//! authenticated gives way to whoever comes, or one of a principal that has
//! more than its share of them.
//!
//! The daemon's listener and the issuer's door share this; each says for
//! itself how long a connection may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::strangers::{Entry, Strangers};
use crate::api::layers::Connection;
use crate::domain::Share;

/// The places for connections.
pub struct Places {
    places_max: usize,
    own_max: usize,
    free: Arc<Semaphore>,
    strangers: Arc<Strangers>,
}

/// A place that nobody sits on yet.
pub struct Free(OwnedSemaphorePermit);

/// A connection's place, for as long as this lives.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _entry: Entry,
}

impl Places {
    /// So many places, and the share of them that a principal keeps when all
    /// are taken.
    #[must_use]
    pub fn new(places_max: usize, share: Share) -> Self {
        let own_max = share.of(places_max);
        Self { places_max, own_max, free: Arc::new(Semaphore::new(places_max)), strangers: Arc::default() }
    }

    /// A place for whoever comes; at the cap a stranger gives way, or whoever
    /// has more than its share. Nothing when there are no places any more.
    pub async fn free(&self) -> Option<Free> {
        if self.free.available_permits() == 0 {
            self.strangers.cut_one(self.own_max);
        }
        Arc::clone(&self.free).acquire_owned().await.ok().map(Free)
    }

    /// Seats a connection: from now on it is one that may have to give way.
    #[must_use]
    pub fn seat(&self, Free(permit): Free, connection: &Arc<Connection>) -> Place {
        Place { _permit: permit, _entry: self.strangers.enter(Arc::clone(connection)) }
    }

    /// Returns when every connection has ended.
    pub async fn ended(&self) {
        let all = u32::try_from(self.places_max).unwrap_or(u32::MAX);
        // An error means that nobody has a place any more.
        drop(self.free.acquire_many(all).await);
    }
}

//! Turns: what may use a connector's source credential up goes one at a time.
//!
//! Owns a queue for each connector that somebody waits for, and no other.
//! Both the queue and the wait are bounded; a turn ends when it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{ConnectorId, PrincipalId, Share};

use super::super::{BrokerError, HeldPlace, NoPlace, SharedPlaces};

/// The most that wait for one connector, the one whose turn it is included.
const WAITERS_MAX: usize = 256;
/// How long anybody waits. A mint takes a second; one whose cloud lets it wait
/// longer than this has what it uses up waited for, and nobody else.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// When to wait again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

struct Queue {
    gate: Arc<Semaphore>,
    places: Arc<SharedPlaces>,
}

/// The queues of all connectors.
#[derive(Clone)]
pub(in crate::broker) struct Turns {
    queues: Arc<Mutex<HashMap<ConnectorId, Queue>>>,
    share: Share,
}

/// A place in a queue, given back when it is dropped.
struct Place {
    turns: Turns,
    connector: ConnectorId,
    /// Until it is given back.
    held: Option<HeldPlace>,
}

/// The right to use a connector's source credential, until it is dropped.
// Field order matters: the permit goes first, then the place in the queue.
pub(in crate::broker) struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Turns {
    /// Nobody waits; a principal may have its share of each queue.
    pub(in crate::broker) fn new(share: Share) -> Self {
        Self { queues: Arc::default(), share }
    }

    /// Waits for this connector's turn.
    ///
    /// # Errors
    /// `Exhausted` when too many wait, also of this principal's, or the wait
    /// gets too long.
    pub(in crate::broker) async fn take(
        &self,
        connector: ConnectorId,
        principal: PrincipalId,
    ) -> Result<Turn, BrokerError> {
        let (gate, place) = self.queue(connector, principal)?;
        match tokio::time::timeout(WAIT_MAX, gate.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, _place: place }),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    fn queue(&self, connector: ConnectorId, principal: PrincipalId) -> Result<(Arc<Semaphore>, Place), BrokerError> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever comes first gets a place: no queue is left that nobody is in.
        let queue = queues.entry(connector).or_insert_with(|| Queue {
            gate: Arc::new(Semaphore::new(1)),
            places: SharedPlaces::new(WAITERS_MAX, self.share),
        });
        let held = Some(queue.places.take(principal).map_err(no_place)?);
        Ok((Arc::clone(&queue.gate), Place { turns: self.clone(), connector, held }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.queues.lock().unwrap_or_else(PoisonError::into_inner);
        self.held = None;
        if queues.get(&self.connector).is_some_and(|queue| queue.places.taken() == 0) {
            queues.remove(&self.connector);
        }
    }
}

fn no_place(none: NoPlace) -> BrokerError {
    match none {
        NoPlace::Full => busy(),
        NoPlace::OwnFull(limit) => BrokerError::Exhausted {
            code: "PRINCIPAL_TURNS",
            message: format!(
                "you have {limit} mints waiting for this connector, whose mints go one at a time: the most of one \
                 principal; let some end first, or have an operator raise limits.principal_share"
            ),
            retry_after: Some(RETRY_AFTER),
        },
    }
}

fn busy() -> BrokerError {
    BrokerError::Exhausted {
        code: "CONNECTOR_BUSY",
        message: "too many wait for this connector, whose mints go one at a time".to_owned(),
        retry_after: Some(RETRY_AFTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectorId = ConnectorId::from_bytes([1; 16]);
    const OTHER: ConnectorId = ConnectorId::from_bytes([2; 16]);
    const SAM: PrincipalId = PrincipalId::from_bytes([3; 16]);
    const SIRI: PrincipalId = PrincipalId::from_bytes([4; 16]);

    fn turns(percent: u32) -> Turns {
        Turns::new(Share::percent(percent).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn one_connector_has_one_turn_and_others_do_not_wait_for_it() {
        let turns = turns(25);
        let first = turns.take(ONE, SAM).await.ok().unwrap();
        assert!(turns.take(OTHER, SAM).await.is_ok());
        // The clock is paused: the wait ends at once, in vain.
        assert_eq!(turns.take(ONE, SAM).await.err().map(|error| error.code()), Some("CONNECTOR_BUSY"));
        drop(first);
        assert!(turns.take(ONE, SAM).await.is_ok());
        assert!(turns.queues.lock().unwrap().is_empty(), "nobody waits: nothing is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_bounded() {
        let turns = turns(50);
        let half = |who| (0..WAITERS_MAX / 2).map(move |_| (ONE, who));
        let all = half(SAM).chain(half(SIRI));
        let mut places: Vec<_> = all.map(|(connector, who)| turns.queue(connector, who).ok().unwrap()).collect();
        let third = PrincipalId::from_bytes([5; 16]);
        let refused = turns.queue(ONE, third).err();
        assert_eq!(refused.map(|error| error.code()), Some("CONNECTOR_BUSY"), "one more than the limit");
        drop(places.pop());
        assert!(turns.queue(ONE, third).is_ok(), "a place was given back");
        drop(places);
        assert!(turns.queues.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_principal_has_its_share_of_a_queue_and_others_still_wait() {
        let turns = turns(25);
        let places: Vec<_> = (0..WAITERS_MAX / 4).map(|_| turns.queue(ONE, SAM).ok().unwrap()).collect();
        let refused = turns.queue(ONE, SAM).err().unwrap();
        assert_eq!(refused.code(), "PRINCIPAL_TURNS");
        assert!(refused.to_string().contains("64 mints waiting"));
        assert!(turns.queue(ONE, SIRI).is_ok() && turns.queue(OTHER, SAM).is_ok());
        drop(places);
        assert!(turns.queue(ONE, SAM).is_ok());
    }
}

//! Turns: what may use a connector's source credential up goes one at a time.
//!
//! Owns a queue for each connector that somebody waits for, and no other.
//! Both the queue and the wait are bounded; a turn ends when it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::ConnectorId;

use super::super::BrokerError;

/// The most that wait for one connector, the one whose turn it is included.
const WAITERS_MAX: usize = 256;
/// How long anybody waits. A mint takes a second; one whose cloud lets it wait
/// longer than this has what it uses up waited for, and nobody else.
const WAIT_MAX: Duration = Duration::from_secs(30);

struct Queue {
    gate: Arc<Semaphore>,
    places: usize,
}

/// The queues of all connectors.
#[derive(Clone, Default)]
pub(in crate::broker) struct Turns(Arc<Mutex<HashMap<ConnectorId, Queue>>>);

/// A place in a queue, given back when it is dropped.
struct Place {
    turns: Turns,
    connector: ConnectorId,
}

/// The right to use a connector's source credential, until it is dropped.
// Field order matters: the permit goes first, then the place in the queue.
pub(in crate::broker) struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Turns {
    /// Waits for this connector's turn.
    ///
    /// # Errors
    /// `Exhausted` when too many wait, or the wait gets too long.
    pub(in crate::broker) async fn take(&self, connector: ConnectorId) -> Result<Turn, BrokerError> {
        let (gate, place) = self.queue(connector)?;
        match tokio::time::timeout(WAIT_MAX, gate.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, _place: place }),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    fn queue(&self, connector: ConnectorId) -> Result<(Arc<Semaphore>, Place), BrokerError> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(connector).or_insert_with(|| Queue { gate: Arc::new(Semaphore::new(1)), places: 0 });
        if queue.places >= WAITERS_MAX {
            return Err(busy());
        }
        queue.places += 1;
        Ok((Arc::clone(&queue.gate), Place { turns: self.clone(), connector }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&self.connector) {
            queue.places -= 1;
            if queue.places == 0 {
                queues.remove(&self.connector);
            }
        }
    }
}

fn busy() -> BrokerError {
    BrokerError::Exhausted {
        code: "CONNECTOR_BUSY",
        message: "too many wait for this connector, whose mints go one at a time".to_owned(),
        retry_after: Some(Duration::from_secs(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectorId = ConnectorId::from_bytes([1; 16]);
    const OTHER: ConnectorId = ConnectorId::from_bytes([2; 16]);

    #[tokio::test(start_paused = true)]
    async fn one_connector_has_one_turn_and_others_do_not_wait_for_it() {
        let turns = Turns::default();
        let first = turns.take(ONE).await.ok().unwrap();
        assert!(turns.take(OTHER).await.is_ok());
        // The clock is paused: the wait ends at once, in vain.
        assert_eq!(turns.take(ONE).await.err().map(|error| error.code()), Some("CONNECTOR_BUSY"));
        drop(first);
        assert!(turns.take(ONE).await.is_ok());
        assert!(turns.0.lock().unwrap().is_empty(), "nobody waits: nothing is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_bounded() {
        let turns = Turns::default();
        let mut places: Vec<_> = (0..WAITERS_MAX).map(|_| turns.queue(ONE).ok().unwrap()).collect();
        assert!(turns.queue(ONE).is_err(), "one more than the limit");
        drop(places.pop());
        assert!(turns.queue(ONE).is_ok(), "a place was given back");
    }
}

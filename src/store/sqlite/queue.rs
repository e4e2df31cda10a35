//! A bounded queue from many tasks to a few threads.
//!
//! A task never waits to put something in: beyond the bound it is told so.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why something was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The bound is reached.
    Full,
    /// Nobody takes anything out any more.
    Closed,
}

/// What a thread finds.
pub(super) enum Taken<T> {
    /// At least one.
    Some(Vec<T>),
    /// Nothing for as long as it would wait.
    Idle,
    /// Nothing, and nothing will come.
    Closed,
}

struct Inside<T> {
    // Invariant: at most `bound` long.
    waiting: VecDeque<T>,
    closed: bool,
    /// Threads that sleep until something comes: only they cost a system call.
    asleep: usize,
}

pub(super) struct Queue<T> {
    inside: Mutex<Inside<T>>,
    arrived: Condvar,
    bound: usize,
}

impl<T> Queue<T> {
    pub(super) const fn new(bound: usize) -> Self {
        let inside = Inside { waiting: VecDeque::new(), closed: false, asleep: 0 };
        Self { inside: Mutex::new(inside), arrived: Condvar::new(), bound }
    }

    pub(super) fn put(&self, item: T) -> Result<(), Refusal> {
        let mut inside = self.lock();
        if inside.closed {
            return Err(Refusal::Closed);
        }
        if inside.waiting.len() >= self.bound {
            return Err(Refusal::Full);
        }
        inside.waiting.push_back(item);
        let wake = inside.asleep > 0;
        drop(inside);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits at most `patience` for the first, and takes up to `max`.
    pub(super) fn take(&self, max: usize, patience: Duration) -> Taken<T> {
        let mut inside = self.lock();
        inside.asleep += 1;
        let nothing = |inside: &mut Inside<T>| inside.waiting.is_empty() && !inside.closed;
        let (mut inside, _) =
            self.arrived.wait_timeout_while(inside, patience, nothing).unwrap_or_else(PoisonError::into_inner);
        inside.asleep -= 1;
        if !inside.waiting.is_empty() {
            let count = inside.waiting.len().min(max);
            Taken::Some(inside.waiting.drain(..count).collect())
        } else if inside.closed {
            Taken::Closed
        } else {
            Taken::Idle
        }
    }

    /// Takes nothing in any more; what waits can still be taken out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Takes nothing in any more and drops what waits.
    pub(super) fn abandon(&self) {
        self.close();
        let dropped = std::mem::take(&mut self.lock().waiting);
        drop(dropped);
    }

    /// A thread that panicked held no half-done change: each hold is one step.
    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_beyond_the_bound_is_refused_and_order_is_kept() {
        let queue = Queue::new(2);
        assert_eq!(queue.put(1), Ok(()));
        assert_eq!(queue.put(2), Ok(()));
        assert_eq!(queue.put(3), Err(Refusal::Full));
        assert!(matches!(queue.take(1, Duration::ZERO), Taken::Some(items) if items == [1]));
        assert_eq!(queue.put(4), Ok(()));
        assert!(matches!(queue.take(9, Duration::ZERO), Taken::Some(items) if items == [2, 4]));
        assert!(matches!(queue.take(9, Duration::ZERO), Taken::Idle));
    }

    /// None is forgotten asleep: each wait would end the test, not the patience.
    #[test]
    fn whoever_sleeps_is_woken_for_each() {
        let queue = Queue::new(64);
        std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut taken = 0_usize;
                        loop {
                            match queue.take(1, Duration::from_secs(3600)) {
                                Taken::Some(items) => taken += items.len(),
                                Taken::Idle => panic!("it slept through"),
                                Taken::Closed => return taken,
                            }
                        }
                    })
                })
                .collect();
            for item in 0..10_000 {
                while queue.put(item).is_err() {
                    std::thread::yield_now();
                }
            }
            queue.close();
            assert_eq!(takers.into_iter().map(|taker| taker.join().unwrap()).sum::<usize>(), 10_000);
        });
    }

    #[test]
    fn a_closed_queue_is_emptied_and_then_ends() {
        let queue = Queue::new(2);
        queue.put(1).unwrap();
        queue.close();
        assert_eq!(queue.put(2), Err(Refusal::Closed));
        assert!(matches!(queue.take(9, Duration::ZERO), Taken::Some(items) if items == [1]));
        assert!(matches!(queue.take(9, Duration::ZERO), Taken::Closed));
    }
}

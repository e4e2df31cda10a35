//! Work that takes long without waiting for anybody, such as deriving a key
//! from a passphrase: beside the thread that serves, a few at a time.
//!
//! Owns the bound. Whatever else there is to do goes first: a health check
//! does not wait for somebody's hundred rounds of bcrypt (SECURITY.md F6).

use std::thread::Builder;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

/// Threads at a time in each lane: the machine has other work.
const PLACES_MAX: usize = 2;
/// How long one waits for a place: callers have deadlines of ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much such a thread gives way to the others.
const NICENESS: i32 = 10;

/// What work is about. Whoever has a stored key opened in a loop holds up
/// nobody who hands one in, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A source credential that somebody hands in.
    HandedIn,
    /// One that is stored, for a mint or a signature.
    Stored,
}

// Of the process and not of a connector: what they bound is the machine's.
static OF_HANDED_IN: Semaphore = Semaphore::const_new(PLACES_MAX);
static OF_STORED: Semaphore = Semaphore::const_new(PLACES_MAX);

/// All places are taken, or there is no thread to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much long work at once")]
pub struct Busy;

/// Runs `work` on a thread of its own.
///
/// # Errors
/// When no place came free in time, or the work panicked.
pub async fn aside<T, F>(lane: Lane, work: F) -> Result<T, Busy>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let places = match lane {
        Lane::HandedIn => &OF_HANDED_IN,
        Lane::Stored => &OF_STORED,
    };
    let place = tokio::time::timeout(PATIENCE, places.acquire()).await.ok().and_then(Result::ok).ok_or(Busy)?;
    let (answer, answered) = oneshot::channel();
    let thread = Builder::new().name("long-work".to_owned()).spawn(move || {
        // A sandbox may forbid it; it is a courtesy.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        // Whoever went away is not told.
        let _ = answer.send(work());
        drop(place);
    });
    thread.map_err(|_| Busy)?;
    answered.await.map_err(|_| Busy)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn f6_long_work_holds_up_nothing_else_and_is_done_a_few_at_a_time() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let works: Vec<_> = (0..8)
            .map(|_| {
                let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
                tokio::spawn(aside(Lane::Stored, move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    gate.lock().unwrap().recv().unwrap();
                    now.fetch_sub(1, Ordering::SeqCst);
                }))
            })
            .collect();
        // This thread is the only one that serves, and it goes on.
        while now.load(Ordering::SeqCst) < PLACES_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(aside(Lane::HandedIn, || 7).await, Ok(7), "the other lane is free");
        for _ in 0..8 {
            open.send(()).unwrap();
        }
        for work in works {
            work.await.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), PLACES_MAX);
    }

    #[tokio::test]
    async fn work_that_panics_frees_its_place() {
        for _ in 0..2 * PLACES_MAX {
            assert_eq!(aside::<(), _>(Lane::HandedIn, || panic!("in a thread")).await, Err(Busy));
        }
        assert_eq!(aside(Lane::HandedIn, || 7).await, Ok(7));
    }
}

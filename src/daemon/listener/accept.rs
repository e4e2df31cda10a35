//! Accepting connections, also when there are no file descriptors left: the
//! loop then waits, longer each time, and says so once in a while.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::telemetry::Sampler;

/// The first wait after a failed accept.
const WAIT_MIN: Duration = Duration::from_millis(10);
/// The longest: a connection that ends frees a descriptor sooner or later.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Something that accepts.
#[async_trait]
pub trait Accept: Send {
    /// What a connection is.
    type Stream: Send;
    /// The next connection.
    ///
    /// # Errors
    /// The system's.
    async fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)>;
}

#[async_trait]
impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // Replies are small and whole: waiting to fill a packet only delays.
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }
}

/// Accepts from `A`, and waits after errors.
pub struct PatientAccept<A> {
    acceptor: A,
    wait: Duration,
    failures: Sampler,
    started: Instant,
}

impl<A: Accept> PatientAccept<A> {
    /// Nothing is accepted yet.
    pub fn new(acceptor: A) -> Self {
        Self { acceptor, wait: WAIT_MIN, failures: Sampler::default(), started: Instant::now() }
    }

    /// The next connection; never fails, may wait for ever.
    pub async fn next(&mut self) -> (A::Stream, SocketAddr) {
        loop {
            match self.acceptor.accept().await {
                Ok(accepted) => {
                    self.wait = WAIT_MIN;
                    return accepted;
                }
                // The peer's own affair: the next one is accepted at once.
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    if let Some(held_back) = self.failures.due(self.started.elapsed()) {
                        tracing::error!(%error, held_back, "cannot accept connections");
                    }
                    tokio::time::sleep(self.wait).await;
                    self.wait = (self.wait * 2).min(WAIT_MAX);
                }
            }
        }
    }
}

#[allow(clippy::wildcard_enum_match_arm)] // the kinds of io::Error are open-ended
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Fails so many times, then accepts.
    struct Failing {
        left: usize,
        error: fn() -> io::Error,
        tries: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl Accept for Failing {
        type Stream = ();

        async fn accept(&mut self) -> io::Result<((), SocketAddr)> {
            self.tries.fetch_add(1, Ordering::SeqCst);
            if self.left == 0 {
                return Ok(((), SocketAddr::from(([127, 0, 0, 1], 1))));
            }
            self.left -= 1;
            Err((self.error)())
        }
    }

    async fn waited(left: usize, error: fn() -> io::Error) -> (Duration, usize) {
        let tries = Arc::new(AtomicUsize::new(0));
        let mut patient = PatientAccept::new(Failing { left, error, tries: Arc::clone(&tries) });
        let before = Instant::now();
        patient.next().await;
        (before.elapsed(), tries.load(Ordering::SeqCst))
    }

    fn no_descriptors() -> io::Error {
        rustix::io::Errno::MFILE.into()
    }

    #[tokio::test(start_paused = true)]
    async fn without_descriptors_each_wait_is_twice_the_last_up_to_a_second() {
        assert_eq!(waited(1, no_descriptors).await, (Duration::from_millis(10), 2));
        assert_eq!(waited(3, no_descriptors).await, (Duration::from_millis(70), 4));
        // 10 + 20 + ... + 640 ms, then a second each.
        assert_eq!(waited(9, no_descriptors).await, (Duration::from_millis(1270 + 2000), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_broke_before_it_was_accepted_costs_no_wait() {
        let aborted = || io::Error::from(io::ErrorKind::ConnectionAborted);
        assert_eq!(waited(100, aborted).await, (Duration::ZERO, 101));
    }
}

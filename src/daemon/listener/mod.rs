//! The listener: how many connections there are, who gives way, and when they
//! all end.
//!
//! Owns the accept loop. tonic's own spins without descriptors, waits for
//! handshakes for ever and has no cap (SECURITY.md 6.3).

mod accept;
mod connection;
mod strangers;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::api::layers::{Connection, Door};
use strangers::Strangers;

pub use accept::{Accept, PatientAccept};
pub use connection::ConnectionLimits;
pub use tls::{Certificates, Reloaded};

/// Takes connections to the door.
pub struct Listener {
    door: Arc<Door>,
    tls: TlsAcceptor,
    limits: ConnectionLimits,
    connections_max: usize,
    places: Arc<Semaphore>,
    strangers: Arc<Strangers>,
    stopping: watch::Receiver<bool>,
}

impl Listener {
    /// A listener of at most `connections_max` connections. It ends when
    /// `stopping` says true.
    #[must_use]
    pub fn new(
        door: Arc<Door>,
        tls: TlsAcceptor,
        limits: ConnectionLimits,
        connections_max: usize,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(connections_max));
        Self { door, tls, limits, connections_max, places, strangers: Arc::default(), stopping }
    }

    /// Accepts until the daemon stops.
    #[allow(clippy::disallowed_methods)] // the one place where connections become tasks
    pub async fn run<A>(&self, acceptor: A)
    where
        A: Accept,
        A::Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let mut acceptor = PatientAccept::new(acceptor);
        let mut stopping = self.stopping.clone();
        loop {
            let accepted = async {
                let (stream, peer) = acceptor.next().await;
                (stream, peer, self.place().await)
            };
            let (stream, peer, place) = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                accepted = accepted => accepted,
            };
            let Some(place) = place else { return };
            let connection = self.door.connection(peer.ip());
            tokio::spawn(self.serve(stream, connection, place));
        }
    }

    /// Returns when every connection has ended.
    pub async fn ended(&self) {
        let all = u32::try_from(self.connections_max).unwrap_or(u32::MAX);
        // An error means that nobody has a place any more.
        drop(self.places.acquire_many(all).await);
    }

    /// A place; at the cap the oldest stranger gives way.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if self.places.available_permits() == 0 {
            self.strangers.cut_oldest();
        }
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    fn serve<S>(
        &self,
        stream: S,
        connection: Arc<Connection>,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (door, limits, stopping) = (Arc::clone(&self.door), self.limits.clone(), self.stopping.clone());
        let strangers = Arc::clone(&self.strangers);
        let handshake = self.tls.accept(stream);
        async move {
            let _place = place;
            let _entry = strangers.enter(Arc::clone(&connection));
            let done = tokio::select! {
                done = tokio::time::timeout(limits.handshake, handshake) => done,
                () = connection.fate_changed() => return,
            };
            // Too late, no TLS 1.3, or a port scan: nothing to say to it.
            let Ok(Ok(stream)) = done else { return };
            if stream.get_ref().1.alpn_protocol() == Some(tls::ALPN) {
                connection::drive(stream, door, connection, limits, stopping).await;
            }
        }
    }
}

//! The listener: how many connections there are, who gives way, and when they
//! all end.
//!
//! Owns the accept loop. tonic's own spins without descriptors, waits for
//! handshakes for ever and has no cap (SECURITY.md 6.3).

mod accept;
mod connection;
mod gathered;
mod places;
mod strangers;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::api::layers::{Connection, Door};

pub use accept::{Accept, PatientAccept};
pub use connection::ConnectionLimits;
pub use places::{Place, Places};
pub use tls::{Certificates, Reloaded};

/// Takes connections to the door.
pub struct Listener {
    door: Arc<Door>,
    tls: TlsAcceptor,
    limits: ConnectionLimits,
    places: Places,
    stopping: watch::Receiver<bool>,
}

impl Listener {
    /// A listener with places for so many connections. It ends when
    /// `stopping` says true.
    #[must_use]
    pub fn new(
        door: Arc<Door>,
        tls: TlsAcceptor,
        limits: ConnectionLimits,
        places: Places,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { door, tls, limits, places, stopping }
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
                (stream, peer, self.places.free().await)
            };
            let (stream, peer, free) = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                accepted = accepted => accepted,
            };
            let Some(free) = free else { return };
            let connection = self.door.connection(peer.ip());
            let place = self.places.seat(free, &connection);
            tokio::spawn(self.serve(stream, connection, place));
        }
    }

    /// Returns when every connection has ended.
    pub async fn ended(&self) {
        self.places.ended().await;
    }

    fn serve<S>(&self, stream: S, connection: Arc<Connection>, place: Place) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (door, limits, stopping) = (Arc::clone(&self.door), self.limits.clone(), self.stopping.clone());
        let handshake = self.tls.accept(stream);
        async move {
            let _place = place;
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

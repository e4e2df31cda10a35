//! The issuer's own HTTPS door: two public documents for whoever asks.
//!
//! Strangers all, so everything is small and short: few connections, one
//! request on each, little header, one deadline over all of it. Where all
//! places are taken the oldest gives way, as at the daemon's own listener: a
//! cloud's fetch does not queue behind silent peers. A body is never read, a
//! client never known, and no secret is behind this door but the key of its
//! certificate.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::listener::{Accept, PatientAccept, Place, Places};
use crate::api::layers::Connection;
use crate::domain::Share;
use crate::issuer::{Answer, Issuer};

/// Connections at a time. A fetch is over in three round trips: to be cut in
/// them, so many others must have come meanwhile.
const CONNECTIONS_MAX: usize = 256;
/// For the handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// From the first byte of the handshake to the last of the answer.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);
/// For the head of the request.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// Of a request's head; the least that hyper takes. A fetch has some hundreds.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 32;

/// How many connections there may be, and each for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct IssuerDoorLimits {
    connections_max: usize,
    handshake: Duration,
    head: Duration,
    connection: Duration,
}

impl Default for IssuerDoorLimits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            handshake: HANDSHAKE_DEADLINE,
            head: HEAD_DEADLINE,
            connection: CONNECTION_DEADLINE,
        }
    }
}

/// Serves the documents of an issuer.
pub(super) struct IssuerDoor {
    issuer: Arc<Issuer>,
    tls: TlsAcceptor,
    limits: IssuerDoorLimits,
    places: Places,
    stopping: watch::Receiver<bool>,
}

impl IssuerDoor {
    /// A door that closes when `stopping` says true.
    pub(super) fn new(
        issuer: Arc<Issuer>,
        tls: TlsAcceptor,
        limits: IssuerDoorLimits,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { issuer, tls, limits, places: Places::new(limits.connections_max, Share::WHOLE), stopping }
    }

    /// Accepts until the daemon stops.
    #[allow(clippy::disallowed_methods)] // the one place where these connections become tasks
    pub(super) async fn run<A>(&self, acceptor: A)
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
            // Never trusted: there is nothing here to be known by. Its source
            // is written nowhere.
            let connection = Arc::new(Connection::new(peer.ip(), String::new()));
            let place = self.places.seat(free, &connection);
            tokio::spawn(self.serve(stream, connection, place));
        }
    }

    /// Returns when every connection has ended.
    pub(super) async fn ended(&self) {
        self.places.ended().await;
    }

    fn serve<S>(&self, stream: S, connection: Arc<Connection>, place: Place) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (issuer, limits, handshake) = (Arc::clone(&self.issuer), self.limits, self.tls.accept(stream));
        async move {
            let _place = place;
            let served = async {
                let Ok(Ok(stream)) = tokio::time::timeout(limits.handshake, handshake).await else { return };
                let service = service_fn(move |request| {
                    let answer = answer(&issuer, &request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(limits.head)
                    .max_buf_size(HEAD_BYTES_MAX)
                    .max_headers(HEADERS_MAX)
                    .keep_alive(false);
                // How it ended is the peer's affair.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            };
            // Over when it is over, too late, or has to give way.
            tokio::select! {
                _ = tokio::time::timeout(limits.connection, served) => {}
                () = connection.fate_changed() => {}
            }
        }
    }
}

fn answer(issuer: &Issuer, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let uri = request.uri();
    response(issuer.answer(request.method().as_str(), uri.path(), uri.query()))
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    const NO_SNIFFING: HeaderName = HeaderName::from_static("x-content-type-options");
    let Answer { status, max_age, allow, body } = answer;
    let mut response = Response::new(Full::new(Bytes::from_owner(body)));
    // The statuses of an answer are ones that there are.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
    let cached = max_age.map_or_else(|| "no-store".to_owned(), |age| format!("public, max-age={}", age.as_secs()));
    let headers = response.headers_mut();
    headers.insert(NO_SNIFFING, HeaderValue::from_static("nosniff"));
    if let Ok(cached) = HeaderValue::from_str(&cached) {
        headers.insert(CACHE_CONTROL, cached);
    }
    if status == StatusCode::OK {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(methods) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
}

#[cfg(test)]
mod tests;

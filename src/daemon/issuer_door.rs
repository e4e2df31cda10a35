//! The issuer's own HTTPS door: two public documents for whoever asks.
//!
//! Strangers all, so everything is small and short: few connections, one
//! request on each, little header, one deadline over all of it. A body is
//! never read, a client never known, and no secret is behind this door but
//! the key of its certificate.

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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::listener::{Accept, PatientAccept};
use crate::issuer::{Answer, Issuer};

/// Connections at a time; the next ones wait in the kernel's queue. Each is
/// over by its deadline, so silent peers hold up nobody for longer.
const CONNECTIONS_MAX: usize = 64;
/// From the first byte of the handshake to the last of the answer.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);
/// For the head of the request.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// Of a request's head; the least that hyper takes. A fetch has some hundreds.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 32;

/// Serves the documents of an issuer.
pub(super) struct IssuerDoor {
    issuer: Arc<Issuer>,
    tls: TlsAcceptor,
    places: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl IssuerDoor {
    /// A door that closes when `stopping` says true.
    pub(super) fn new(issuer: Arc<Issuer>, tls: TlsAcceptor, stopping: watch::Receiver<bool>) -> Self {
        Self { issuer, tls, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), stopping }
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
                let place = Arc::clone(&self.places).acquire_owned().await;
                (acceptor.next().await.0, place)
            };
            let (stream, place) = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                accepted = accepted => accepted,
            };
            let Ok(place) = place else { return };
            tokio::spawn(self.serve(stream, place));
        }
    }

    /// Returns when every connection has ended.
    pub(super) async fn ended(&self) {
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        // An error means that nobody has a place any more.
        drop(self.places.acquire_many(all).await);
    }

    fn serve<S>(&self, stream: S, place: OwnedSemaphorePermit) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (issuer, handshake) = (Arc::clone(&self.issuer), self.tls.accept(stream));
        async move {
            let _place = place;
            let served = async {
                let Ok(stream) = handshake.await else { return };
                let service = service_fn(move |request| {
                    let answer = answer(&issuer, &request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(HEAD_DEADLINE)
                    .max_buf_size(HEAD_BYTES_MAX)
                    .max_headers(HEADERS_MAX)
                    .keep_alive(false);
                // How it ended is the peer's affair.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            };
            // Cut off when it is over.
            let _ = tokio::time::timeout(CONNECTION_DEADLINE, served).await;
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

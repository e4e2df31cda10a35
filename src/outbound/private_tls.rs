//! A call over TLS that one connector sets by itself: a private CA, a client
//! certificate, or no verification at all.
//!
//! The shared client trusts the same roots for everybody, so such a call has a
//! connection of its own. It keeps every other rule of this room: endpoints
//! and addresses checked on the connect, deadlines, size caps, no redirects;
//! https alone, TLS 1.2 or newer.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Position, Url};

use super::call::{BODY_BYTES_MAX, Call, Response, says_no_length};
use super::endpoint::refused_url;
use super::error::OutboundError;
use super::resolve::CheckedResolver;
use super::unverified::AnyCertificate;
use super::{Outbound, tls};

#[cfg(test)]
mod tests;

/// The longest bundle or chain that is read, in bytes.
const PEM_BYTES_MAX: usize = 64 * 1024;
/// The most certificates in a bundle or chain: each costs CPU to parse.
const CERTIFICATES_MAX: usize = 32;
/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How to trust one server and how to be known to it. No Debug: it may hold a
/// key.
pub struct PrivateTls<'a> {
    /// PEM bundle of the only CAs to trust; the system's and the config's
    /// when there is none.
    pub roots: Option<&'a str>,
    /// Shown to the server.
    pub identity: Option<ClientIdentity<'a>>,
    /// False takes any certificate of the server: only when a connector says
    /// so, and every reply about it then does too.
    pub verify: bool,
}

/// A client certificate and its key, both PEM. No Debug.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// The chain, the own certificate first.
    pub certificate: &'a [u8],
    /// PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: &'a [u8],
}

/// Whether this is a PEM bundle of at most 32 CA certificates.
#[must_use]
pub fn check_roots(pem: &str) -> bool {
    private_roots(pem).is_some()
}

fn private_roots(pem: &str) -> Option<RootCertStore> {
    chain(pem.as_bytes())?;
    let mut roots = RootCertStore::empty();
    tls::add(&mut roots, pem)?;
    Some(roots)
}

/// The certificates of a bounded PEM text, at least one.
fn chain(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    if pem.len() > PEM_BYTES_MAX {
        return None;
    }
    let taken = CertificateDer::pem_slice_iter(pem).take(CERTIFICATES_MAX + 1);
    let certificates: Vec<_> = taken.collect::<Result<_, _>>().ok()?;
    (1..=CERTIFICATES_MAX).contains(&certificates.len()).then_some(certificates)
}

impl ClientIdentity<'_> {
    /// Whether the key can be read and is that of the certificate.
    #[must_use]
    pub fn fits(&self) -> bool {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let nobody = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let Ok(builder) = nobody else { return false };
        self.parse().is_some_and(|(certificates, key)| {
            let builder = builder.with_root_certificates(RootCertStore::empty());
            builder.with_client_auth_cert(certificates, key).is_ok()
        })
    }

    fn parse(&self) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let bounded = self.key.len() <= PEM_BYTES_MAX;
        let key = if bounded { PrivateKeyDer::from_pem_slice(self.key).ok()? } else { return None };
        Some((chain(self.certificate)?, key))
    }
}

impl Outbound {
    /// Makes one call over a connection of its own, with no retry and
    /// following no redirect. Bounded and checked like [`Outbound::call`].
    ///
    /// # Errors
    /// Any [`OutboundError`] but `Rules`; `AddressRefused` also for what is
    /// not https; `Malformed` for roots or an identity that do not parse. An
    /// HTTP error status is an answer.
    pub async fn call_with(&self, call: Call, tls: &PrivateTls<'_>) -> Result<Response, OutboundError> {
        self.endpoints.check_request(&call.url)?;
        let url = Url::parse(&call.url).map_err(|_| OutboundError::Malformed)?;
        if url.scheme() != "https" {
            return Err(refused_url(&call.url));
        }
        let config = self.private_config(tls).ok_or(OutboundError::Malformed)?;
        let request = request(call, &url).ok_or(OutboundError::Malformed)?;
        let whole = async {
            let connecting = tokio::time::timeout(self.rules.connect_timeout, self.connect(&url, config));
            exchange(connecting.await.unwrap_or(Err(OutboundError::TimedOut))?, request).await
        };
        tokio::time::timeout(self.rules.call_timeout, whole).await.unwrap_or(Err(OutboundError::TimedOut))
    }

    fn private_config(&self, tls: &PrivateTls<'_>) -> Option<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().ok()?;
        let builder = match (tls.verify, tls.roots) {
            (true, Some(pem)) => builder.with_root_certificates(private_roots(pem)?),
            (true, None) => builder.with_root_certificates(Arc::clone(self.public_roots())),
            (false, _) => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        };
        match &tls.identity {
            Some(identity) => {
                let (certificates, key) = identity.parse()?;
                builder.with_client_auth_cert(certificates, key).ok()
            }
            None => Some(builder.with_no_client_auth()),
        }
    }

    /// What the shared client trusts too.
    fn public_roots(&self) -> &Arc<RootCertStore> {
        self.roots.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            // It was parsed when this way out was made.
            if let Some(extra) = &self.rules.extra_roots_pem {
                let _ = tls::add(&mut roots, extra);
            }
            Arc::new(roots)
        })
    }

    async fn connect(&self, url: &Url, config: ClientConfig) -> Result<TlsStream<TcpStream>, OutboundError> {
        let (addresses, name) = match url.host().ok_or(OutboundError::Malformed)? {
            // An address is only ever allowed by the config: checked before.
            Host::Ipv4(address) => (vec![IpAddr::V4(address)], ServerName::from(IpAddr::V4(address))),
            Host::Ipv6(address) => (vec![IpAddr::V6(address)], ServerName::from(IpAddr::V6(address))),
            Host::Domain(name) => {
                let resolver = CheckedResolver::new(Arc::clone(&self.endpoints));
                let server = ServerName::try_from(name.to_owned()).map_err(|_| OutboundError::Malformed)?;
                let refused = |error: &OutboundError| matches!(error, OutboundError::AddressRefused { .. });
                let named = |error| if refused(&error) { refused_url(url.as_str()) } else { error };
                (resolver.addresses(name).await.map_err(named)?, server)
            }
        };
        let port = url.port_or_known_default().ok_or(OutboundError::Malformed)?;
        let targets: Vec<_> = addresses.into_iter().map(|address| (address, port).into()).collect();
        let socket = TcpStream::connect(targets.as_slice()).await.map_err(|_| OutboundError::Unreachable)?;
        // Small requests, answered before the next: no reason to wait.
        socket.set_nodelay(true).map_err(|_| OutboundError::Unreachable)?;
        TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
            .map_err(|error| OutboundError::of_connect(&error))
    }
}

fn request(call: Call, url: &Url) -> Option<Request<Full<Bytes>>> {
    let (target, host) =
        (&url[Position::BeforePath..Position::AfterQuery], &url[Position::BeforeHost..Position::AfterPort]);
    let mut builder = Request::builder().method(call.method).uri(target).header("host", host);
    if says_no_length(&call) {
        builder = builder.header(http::header::CONTENT_LENGTH, 0);
    }
    for (name, value) in call.headers {
        let mut value = http::HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(call.body))).ok()
}

/// One request and its answer; the connection ends with them.
async fn exchange(stream: TlsStream<TcpStream>, request: Request<Full<Bytes>>) -> Result<Response, OutboundError> {
    let builder = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).to_owned();
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|_| OutboundError::Unreachable)?;
    let answered = async move {
        let answer = sender.send_request(request).await.map_err(|_| OutboundError::Unreachable)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(broken)?.to_bytes();
        let wait = head.headers.get("retry-after").and_then(|value| value.to_str().ok());
        Ok(Response::new(head.status.as_u16(), wait, &body))
    };
    let driven = async move {
        // How it ended shows in the answer.
        drop(connection.await);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = answered => answer,
        never = driven => match never {},
    }
}

fn broken(error: Box<dyn Error + Send + Sync>) -> OutboundError {
    if error.is::<LengthLimitError>() { OutboundError::TooLong } else { OutboundError::Unreachable }
}

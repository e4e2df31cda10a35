//! Requests to a vault that no gRPC client would send: any HTTP/2 head and body over TLS, and bytes that are no HTTP.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body, Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::codegen::http::{HeaderMap, Request, StatusCode};

use super::vault::Vault;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The gRPC status of headers or trailers, if there is one.
    pub grpc: Option<Status>,
    /// The body.
    pub body: Bytes,
}

impl Vault {
    /// A gRPC call's head, with somebody's token.
    pub fn head(&self, who: &str, path: &str) -> tonic::codegen::http::request::Builder {
        Request::post(format!("{}{path}", self.address()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.token(who)))
    }

    /// Sends a request over HTTP/2; an error when the connection was cut.
    pub fn send(&self, request: Request<Vec<u8>>) -> Result<Answer, hyper::Error> {
        self.run(exchange(self.connect(&[b"h2"]), request.map(|body| Full::new(Bytes::from(body)))))
    }

    /// The same with a body that never ends.
    pub fn send_unfinished(&self, request: Request<Vec<u8>>) -> Result<Answer, hyper::Error> {
        let endless = request.map(|body| {
            let begun = tokio_stream::once(Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(body))));
            StreamBody::new(begun.chain(tokio_stream::pending()))
        });
        self.run(exchange(self.connect(&[b"h2"]), endless))
    }

    /// A TLS connection that offers these protocols.
    pub fn connect(
        &self,
        alpn: &[&[u8]],
    ) -> impl Future<Output = std::io::Result<TlsStream<TcpStream>>> + Send + use<> {
        self.connect_by(rustls::DEFAULT_VERSIONS, alpn)
    }

    /// The same by these versions of TLS.
    pub fn connect_by(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&[u8]],
    ) -> impl Future<Output = std::io::Result<TlsStream<TcpStream>>> + Send + use<> {
        let ca = fs::read(self.ca()).expect("init made a CA");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&ca).expect("the CA is PEM")).expect("the CA is a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let mut config = config.expect("ring does each of them").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let port = self.port();
        async move {
            let socket = TcpStream::connect(("127.0.0.1", port)).await?;
            let name = ServerName::try_from("127.0.0.1").expect("an address is a name");
            TlsConnector::from(Arc::new(config)).connect(name, socket).await
        }
    }

    /// Sends bytes over TLS, and returns what came back until the server closed.
    pub fn tls_bytes(&self, alpn: &[&[u8]], bytes: &[u8]) -> Vec<u8> {
        let connecting = self.connect(alpn);
        self.run(async move {
            let Ok(mut stream) = connecting.await else { return Vec::new() };
            // A server that closes first is what some tests are about.
            let _ = stream.write_all(bytes).await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(CLOSES_WITHIN, stream.read_to_end(&mut answer)).await;
            answer
        })
    }
}

async fn exchange<B>(
    connecting: impl Future<Output = std::io::Result<TlsStream<TcpStream>>>,
    request: Request<B>,
) -> Result<Answer, hyper::Error>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let stream = connecting.await.expect("the handshake succeeds");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_else(HeaderMap::new);
    driver.abort();
    let grpc = Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers));
    Ok(Answer { status: head.status, grpc, body: collected.to_bytes() })
}

/// A gRPC frame around a message.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).expect("a message is short").to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

const CLOSES_WITHIN: Duration = Duration::from_secs(20);

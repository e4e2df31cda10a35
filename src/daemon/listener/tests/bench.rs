//! A listener with a porter of paper and handlers of paper behind its door,
//! and clients that send whatever a test wishes.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};

use super::super::{Certificates, ConnectionLimits, Listener, Places};
use crate::api::layers::{Door, DoorLimits, Porter};
use crate::audit::{Line, Outcome};
use crate::authz::Subject;
use crate::broker::{BrokerError, Call, CallRecord, CallerFacts};
use crate::config::write_new_private_file;
use crate::daemon::certificates;
use crate::domain::{Principal, PrincipalId, PrincipalKind, Project, ProjectId, Share, Timestamp, TokenId};
use crate::store::Revision;

/// A token that the porter knows.
pub(super) const GOOD: &str = "Bearer good";
/// The token of somebody else.
pub(super) const OTHER: &str = "Bearer other";
/// What a paper handler answers in time.
pub(super) const WHO_AM_I: &str = "/valetkey.v1.AccessService/WhoAmI";
/// Panics.
pub(super) const PANICS: &str = "/valetkey.v1.AccessService/ListRoles";
/// Never answers.
pub(super) const HANGS: &str = "/valetkey.v1.AccessService/ListBindings";
/// An empty message.
pub(super) const EMPTY: &[u8] = &[0, 0, 0, 0, 0];

/// Knows two tokens, and keeps lines in memory.
#[derive(Default)]
pub(super) struct PaperPorter {
    pub(super) lines: Mutex<Vec<(String, Outcome, String, u32)>>,
    pub(super) sources: Mutex<Vec<Option<String>>>,
    pub(super) ledger_broken: AtomicBool,
}

impl PaperPorter {
    /// How many calls the lines stand for.
    pub(super) fn calls(&self, outcome: Outcome) -> u32 {
        self.lines.lock().unwrap().iter().filter(|line| line.1 == outcome).map(|line| line.3).sum()
    }

    fn write(&self, line: (String, Outcome, String, u32)) -> Result<(), BrokerError> {
        if self.ledger_broken.load(Ordering::SeqCst) {
            return Err(BrokerError::Unavailable { code: "STORE_UNWRITABLE", message: "the store cannot be written" });
        }
        self.lines.lock().unwrap().push(line);
        Ok(())
    }
}

#[async_trait]
impl Porter for PaperPorter {
    async fn authenticate(&self, authorization: &[u8]) -> Result<Arc<CallerFacts>, BrokerError> {
        let id = match authorization {
            known if known == GOOD.as_bytes() => 2,
            known if known == OTHER.as_bytes() => 3,
            _ => return Err(BrokerError::Unauthenticated),
        };
        let (project, at) = (ProjectId::from_bytes([1; 16]), Timestamp::from_seconds(1));
        let principal = Principal {
            id: PrincipalId::from_bytes([id; 16]),
            project,
            name: "good".parse().unwrap(),
            kind: PrincipalKind::User,
            description: String::new(),
            created_by: None,
            created_at: at,
        };
        Ok(Arc::new(CallerFacts {
            subject: Subject { principal: Arc::new(principal), bindings: Vec::new().into(), run: None },
            project: Arc::new(Project { id: project, name: "default".parse().unwrap(), created_at: at }),
            token: TokenId("good".to_owned()),
            token_expires_at: at,
            as_of: Revision(0),
        }))
    }

    fn source_digest(&self, peer: IpAddr) -> String {
        peer.to_string()
    }

    async fn line_of(
        &self,
        record: &CallRecord,
        _: Option<&Call>,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), BrokerError> {
        self.sources.lock().unwrap().push(record.source.clone());
        self.write((record.method.to_owned(), outcome, reason.to_owned(), 1))
    }

    async fn write_counted(&self, lines: Vec<Line>) -> Result<(), BrokerError> {
        for line in lines {
            self.write((line.method, line.outcome, line.reason.as_str().to_owned(), line.count))?;
        }
        Ok(())
    }
}

/// Reads its request and answers nothing, or what the path asks for.
#[derive(Clone)]
struct PaperService<const SERVICE: usize>(Arc<AtomicUsize>);

const SERVICES: [&str; 4] = [
    "valetkey.v1.AccessService",
    "valetkey.v1.ConnectorService",
    "valetkey.v1.AuditService",
    "valetkey.v1.OperatorService",
];

impl<const SERVICE: usize> NamedService for PaperService<SERVICE> {
    const NAME: &'static str = SERVICES[SERVICE];
}

impl<const SERVICE: usize> tower::Service<Request<Body>> for PaperService<SERVICE> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let handled = Arc::clone(&self.0);
        Box::pin(async move {
            assert!(request.extensions().get::<Call>().is_some(), "no call without a caller");
            assert!(!request.headers().contains_key("authorization"));
            let path = request.uri().path().to_owned();
            if let Err(status) = request.into_body().collect().await {
                return Ok(status.into_http());
            }
            handled.fetch_add(1, Ordering::SeqCst);
            match path.as_str() {
                PANICS => panic!("hunter2"),
                HANGS => std::future::pending().await,
                _ => Ok(Status::new(Code::Ok, "").into_http()),
            }
        })
    }
}

/// What a test wishes to be otherwise.
pub(super) struct Wishes {
    pub(super) limits: ConnectionLimits,
    pub(super) connections_max: usize,
    pub(super) door: DoorLimits,
}

impl Default for Wishes {
    fn default() -> Self {
        let long = Duration::from_secs(60);
        Self {
            limits: ConnectionLimits { handshake: long, first_request: long, idle: long, age: long, drain: long },
            connections_max: 100,
            door: DoorLimits {
                requests_max: 100,
                principal_share: Share::WHOLE,
                request_timeout_max: Duration::from_secs(30),
                failed_authentications_per_minute: NonZeroU32::new(10_000).unwrap(),
                calls_per_second: NonZeroU32::new(10_000).unwrap(),
                calls_burst: NonZeroU32::new(10_000).unwrap(),
            },
        }
    }
}

/// A listener that runs.
pub(super) struct Bench {
    pub(super) porter: Arc<PaperPorter>,
    pub(super) door: Arc<Door>,
    pub(super) listener: Arc<Listener>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) address: SocketAddr,
    pub(super) handled: Arc<AtomicUsize>,
    trust: Arc<rustls::RootCertStore>,
    _folder: TempDir,
}

impl Bench {
    pub(super) async fn start(wishes: Wishes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A fixed day within the certificate's life and that of the client's clock.
        let now = crate::daemon::SystemClock;
        let now = crate::domain::Clock::now(&now);
        let made = certificates::make(&[], now).unwrap();
        let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
        write_new_private_file(&certificate, made.server.as_bytes()).unwrap();
        write_new_private_file(&key, made.server_key.as_bytes()).unwrap();
        let mut trust = rustls::RootCertStore::empty();
        trust.add(CertificateDer::from_pem_slice(made.ca.as_bytes()).unwrap()).unwrap();
        let tls = TlsAcceptor::from(Certificates::load(certificate, key, now).unwrap().server_config().unwrap());

        let (stop, stopping) = watch::channel(false);
        let handled = Arc::new(AtomicUsize::new(0));
        let (_, health) = tonic_health::server::health_reporter();
        let routes = Routes::new(health)
            .add_service(PaperService::<0>(Arc::clone(&handled)))
            .add_service(PaperService::<1>(Arc::clone(&handled)))
            .add_service(PaperService::<2>(Arc::clone(&handled)))
            .add_service(PaperService::<3>(Arc::clone(&handled)));
        let porter = Arc::new(PaperPorter::default());
        let door = Arc::new(Door::new(Arc::clone(&porter) as _, routes, &wishes.door, stopping.clone()));
        let places = Places::new(wishes.connections_max, wishes.door.principal_share);
        let listener = Listener::new(Arc::clone(&door), tls, wishes.limits, places, stopping);
        let listener = Arc::new(listener);
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let running = Arc::clone(&listener);
        tokio::spawn(async move { running.run(socket).await });
        let trust = Arc::new(trust);
        Self { porter, door, listener, stop, address, handled, trust, _folder: folder }
    }

    /// A TLS connection with this protocol, or what went wrong.
    pub(super) async fn tls(&self, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&self.trust))
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// A client of one connection.
    pub(super) async fn client(&self) -> Client {
        let stream = self.tls(&[b"h2"]).await.unwrap();
        let (send, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let ended = tokio::spawn(async move { drop(connection.await) });
        Client { send, ended }
    }
}

/// One HTTP/2 connection.
pub(super) struct Client {
    send: SendRequest<Full<Bytes>>,
    /// Ends with the connection.
    pub(super) ended: tokio::task::JoinHandle<()>,
}

/// What a test looks at of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) http: u16,
    pub(super) code: Option<Code>,
    pub(super) message: String,
    pub(super) headers: HeaderMap,
}

/// A call as a good client makes it.
pub(super) fn good(path: &str) -> http::request::Builder {
    stranger(path).header("authorization", GOOD)
}

/// The same of somebody else.
pub(super) fn other(path: &str) -> http::request::Builder {
    stranger(path).header("authorization", OTHER)
}

/// The same without a token.
pub(super) fn stranger(path: &str) -> http::request::Builder {
    Request::post(format!("https://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

impl Client {
    pub(super) async fn ask(&mut self, request: http::request::Builder, body: &[u8]) -> Answer {
        self.try_ask(request, body).await.unwrap()
    }

    pub(super) async fn try_ask(&mut self, request: http::request::Builder, body: &[u8]) -> hyper::Result<Answer> {
        self.begin(request, body).await
    }

    /// An ask that may go on beside others.
    pub(super) fn begin(
        &self,
        request: http::request::Builder,
        body: &[u8],
    ) -> impl Future<Output = hyper::Result<Answer>> + Send + use<> {
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        answer(self.send.clone(), request)
    }
}

async fn answer(mut send: SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
    send.ready().await?;
    let response = send.send_request(request).await?;
    let (head, body) = response.into_parts();
    let mut headers = head.headers;
    headers.remove("date");
    let trailers = body.collect().await?.trailers().cloned().unwrap_or_default();
    let status = Status::from_header_map(&headers).or_else(|| Status::from_header_map(&trailers));
    let message = status.as_ref().map_or_else(String::new, |status| status.message().to_owned());
    Ok(Answer { http: head.status.as_u16(), code: status.map(|status| status.code()), message, headers })
}

//! The issuer's door with silent peers before it, over TLS on streams in
//! memory: no deadline of it can help, they are an hour.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::audit::Ledger;
use crate::config::write_new_private_file;
use crate::daemon::listener::Certificates;
use crate::daemon::{SystemClock, SystemEntropy, certificates};
use crate::domain::{Clock, IssuerUrl};
use crate::issuer::{IssuerParts, Rules};
use crate::sealing::{Keyring, RootKey};
use crate::store::{SqliteOptions, SqliteStore};

const HOUR: Duration = Duration::from_secs(3600);
/// Nothing here takes longer; a test that does has failed.
const SOON: Duration = Duration::from_secs(60);
const PLACES: usize = 4;
const SILENT: usize = 60;
/// Of a stream in memory, each way.
const BUFFER: usize = 64 * 1024;

/// Accepts what a test connects.
struct Queue(UnboundedReceiver<(DuplexStream, SocketAddr)>);

#[async_trait]
impl Accept for Queue {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(accepted) => Ok(accepted),
            None => std::future::pending().await,
        }
    }
}

/// A door that runs.
struct World {
    door: Arc<IssuerDoor>,
    stop: watch::Sender<bool>,
    queue: UnboundedSender<(DuplexStream, SocketAddr)>,
    tls: TlsConnector,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let made = certificates::make(&[], clock.now()).unwrap();
        let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
        write_new_private_file(&certificate, made.server.as_bytes()).unwrap();
        write_new_private_file(&key, made.server_key.as_bytes()).unwrap();
        let served = Certificates::load(certificate, key, clock.now()).unwrap().document_config().unwrap();
        let mut trust = RootCertStore::empty();
        trust.add(CertificateDer::from_pem_slice(made.ca.as_bytes()).unwrap()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trust)
            .with_no_client_auth();
        let (stop, stopping) = watch::channel(false);
        let limits = IssuerDoorLimits { connections_max: PLACES, handshake: HOUR, head: HOUR, connection: HOUR };
        let issuer = Arc::new(issuer(&folder, clock).await);
        let door = Arc::new(IssuerDoor::new(issuer, TlsAcceptor::from(served), limits, stopping));
        let (queue, accepted) = unbounded_channel();
        let running = Arc::clone(&door);
        tokio::spawn(async move { running.run(Queue(accepted)).await });
        Self { door, stop, queue, tls: TlsConnector::from(Arc::new(client)), _folder: folder }
    }

    fn connect(&self, from: u8) -> DuplexStream {
        let (ours, theirs) = duplex(BUFFER);
        assert!(self.queue.send((theirs, SocketAddr::from(([192, 0, 2, from], 1)))).is_ok(), "the door is closed");
        ours
    }

    async fn handshake(&self, from: u8) -> TlsStream<DuplexStream> {
        let name = ServerName::try_from("localhost").unwrap();
        within(self.tls.connect(name, self.connect(from))).await.unwrap()
    }

    async fn fetch(&self, from: u8) -> String {
        ask(self.handshake(from).await).await
    }
}

async fn issuer(folder: &TempDir, clock: Arc<dyn Clock>) -> Issuer {
    let options = SqliteOptions::new(Arc::clone(&clock), Arc::new(|_| {}));
    let store = Arc::new(SqliteStore::create(&folder.path().join("store.db"), options).unwrap());
    let entropy = Arc::new(SystemEntropy);
    let keyring = Keyring::load(RootKey::for_tests(7), &[], Arc::clone(&clock), Arc::clone(&entropy) as _).unwrap();
    let parts = IssuerParts {
        url: IssuerUrl::parse("https://id.example.com").unwrap(),
        rules: Rules { rotation_period: HOUR * 24, max_age: HOUR },
        token_ttl_max: Duration::from_secs(600),
        ledger: Ledger::new(Arc::clone(&store) as _, Arc::clone(&clock)),
        store,
        keyring: Arc::new(keyring),
        clock,
        entropy,
    };
    Issuer::open(parts).await.unwrap()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("it takes no deadline to be served")
}

/// The first line of the answer to a fetch of the keys.
async fn ask(mut stream: TlsStream<DuplexStream>) -> String {
    let request = "GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.example.com\r\n\r\n";
    let mut answer = String::new();
    within(async {
        stream.write_all(request.as_bytes()).await.unwrap();
        // It may close without a goodbye of TLS.
        let _ = stream.read_to_string(&mut answer).await;
    })
    .await;
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Returns when the door has closed it.
async fn closed(mut stream: impl AsyncRead + Unpin) {
    let mut buffer = [0; 1024];
    within(async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} }).await;
}

const OK: &str = "HTTP/1.1 200 OK";

#[tokio::test]
async fn f1_a_fetch_is_answered_at_once_before_any_number_of_silent_peers() {
    let world = World::new().await;
    let mut silent: Vec<DuplexStream> = (0..SILENT).map(|_| world.connect(1)).collect();
    // From the same address as from any other: a proxy may be before us both.
    assert_eq!(world.fetch(1).await, OK);
    assert_eq!(world.fetch(2).await, OK);
    let mut shaken = Vec::new();
    for _ in 0..2 * PLACES {
        shaken.push(world.handshake(1).await);
        silent.extend((0..SILENT).map(|_| world.connect(1)));
        assert_eq!(world.fetch(2).await, OK);
    }
    // Those that came first were cut; the last ones still have their places.
    closed(silent.remove(0)).await;
    closed(shaken.remove(0)).await;
    world.stop.send_replace(true);
    drop((silent, shaken));
    within(world.door.ended()).await;
}

#[tokio::test]
async fn f1_a_fetch_that_has_begun_is_not_cut_by_peers_from_elsewhere() {
    let world = World::new().await;
    let begun = world.handshake(2).await;
    let silent: Vec<DuplexStream> = (0..SILENT).map(|_| world.connect(1)).collect();
    assert_eq!(world.fetch(3).await, OK);
    assert_eq!(ask(begun).await, OK);
    // The neighbour: one of theirs.
    closed(silent.into_iter().next().unwrap()).await;
}

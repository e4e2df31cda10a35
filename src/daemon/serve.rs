//! `valetkey serve`: wires the rooms, serves, and ends in order.
//!
//! The order matters: the process is hardened before a secret is read; open
//! intents are closed before anything opens one; the ledger knows of the start
//! and its config before anybody is served; the store closes last.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

use crate::api::layers::{Door, DoorLimits};
use crate::audit::{JournalError, Ledger, Line, LineKind, Outcome};
use crate::authz::{METHOD_RULES, check_rules};
use crate::broker::{Broker, Parts};
use crate::config::{self, Config};
use crate::connectors::Upstream;
use crate::connectors::aws::profile::Profiles;
use crate::domain::{Clock, ClockWatch, Entropy, IdentityTokens, NoIssuer, Share, SteadyClock};
use crate::outbound::{Detours, Outbound, OutboundRules};
use crate::sealing::{Keyring, Purpose, RootKey};
use crate::store::{
    Keks as _, OpenError, RecordMac, SqliteOptions, SqliteStore, StoreError, Unsealed, close_open_intents,
};
use crate::telemetry::Chain;

use super::data_dir::DataDir;
use super::error::DaemonError;
use super::issuing::{self, Issuing};
use super::listener::{Certificates, ConnectionLimits, Listener, Places};
use super::signals::{Signal, Signals};
use super::system::SystemEntropy;
use super::timekeeping;
use super::upkeep::{self, Sockets};

/// What to serve.
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) data_dir: DataDir,
    pub(super) passphrase_file: Option<PathBuf>,
    pub(super) unsealed: Unsealed,
}

/// Called once connections are accepted.
pub(super) type OnReady<'a> = dyn Fn(SocketAddr) -> std::io::Result<()> + 'a;

/// What lives as long as the daemon.
pub(super) struct House {
    pub(super) store: Arc<SqliteStore>,
    pub(super) ledger: Ledger,
    pub(super) door: Arc<Door>,
    pub(super) listener: Arc<Listener>,
    certificates: Arc<Certificates>,
    pub(super) watch: Arc<ClockWatch>,
    pub(super) issuing: Option<Issuing>,
    health: HealthReporter,
    stop: watch::Sender<bool>,
    drain_timeout: Duration,
}

impl Plan {
    /// Serves until a signal says otherwise.
    pub(super) fn carry_out(&self, on_ready: &OnReady<'_>) -> Result<(), DaemonError> {
        check_rules(METHOD_RULES).map_err(DaemonError::Refused)?;
        self.data_dir.check()?;
        let runtime = super::runtime::of(self.config.server.worker_threads)?;
        let served = runtime.block_on(self.serve(on_ready));
        // Whatever still runs was given its time.
        runtime.shutdown_timeout(Duration::ZERO);
        served?.close();
        tracing::info!("stopped");
        Ok(())
    }

    /// The store is given back to be closed, which is not for an async task.
    async fn serve(&self, on_ready: &OnReady<'_>) -> Result<Arc<SqliteStore>, DaemonError> {
        let mut signals = Signals::listen()?;
        let house = self.house().await?;
        let sockets = self.sockets(&house).await?;
        let address = sockets.clients.local_addr().map_err(DaemonError::file("the socket has no address"))?;
        let unwritten = house.write_start(&self.digest()).await?;
        if let Some(issuing) = &house.issuing {
            issuing.begin().await?;
        }
        let tasks = upkeep::start(&house, sockets, unwritten);
        tracing::info!(%address, data_dir = %self.data_dir.path().display(), version = env!("CARGO_PKG_VERSION"), "ready");
        on_ready(address).map_err(DaemonError::file("standard output cannot be written"))?;
        while signals.next().await == Signal::Reload {
            upkeep::reload(&house.certificates(), &*house.watch);
        }
        house.drain(&mut signals).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        house.write_last_lines(&self.digest()).await;
        Ok(house.store)
    }

    async fn sockets(&self, house: &House) -> Result<Sockets, DaemonError> {
        let clients = bound(self.config.server.listen).await?;
        let documents = match &house.issuing {
            Some(_) => Some(bound(self.config.issuer.listen).await?),
            None => None,
        };
        Ok(Sockets { clients, documents })
    }

    async fn house(&self) -> Result<House, DaemonError> {
        let watch = timekeeping::watch();
        let clock: Arc<dyn Clock> = Arc::clone(&watch) as _;
        let steady: Arc<dyn Clock> = Arc::new(SteadyClock::of(Arc::clone(&watch)));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = Arc::new(self.store(&steady)?);
        timekeeping::compare(&watch, &*store).await?;
        // By the later time: a clock that was set back is told by the ledger,
        // and not by a certificate that is not valid yet.
        let certificates = self.certificates(&*clock)?;
        let (root, root_provider) = self.root_key()?;
        let root_key_id = root.id();
        let keyring = Keyring::load(root, &store.keks().await?, Arc::clone(&clock), Arc::clone(&entropy))?;
        warn_unlocked(&keyring);
        let keyring = Arc::new(keyring);
        store.seal_records(record_mac(&keyring), self.unsealed).await?;
        let ledger = Ledger::watched(Arc::clone(&store) as _, Arc::clone(&watch));
        close_intents(&store, &ledger).await?;
        let outbound = Arc::new(self.outbound()?);
        let (stop, stopping) = watch::channel(false);
        let issuing = issuing::open(
            &self.config.issuer,
            issuing::Parts {
                store: Arc::clone(&store) as _,
                keyring: Arc::clone(&keyring),
                ledger: ledger.clone(),
                clock: steady,
                entropy: Arc::clone(&entropy),
                certificates: Arc::clone(&certificates),
                stopping: stopping.clone(),
            },
        )
        .await?;
        let issuer = issuing.as_ref().map(|issuing| Arc::clone(&issuing.issuer));
        let identities: Arc<dyn IdentityTokens> = match &issuer {
            Some(issuer) => Arc::clone(issuer) as _,
            None => Arc::new(NoIssuer),
        };
        let broker = Arc::new(Broker::new(Parts {
            store: Arc::clone(&store) as _,
            keyring,
            ledger: ledger.clone(),
            upstream: Upstream {
                outbound,
                clock: Arc::clone(&clock),
                entropy: Arc::clone(&entropy),
                identities,
                subject: None,
            },
            issuer,
            watch: Arc::clone(&watch),
            entropy,
            share: self.principal_share(),
            root_provider,
            root_key_id,
        }));
        let (health, health_service) = health().await;
        let mut routes = crate::api::routes(&broker).add_service(health_service);
        if self.config.server.reflection {
            routes = routes.add_service(reflection()?);
        }
        let door = Arc::new(Door::new(broker, routes, &self.door_limits(), stopping.clone()));
        let tls = TlsAcceptor::from(certificates.server_config()?);
        let limits = self.connection_limits();
        let places = Places::new(self.config.server.connections_max, self.principal_share());
        let listener = Arc::new(Listener::new(Arc::clone(&door), tls, limits, places, stopping));
        let drain_timeout = self.config.server.drain_timeout.0;
        Ok(House { store, ledger, door, listener, certificates, watch, issuing, health, stop, drain_timeout })
    }

    fn store(&self, clock: &Arc<dyn Clock>) -> Result<SqliteStore, DaemonError> {
        let mut options = SqliteOptions::new(Arc::clone(clock), Arc::new(super::exit_at_once));
        options.readers = self.config.store.readers;
        SqliteStore::open(&self.data_dir.store(), options).map_err(|error| self.not_opened(error))
    }

    #[allow(clippy::wildcard_enum_match_arm)] // every other cause is said as it is
    fn not_opened(&self, error: OpenError) -> DaemonError {
        match error {
            OpenError::InUse { .. } => DaemonError::DataDir {
                path: self.data_dir.path().to_owned(),
                problem: "is in use by another daemon; stop that one first".to_owned(),
            },
            error => error.into(),
        }
    }

    /// The provider is the one that `init` left a file of.
    fn root_key(&self) -> Result<(RootKey, &'static str), DaemonError> {
        let params = self.data_dir.passphrase();
        if params.exists() {
            let passphrase = config::passphrase(self.passphrase_file.as_deref(), false)?;
            return Ok((RootKey::from_passphrase(&params, &passphrase)?, "passphrase"));
        }
        Ok((RootKey::from_file(&self.data_dir.root_key())?, "file"))
    }

    fn certificates(&self, clock: &dyn Clock) -> Result<Arc<Certificates>, DaemonError> {
        let or = |path: &PathBuf, made: PathBuf| if path.as_os_str().is_empty() { made } else { path.clone() };
        let server = &self.config.server;
        let certificate = or(&server.tls_certificate, self.data_dir.server_certificate());
        let key = or(&server.tls_key, self.data_dir.server_key());
        Certificates::load(certificate, key, clock.now())
    }

    fn outbound(&self) -> Result<Outbound, DaemonError> {
        let outbound = &self.config.outbound;
        let rules = OutboundRules {
            allowed_endpoints: outbound.allowed_endpoints.clone(),
            extra_roots_pem: config::extra_roots(&outbound.extra_roots)?,
            connect_timeout: outbound.connect_timeout.0,
            call_timeout: outbound.call_timeout.0,
            implicit_identities: outbound.implicit_identities.clone(),
            detours: Detours { proxied: config::loopback_proxied(), metadata_host: config::metadata_host() },
        };
        let made = Outbound::new(rules);
        let made = made.map_err(|error| DaemonError::Refused(format!("[outbound]: {}", Chain(&error))))?;
        let path = outbound.aws_credentials_file.clone();
        // Read anew for each use: the operator may change the file meanwhile.
        Ok(made.with_implicit(Arc::new(Profiles::new(move || crate::config::credentials_file(&path)))))
    }

    fn door_limits(&self) -> DoorLimits {
        // The config has checked that none is 0.
        let rate = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let limits = &self.config.limits;
        DoorLimits {
            requests_max: self.config.server.requests_max,
            principal_share: self.principal_share(),
            request_timeout_max: self.config.server.request_timeout_max.0,
            failed_authentications_per_minute: rate(limits.failed_authentications_per_minute),
            calls_per_second: rate(limits.calls_per_second),
            calls_burst: rate(limits.calls_burst),
        }
    }

    fn principal_share(&self) -> Share {
        // The config has checked that it is one; else each gets the least.
        Share::percent(self.config.limits.principal_share).unwrap_or(Share::LEAST)
    }

    fn connection_limits(&self) -> ConnectionLimits {
        let server = &self.config.server;
        ConnectionLimits {
            handshake: server.handshake_timeout.0,
            first_request: server.first_request_timeout.0,
            idle: server.idle_timeout.0,
            age: server.connection_age_max.0,
            drain: server.drain_timeout.0,
        }
    }

    /// Equal for equal configs: the ledger shows when one was changed.
    fn digest(&self) -> String {
        // The config is made of strings, numbers and booleans: it serializes.
        hex::encode(Sha256::digest(serde_json::to_vec(&self.config).unwrap_or_default()))
    }
}

async fn bound(listen: SocketAddr) -> Result<TcpListener, DaemonError> {
    TcpListener::bind(listen)
        .await
        .map_err(DaemonError::file(format!("cannot listen on {listen}; --listen names another address or port")))
}

impl House {
    /// All that are served.
    pub(super) fn certificates(&self) -> Vec<Arc<Certificates>> {
        let own = self.issuing.as_ref().and_then(|issuing| issuing.certificates.clone());
        std::iter::once(Arc::clone(&self.certificates)).chain(own).collect()
    }

    /// Ends what goes on: within the drain timeout, or at once on another
    /// signal.
    async fn drain(&self, signals: &mut Signals) {
        tracing::info!(timeout = ?self.drain_timeout, "stopping");
        self.set_health(ServingStatus::NotServing).await;
        self.stop.send_replace(true);
        let all = async {
            self.listener.ended().await;
            self.door.idle().await;
            if let Some(issuing) = &self.issuing {
                issuing.door.ended().await;
            }
        };
        let again = async { while signals.next().await != Signal::Stop {} };
        tokio::select! {
            () = all => {}
            () = tokio::time::sleep(self.drain_timeout) => tracing::warn!("the drain timeout is over; cutting what is left"),
            () = again => tracing::warn!("signalled again; cutting what is left"),
        }
    }

    async fn write_last_lines(&self, digest: &str) {
        timekeeping::write_news(&self.watch, &self.ledger).await;
        let stop = timekeeping::timed(line(timekeeping::STOP, digest), &*self.watch);
        if self.door.flush(true).await.is_err() || self.ledger.write(stop).await.is_err() {
            tracing::warn!("the last lines of the ledger could not be written");
        }
    }

    async fn set_health(&self, status: ServingStatus) {
        for service in services() {
            self.health.set_service_status(service, status).await;
        }
    }

    /// A full disk is no reason not to start: reading and revoking go on, and
    /// what is sensitive is refused without a ledger. The line is given back
    /// then, to be written when there is room.
    async fn write_start(&self, digest: &str) -> Result<Option<Line>, DaemonError> {
        let line = timekeeping::timed(line("daemon/start", digest), &*self.watch);
        match self.ledger.write(line.clone()).await {
            Ok(_) => Ok(None),
            Err(JournalError::Unwritable) => {
                tracing::error!("the disk is full: the start is not in the ledger yet");
                Ok(Some(line))
            }
            Err(error) => Err(DaemonError::Store(error.into())),
        }
    }
}

async fn close_intents(store: &SqliteStore, ledger: &Ledger) -> Result<(), DaemonError> {
    match close_open_intents(store, ledger).await {
        Ok(0) => {}
        Ok(closed) => tracing::warn!(closed, "closed intents that the last run left open, as unknown"),
        // The next start that has room closes them.
        Err(StoreError::Unwritable) => tracing::error!("the disk is full: intents of the last run stay open"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// What seals the records of the store.
pub(super) fn record_mac(keyring: &Arc<Keyring>) -> RecordMac {
    let keyring = Arc::clone(keyring);
    Arc::new(move |message| keyring.mac(Purpose::Record, message))
}

/// A key on a swap device outlives the daemon, and whoever gets the disk has
/// it: refused locks are no reason not to start, but none to be silent.
fn warn_unlocked(keyring: &Keyring) {
    if !keyring.locked_in_memory() {
        tracing::warn!(
            remedy = "raise the limit of locked memory (LimitMEMLOCK=infinity of its unit, or ulimit -l) and restart, \
                      or encrypt the swap",
            "the system refused to lock the memory of keys: they can be swapped to disk"
        );
    }
}

/// A line about the daemon itself.
fn line(act: &'static str, digest: &str) -> Line {
    Line::about(act, LineKind::Single, Outcome::Ok)
        .with_detail("version", env!("CARGO_PKG_VERSION"))
        .with_detail("config", digest)
}

/// The whole server, and each service by name.
fn services() -> Vec<&'static str> {
    let mut services = vec![""];
    for rule in METHOD_RULES {
        let service = rule.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if !services.contains(&service) {
            services.push(service);
        }
    }
    services
}

async fn health() -> (HealthReporter, HealthServer<impl Health>) {
    let (reporter, service) = tonic_health::server::health_reporter();
    for name in services() {
        reporter.set_service_status(name, ServingStatus::Serving).await;
    }
    (reporter, service)
}

fn reflection() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    DaemonError,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(crate::proto::DESCRIPTORS)
        .build_v1()
        .map_err(|_| DaemonError::Refused("the descriptors of reflection do not load".to_owned()))
}

//! One connection to a daemon, and how calls are made on it.
//!
//! Owns the TLS set-up, the bearer token, deadlines, retries and the progress
//! sign. A call is retried only when the daemon said UNAVAILABLE, and one that
//! asks a cloud only when it promised that nothing was spent; always with the
//! same message, so that its request_id makes it happen once. It never sends the token over an unencrypted connection to another machine.

use std::future::Future;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;
use zeroize::Zeroizing;

use crate::proto::access_service_client::AccessServiceClient;
use crate::proto::audit_service_client::AuditServiceClient;
use crate::proto::component_service_client::ComponentServiceClient;
use crate::proto::connector_service_client::ConnectorServiceClient;
use crate::proto::connector_type_service_client::ConnectorTypeServiceClient;
use crate::proto::credential_service_client::CredentialServiceClient;
use crate::proto::operator_service_client::OperatorServiceClient;
use crate::proto::run_service_client::RunServiceClient;
use crate::proto::stack_service_client::StackServiceClient;

use super::args::Global;
use super::failure::Failure;
use super::output::Output;
use super::terminal::{Terminal, read_bounded};

/// Tries of one call, the first included.
const TRIES_MAX: u32 = 3;
/// Wait before the second try; doubles.
const BACKOFF: Duration = Duration::from_millis(200);
/// The daemon's promise, in the metadata of `ErrorInfo`, that no source
/// credential was used up, or that what replaces it is stored. It never gives it
/// of what a cloud answered: it has tried as often as makes sense.
const NOTHING_SPENT: &str = "nothing_spent";
/// A connection on loopback or in one data centre takes far less.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Between two signs of life on a quiet connection.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// A call shorter than this shows no progress sign.
const PATIENCE: Duration = Duration::from_secs(2);
/// A token is about 80 characters; a file larger than this is something else.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;
/// A CA file holds a few certificates.
const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The connection with the token on every call.
pub(super) type Door = InterceptedService<Channel, Bearer>;

/// Puts the token on a call.
#[derive(Clone)]
pub(super) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// What every verb needs.
pub(super) struct Session {
    door: Door,
    timeout: Duration,
    progress: bool,
    /// The project that calls are about.
    pub(super) project: String,
    /// Where answers go.
    pub(super) output: Output,
    /// Who can be asked.
    pub(super) terminal: Box<dyn Terminal>,
}

impl Session {
    /// Connects to the daemon.
    ///
    /// # Errors
    /// Usage, when an option is missing or unsafe; unavailable, when nobody
    /// answers there.
    pub(super) async fn open(global: &Global, output: Output, terminal: Box<dyn Terminal>) -> Result<Self, Failure> {
        let bearer = bearer(global)?;
        let endpoint = endpoint(global)?;
        let channel = connect(&endpoint).await.map_err(|error| Failure::unreachable(&global.address, &error))?;
        Ok(Self {
            door: InterceptedService::new(channel, bearer),
            timeout: global.timeout,
            progress: std::io::stderr().is_terminal(),
            project: global.project.clone(),
            output,
            terminal,
        })
    }

    /// Makes a call that may be made again: a reading one, or one whose
    /// request_id makes it happen once.
    ///
    /// # Errors
    /// What the daemon answered.
    pub(super) async fn call<Q: Clone, R>(
        &self,
        message: Q,
        send: impl AsyncFn(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<R, Failure> {
        self.repeated(message, send, true).await
    }

    /// Makes a call that asks a cloud with a source credential, which may be
    /// one that each use replaces: a second use would end it. It is made again
    /// only when the daemon says that it asked none; a connection that broke
    /// says nothing.
    ///
    /// # Errors
    /// What the daemon answered.
    pub(super) async fn call_spending<Q: Clone, R>(
        &self,
        message: Q,
        send: impl AsyncFn(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<R, Failure> {
        self.repeated(message, send, false).await
    }

    /// `unsaid`: also when there is no word of the daemon's own.
    async fn repeated<Q: Clone, R>(
        &self,
        message: Q,
        send: impl AsyncFn(Request<Q>) -> Result<Response<R>, Status>,
        unsaid: bool,
    ) -> Result<R, Failure> {
        let mut pause = BACKOFF;
        for _ in 1..TRIES_MAX {
            match self.attempt(message.clone(), &send).await {
                Err(status) if may_repeat(&status, unsaid) => tokio::time::sleep(pause).await,
                answer => return answer.map_err(Failure::from),
            }
            pause = pause.saturating_mul(2);
        }
        self.call_once(message, send).await
    }

    /// Makes a call that must not be made twice.
    ///
    /// # Errors
    /// What the daemon answered.
    pub(super) async fn call_once<Q, R>(
        &self,
        message: Q,
        send: impl AsyncFn(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<R, Failure> {
        self.attempt(message, &send).await.map_err(Failure::from)
    }

    async fn attempt<Q, R>(
        &self,
        message: Q,
        send: &impl AsyncFn(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<R, Status> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        self.patiently(send(request)).await.map(Response::into_inner)
    }

    /// Shows that something is going on when it takes long.
    async fn patiently<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if !self.progress {
            return work.await;
        }
        if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
            return done;
        }
        let sign = ProgressBar::new_spinner().with_message("waiting for the daemon");
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            sign.set_style(style);
        }
        sign.enable_steady_tick(BACKOFF);
        let done = work.await;
        sign.finish_and_clear();
        done
    }

    /// How long one call may take.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The service of connector types.
    pub(super) fn connector_types(&self) -> ConnectorTypeServiceClient<Door> {
        ConnectorTypeServiceClient::new(self.door.clone())
    }

    /// The service of connectors.
    pub(super) fn connectors(&self) -> ConnectorServiceClient<Door> {
        ConnectorServiceClient::new(self.door.clone())
    }

    /// The service of components.
    pub(super) fn components(&self) -> ComponentServiceClient<Door> {
        ComponentServiceClient::new(self.door.clone())
    }

    /// The service of stacks.
    pub(super) fn stacks(&self) -> StackServiceClient<Door> {
        StackServiceClient::new(self.door.clone())
    }

    /// The service of runs.
    pub(super) fn runs(&self) -> RunServiceClient<Door> {
        RunServiceClient::new(self.door.clone())
    }

    /// The service that mints.
    pub(super) fn credentials(&self) -> CredentialServiceClient<Door> {
        CredentialServiceClient::new(self.door.clone())
    }

    /// The service of principals and what they may do.
    pub(super) fn access(&self) -> AccessServiceClient<Door> {
        AccessServiceClient::new(self.door.clone())
    }

    /// The service of the ledger.
    pub(super) fn audit(&self) -> AuditServiceClient<Door> {
        AuditServiceClient::new(self.door.clone())
    }

    /// The service about the daemon itself.
    pub(super) fn operator(&self) -> OperatorServiceClient<Door> {
        OperatorServiceClient::new(self.door.clone())
    }
}

/// A fresh name of one change, so that a retry does it once.
#[allow(clippy::disallowed_methods, reason = "not a secret: it only has to differ from the caller's other changes")]
pub(super) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Whether the same call may be made again: the daemon promises that nothing
/// was spent, and that it passes by itself.
fn may_repeat(status: &Status, unsaid: bool) -> bool {
    let details = status.get_error_details();
    let passes = details.retry_info().is_some_and(|info| info.retry_delay.is_some());
    let promised =
        details.error_info().map(|info| info.metadata.get(NOTHING_SPENT).is_some_and(|promise| promise == "true"));
    status.code() == Code::Unavailable && promised.map_or(unsaid, |promised| promised && passes)
}

async fn connect(endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
    let mut pause = BACKOFF;
    for _ in 1..TRIES_MAX {
        if let Ok(channel) = endpoint.connect().await {
            return Ok(channel);
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
    endpoint.connect().await
}

fn endpoint(global: &Global) -> Result<Endpoint, Failure> {
    let wrong =
        || Failure::usage(format!("{} is no address", global.address)).hint("for example https://127.0.0.1:7443");
    let endpoint = Endpoint::from_shared(global.address.clone()).map_err(|_| wrong())?;
    // A stream on a connection that died without a word would hang for ever.
    let endpoint = endpoint
        .connect_timeout(CONNECT_DEADLINE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(CONNECT_DEADLINE)
        .keep_alive_while_idle(true);
    match endpoint.uri().scheme_str() {
        Some("https") => {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&*ca_certificate(global)?));
            endpoint.tls_config(tls).map_err(|error| Failure::usage(format!("the CA file is not usable: {error}")))
        }
        Some("http") if loopback(endpoint.uri().host()) => Ok(endpoint),
        Some("http") => Err(Failure::usage("http:// to another machine would show the token to the network")
            .hint("use https:// and --ca-cert")),
        Some(_) | None => Err(wrong()),
    }
}

fn loopback(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn ca_certificate(global: &Global) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let Some(path) = &global.ca_cert else {
        return Err(Failure::usage("no CA certificate to know the server by")
            .hint("set --ca-cert or VALETKEY_CA_CERT to the CA file that `valetkey init` wrote"));
    };
    read_file(path, CA_FILE_BYTES_MAX)
}

fn bearer(global: &Global) -> Result<Bearer, Failure> {
    let token = match (&global.token, &global.token_file) {
        (Some(token), _) => token.0.clone(),
        (None, Some(path)) => token_in_file(path)?,
        (None, None) => {
            return Err(Failure::usage("no token to say who you are").hint(
                "set --token-file or VALETKEY_TOKEN_FILE to a file with your token, or VALETKEY_TOKEN to the token",
            ));
        }
    };
    let header = Zeroizing::new(format!("Bearer {}", token.trim()));
    let mut value = MetadataValue::try_from(header.as_str())
        .map_err(|_| Failure::usage("the token has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(Bearer(value))
}

fn token_in_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = read_file(path, TOKEN_FILE_BYTES_MAX)?;
    warn_if_others_can_read(path);
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage(format!("{} holds no token", path.display())))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    /// Any right of group or others.
    const OTHERS: u32 = 0o077;
    if std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & OTHERS != 0) {
        eprintln!("warning: others may read the token in {}; run: chmod 600 {0}", path.display());
    }
}

fn read_file(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let read = std::fs::File::open(path).and_then(|file| read_bounded(file, bytes_max));
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::CommandLine;
    use super::*;

    fn global(arguments: &[&str]) -> Global {
        let start = ["valetkey", "whoami"];
        CommandLine::try_parse_from(start.iter().chain(arguments)).unwrap().global
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        assert!(endpoint(&global(&["--address", "http://127.0.0.1:1"])).is_ok());
        assert!(endpoint(&global(&["--address", "http://[::1]:1"])).is_ok());
        for wrong in ["http://localhost.example.com", "http://10.0.0.1:7443", "ftp://127.0.0.1", "127.0.0.1:7443", ""] {
            assert!(endpoint(&global(&["--address", wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn https_without_a_ca_is_a_usage_error_with_a_hint() {
        let mut global = global(&[]);
        global.ca_cert = None;
        let failure = endpoint(&global).unwrap_err();
        assert!(failure.hint.unwrap().contains("VALETKEY_CA_CERT"));
    }

    #[test]
    fn the_token_is_read_trimmed_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "vk1_user_abc\n").unwrap();
        let mut global = global(&["--token-file", path.to_str().unwrap()]);
        global.token = None;
        let bearer = bearer(&global).unwrap();
        assert_eq!(bearer.0.to_str().unwrap(), "Bearer vk1_user_abc");
        assert!(!format!("{:?}", bearer.0).contains("abc"));
    }

    #[test]
    fn a_file_that_is_too_long_or_no_text_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, vec![b'a'; 4097]).unwrap();
        assert!(token_in_file(&path).is_err());
        std::fs::write(&path, vec![b'a'; 4096]).unwrap();
        assert!(token_in_file(&path).is_ok());
        std::fs::write(&path, [0xff]).unwrap();
        assert!(token_in_file(&path).is_err());
    }

    #[test]
    fn request_ids_differ() {
        assert_ne!(request_id(), request_id());
    }

    /// What a TLS server says to somebody who does not speak TLS.
    const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];

    #[tokio::test]
    async fn http_to_a_daemon_that_speaks_tls_says_which_scheme_it_wants() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        // Until the process ends: a client may come back.
        std::thread::spawn(move || {
            for mut peer in listener.incoming().flatten() {
                let _ = std::io::Read::read(&mut peer, &mut [0; 64]);
                let _ = std::io::Write::write_all(&mut peer, &ALERT);
            }
        });
        let mut global = global(&["--address", &address]);
        global.token = Some(super::super::args::TokenText(Zeroizing::new("vk1_user_abc".to_owned())));
        let page = crate::cli::output::Page::default();
        let output = page.output(crate::cli::output::Form::Table);
        let terminal = Box::new(crate::cli::terminal::ScriptedTerminal::piped(&[]));
        let asked = match Session::open(&global, output, terminal).await {
            Ok(session) => {
                let ask = crate::proto::WhoAmIRequest::default();
                session.call(ask, async |ask| session.access().who_am_i(ask).await).await.map(|_| ())
            }
            Err(failure) => Err(failure),
        };
        let failure = asked.unwrap_err();
        assert_eq!(failure.kind.exit_code(), 5, "{failure:?}");
        assert!(failure.hint.unwrap().contains("https://"), "{}", failure.message);
    }
}

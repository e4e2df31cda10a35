//! The config: one TOML file, and `VALETKEY__SECTION__KEY` over it.
//!
//! The only reader of files and environment besides `sealing`'s root key
//! providers. No key holds a secret; an unknown key is refused; an error names
//! the key and never the value. Every key is in `deploy/config.example.toml`.

mod detours;
mod error;
mod files;
pub mod found;
mod issuer;
mod span;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::Value;
use serde::{Deserialize, Serialize};

pub use detours::{loopback_proxied, metadata_host};
pub use error::ConfigError;
pub use files::{
    boot_id, credentials_file, data_dir, extra_roots, passphrase, pem_file, temporary_dir, write_new_private_file,
};
pub use issuer::IssuerConfig;
pub use span::Span;

/// What overrides begin with; two underscores, so that no other variable fits.
const OVERRIDE_PREFIX: &str = "VALETKEY__";

/// The whole config.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listening and connections.
    pub server: ServerConfig,
    /// The embedded store.
    pub store: StoreConfig,
    /// The way out to clouds.
    pub outbound: OutboundConfig,
    /// The OpenID issuer.
    pub issuer: IssuerConfig,
    /// Limits of rates.
    pub limits: LimitsConfig,
    /// The log.
    pub log: LogConfig,
}

/// Listening and connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// 0: one thread on one or two cores, else one for each core.
    pub worker_threads: usize,
    /// Connections at a time.
    pub connections_max: usize,
    /// Calls at a time, over all connections.
    pub requests_max: usize,
    /// For the TLS handshake.
    pub handshake_timeout: Span,
    /// From the handshake to the first authenticated call.
    pub first_request_timeout: Span,
    /// An authenticated connection without a call is ended after this.
    pub idle_timeout: Span,
    /// A connection is ended after this, so that clients spread again.
    pub connection_age_max: Span,
    /// For calls in progress when the daemon stops.
    pub drain_timeout: Span,
    /// The longest time for a call; streams are not bound by it.
    pub request_timeout_max: Span,
    /// Serve gRPC reflection.
    pub reflection: bool,
    /// PEM chain; empty: `server.pem` of the data directory.
    pub tls_certificate: PathBuf,
    /// PEM key; empty: `server.key` of the data directory.
    pub tls_key: PathBuf,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7443)),
            worker_threads: 0,
            connections_max: 1024,
            requests_max: 48_000,
            handshake_timeout: Span::seconds(5),
            first_request_timeout: Span::seconds(10),
            idle_timeout: Span::seconds(600),
            connection_age_max: Span::seconds(3600),
            drain_timeout: Span::seconds(30),
            request_timeout_max: Span::seconds(30),
            reflection: false,
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
        }
    }
}

/// The embedded store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// What `valetkey init` made; empty: the default of `valetkey init`.
    pub data_dir: PathBuf,
    /// Threads that read: half of them lists, half what decides.
    pub readers: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { data_dir: PathBuf::new(), readers: 4 }
    }
}

/// The way out to clouds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundConfig {
    /// Endpoints that connectors may name besides the clouds' own.
    pub allowed_endpoints: Vec<String>,
    /// PEM bundle of extra roots; empty: none.
    pub extra_roots: PathBuf,
    /// For one connect.
    pub connect_timeout: Span,
    /// For one call, retries included.
    pub call_timeout: Span,
    /// Implicit identities that connectors may use: names of profiles, or
    /// `gcp:default` and `gcp:E-MAIL`.
    pub implicit_identities: Vec<String>,
    /// AWS credentials file with these profiles; empty: none.
    pub aws_credentials_file: PathBuf,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            allowed_endpoints: Vec::new(),
            extra_roots: PathBuf::new(),
            connect_timeout: Span::seconds(3),
            call_timeout: Span::seconds(10),
            implicit_identities: Vec::new(),
            aws_credentials_file: PathBuf::new(),
        }
    }
}

/// Limits of rates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Refused authentications of one address in a minute.
    pub failed_authentications_per_minute: u32,
    /// Calls of one principal in a second.
    pub calls_per_second: u32,
    /// Calls of one principal at once, before `calls_per_second` binds.
    pub calls_burst: u32,
    /// Percent that one principal may have at a time of what is bounded for
    /// all: calls, streams, mints, connections.
    pub principal_share: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { failed_authentications_per_minute: 60, calls_per_second: 5000, calls_burst: 20_000, principal_share: 25 }
    }
}

/// The log, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// In which form it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The config of `file`, or the defaults without one; overridden by the
    /// environment.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let text = file.map(|path| files::config_text(path).map(|text| (path, text))).transpose()?;
        let text = text.as_ref().map(|(path, text)| (*path, text.as_str()));
        Self::parse(text, &files::environment(OVERRIDE_PREFIX)?)
    }

    /// The config of a text and of overrides (name and value).
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(file: Option<(&Path, &str)>, overrides: &[(String, String)]) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some((path, text)) = file {
            check_syntax(path, text)?;
            figment = figment.merge(Toml::string(text));
        }
        for (name, value) in overrides {
            let key = name.strip_prefix(OVERRIDE_PREFIX).unwrap_or(name).to_lowercase().replace("__", ".");
            let value: Value = value.parse().map_err(|_| ConfigError::key(&key, "its value does not parse"))?;
            figment = figment.merge(Serialized::default(&key, value));
        }
        let config: Self = figment.extract().map_err(ConfigError::of)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let server = &self.server;
        within("server.connections_max", server.connections_max, 1, 100_000)?;
        within("server.requests_max", server.requests_max, 1, 1_000_000)?;
        within("server.worker_threads", server.worker_threads, 0, 256)?;
        within("store.readers", self.store.readers, 1, 64)?;
        let spans = [
            ("server.handshake_timeout", server.handshake_timeout, 60),
            ("server.first_request_timeout", server.first_request_timeout, 60),
            ("server.idle_timeout", server.idle_timeout, 86_400),
            ("server.connection_age_max", server.connection_age_max, 86_400),
            ("server.drain_timeout", server.drain_timeout, 600),
            ("server.request_timeout_max", server.request_timeout_max, 120),
            ("outbound.connect_timeout", self.outbound.connect_timeout, 60),
            ("outbound.call_timeout", self.outbound.call_timeout, 120),
        ];
        for (key, span, seconds_max) in spans {
            if span.0.is_zero() || span > Span::seconds(seconds_max) {
                let problem = format!("must be more than nothing and at most {}", Span::seconds(seconds_max));
                return Err(ConfigError::key(key, &problem));
            }
        }
        if server.tls_certificate.as_os_str().is_empty() != server.tls_key.as_os_str().is_empty() {
            return Err(ConfigError::key("server.tls_key", "set it together with server.tls_certificate, or neither"));
        }
        self.issuer.check()?;
        let outbound = &self.outbound;
        // A name with a colon is another cloud's and comes from no file.
        let profiles = outbound.implicit_identities.iter().any(|name| !name.contains(':'));
        if profiles && outbound.aws_credentials_file.as_os_str().is_empty() {
            let problem = "names profiles of outbound.aws_credentials_file: set that too";
            return Err(ConfigError::key("outbound.implicit_identities", problem));
        }
        for (key, value) in [
            ("limits.failed_authentications_per_minute", self.limits.failed_authentications_per_minute),
            ("limits.calls_per_second", self.limits.calls_per_second),
            ("limits.calls_burst", self.limits.calls_burst),
        ] {
            within(key, value, 1, 1_000_000)?;
        }
        within("limits.principal_share", self.limits.principal_share, 1, 100)?;
        Ok(())
    }
}

fn within<T: PartialOrd + std::fmt::Display>(key: &str, value: T, min: T, max: T) -> Result<(), ConfigError> {
    if value < min || value > max {
        return Err(ConfigError::key(key, &format!("must be from {min} to {max}")));
    }
    Ok(())
}

/// The parser's own message quotes the line; only the place is kept of it.
fn check_syntax(path: &Path, text: &str) -> Result<(), ConfigError> {
    let Err(error) = Figment::from(Toml::string(text)).extract::<figment::value::Dict>() else { return Ok(()) };
    let message = error.to_string();
    let place = message.find("at line").and_then(|from| message.get(from..)).and_then(|rest| rest.lines().next());
    let place = place.map(|place| format!(" {}", place.trim())).unwrap_or_default();
    Err(ConfigError::Syntax { path: path.to_owned(), place })
}

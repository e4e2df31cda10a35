//! A narrowed ask: what a certificate will say, or for which sign-ins a key
//! will be lent, decided without the key.

use serde::{Deserialize, Serialize};

use crate::connectors::Ask;
use crate::domain::{AccessLevel, Downscope, EnforcedScope, FieldError};

use super::hosts::{self, Host, SSH_HOST};
use super::public_key;
use super::settings::{CaKey, Extension, PrivateKey, Settings};
use super::settings_check::{HOST_PLACE, PORT_PLACE};

/// The caller's key, to be certified.
pub const PUBLIC_KEY: &str = "public_key";

/// All that a mint needs to know, and the key of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Scope {
    /// A certificate.
    Certificate(CertificateScope),
    /// A signing session.
    Session(SessionScope),
}

/// What a certificate will say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateScope {
    /// Canonical.
    pub host: String,
    /// The access level.
    pub access: AccessLevel,
    /// The caller's key: one line, without a comment.
    pub public_key: String,
    /// Never empty: a certificate without principals opens every account.
    pub principals: Vec<String>,
    /// Every principal names the host.
    pub names_host: bool,
    /// The name is served on other ports too, and not every principal names
    /// the port: it opens what listens there as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_port: bool,
    /// From where it works; anywhere when empty.
    pub source_address: Vec<String>,
    /// What is run, whatever is asked.
    pub force_command: Option<String>,
    /// In the order of the wire.
    pub extensions: Vec<Extension>,
}

/// For which sign-ins a key will be lent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionScope {
    /// Canonical.
    pub host: String,
    /// The access level: it narrows nothing, and is in the ledger.
    pub access: AccessLevel,
    /// The user to sign in as.
    pub username: String,
    /// The host's keys: lines, without comments.
    pub host_keys: Vec<String>,
    /// Other hosts pinned to one of these keys: nobody could tell them apart.
    pub twins: Vec<String>,
}

/// Narrows an ask; see `ConnectorType::narrow`.
pub fn narrow(settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
    if ask.resource_type.as_str() != SSH_HOST {
        return Err(FieldError::new("resource_type", "ssh-host is the only one"));
    }
    let host = Host::parse(ask.resource.as_str())
        .filter(|host| host.id() == ask.resource.as_str())
        .ok_or_else(|| FieldError::new("resource_id", "is not a canonical host or host:port"))?;
    if !hosts::served(settings.hosts(), &host) {
        return Err(FieldError::new("resource_id", "is not one of the connector's hosts"));
    }
    match settings {
        Settings::CaKey(own) => certificate(own, &host, ask).map(Scope::Certificate),
        Settings::PrivateKey(own) => session(own, &host, ask).map(Scope::Session),
    }
}

fn certificate(own: &CaKey, host: &Host, ask: &Ask) -> Result<CertificateScope, FieldError> {
    let field = format!("parameters.{PUBLIC_KEY}");
    let line = ask.parameters.get(PUBLIC_KEY).ok_or_else(|| {
        FieldError::new(&*field, "is needed: the line of your .pub file, or use valetkey ssh-agent, which makes a key")
    })?;
    let key = public_key::of_caller(line).map_err(|problem| FieldError::new(&*field, problem))?;
    let written = own.principals.of(ask.access);
    if written.is_empty() {
        let problem = format!("the connector names no principals for {}", ask.access);
        return Err(FieldError::new("access", problem));
    }
    let mut extensions = own.extensions.clone();
    extensions.sort_unstable();
    let port = host.port.to_string();
    let names = |place: &str| written.iter().all(|text| text.contains(place));
    let principal = |text: &String| text.replace(HOST_PLACE, &host.name).replace(PORT_PLACE, &port);
    Ok(CertificateScope {
        host: host.id(),
        access: ask.access,
        public_key: key.line(),
        principals: written.iter().map(principal).collect(),
        names_host: names(HOST_PLACE),
        any_port: !names(PORT_PLACE) && hosts::on_other_ports(&own.hosts, host),
        source_address: own.source_address.clone(),
        force_command: own.force_command.clone(),
        extensions,
    })
}

fn session(own: &PrivateKey, host: &Host, ask: &Ask) -> Result<SessionScope, FieldError> {
    if ask.parameters.contains_key(PUBLIC_KEY) {
        let problem = "is for ca-key connectors: this one signs with its own key";
        return Err(FieldError::new(format!("parameters.{PUBLIC_KEY}"), problem));
    }
    let pins: Vec<_> =
        public_key::pin_lines(&own.host_keys).filter_map(|line| public_key::pins(line).ok()).flatten().collect();
    let mine: Vec<_> = pins.iter().filter(|pin| pin.host == *host).collect();
    if mine.is_empty() {
        return Err(FieldError::new("resource_id", "no key of this host is pinned in the connector's host_keys"));
    }
    let twin = |pin: &&public_key::Pin| pin.host != *host && mine.iter().any(|own| own.key == pin.key);
    Ok(SessionScope {
        host: host.id(),
        access: ask.access,
        username: own.username.clone(),
        host_keys: mine.iter().map(|pin| pin.key.line()).collect(),
        twins: pins.iter().filter(twin).map(|pin| pin.host.id()).collect(),
    })
}

impl Scope {
    /// What hosts will enforce; see `ConnectorType::enforced`.
    pub fn enforced(&self) -> EnforcedScope {
        match self {
            Self::Certificate(scope) => scope.enforced(),
            Self::Session(scope) => scope.enforced(),
        }
    }
}

impl CertificateScope {
    /// A certificate does not name a host: its principals do, or nothing does.
    fn enforced(&self) -> EnforcedScope {
        let Self { host, access, .. } = self;
        let mut words = format!("{host} {access}: principals {}", self.principals.join(", "));
        if !self.source_address.is_empty() {
            words.push_str(&format!("; from {} only", self.source_address.join(", ")));
        }
        if let Some(command) = &self.force_command {
            words.push_str(&format!("; runs {command} only"));
        }
        match (self.names_host, self.any_port) {
            (true, false) => return EnforcedScope { words, downscope: Downscope::Resource },
            (true, true) => words.push_str("; good on its other ports too: the principals do not name the {port}"),
            (false, _) => words.push_str("; any host that trusts this CA takes these principals"),
        }
        EnforcedScope { words, downscope: Downscope::None }
    }
}

impl SessionScope {
    fn enforced(&self) -> EnforcedScope {
        let Self { host, username, twins, .. } = self;
        let words = format!(
            "{host}: signs in as {username}, whose rights the access level does not narrow; revoking stops new \
             sign-ins and leaves open sessions open"
        );
        if twins.is_empty() {
            return EnforcedScope { words, downscope: Downscope::Resource };
        }
        let words = format!("{words}; also good for {}, pinned to the same key", twins.join(", "));
        EnforcedScope { words, downscope: Downscope::None }
    }
}

//! Hosts: each accepted spelling becomes one canonical form at the door, and
//! everything after compares that form only. Port 22 is not written.
//!
//! Names are lower case and never begin with `-`, so that none is an option
//! to a command line that it ends up on.

use std::net::Ipv6Addr;

use crate::domain::{FieldError, Pattern, ResourceId, ResourceTypeName};

/// The one resource type.
pub const SSH_HOST: &str = "ssh-host";
/// Where sshd listens when nobody says.
const DEFAULT_PORT: u16 = 22;
/// What an id must be.
const HOST_FORM: &str = "must be host or host:port, with no user before it";
/// The longest name of DNS.
const NAME_LENGTH_MAX: usize = 253;

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// A name or an address, without brackets.
    pub name: String,
    /// Where its sshd listens.
    pub port: u16,
}

impl Host {
    /// Takes any accepted spelling apart: `host`, `host:port`, `[host]:port`
    /// (as known_hosts has it), and `ssh://host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("ssh://").map_or(text, |rest| rest.strip_suffix('/').unwrap_or(rest));
        let (name, port) = split(text)?;
        let port = match port {
            Some(port) => number(port)?,
            None => DEFAULT_PORT,
        };
        Some(Self { name: canonical_name(name)?, port })
    }

    /// The canonical id.
    pub fn id(&self) -> String {
        let Self { name, port } = self;
        let name = if name.contains(':') { format!("[{name}]") } else { name.clone() };
        if *port == DEFAULT_PORT { name } else { format!("{name}:{port}") }
    }
}

/// The name and the port, if there is one.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        return match rest {
            "" => Some((name, None)),
            rest => Some((name, Some(rest.strip_prefix(':')?))),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    match text.split_once(':') {
        Some((name, port)) => Some((name, Some(port))),
        None => Some((text, None)),
    }
}

/// Digits alone: `u16` would also take a sign.
fn number(text: &str) -> Option<u16> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn canonical_name(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let fits = (1..=NAME_LENGTH_MAX).contains(&name.len())
        && name.split('.').all(|label| !label.is_empty() && !label.starts_with('-'))
        && name.bytes().all(letter);
    fits.then_some(name)
}

const fn letter(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
}

/// A host of the settings: one by name, or a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostGlob {
    /// This one.
    One(Host),
    /// All whose names match, on one port or any.
    Many {
        /// Of names.
        names: Pattern,
        /// None is any.
        port: Option<u16>,
    },
}

impl HostGlob {
    /// Parses a host of the settings.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(host) = Host::parse(text) {
            return Some(Self::One(host));
        }
        let (names, port) = match text.split_once(':') {
            Some((names, "*")) => (names, None),
            Some((names, port)) => (names, Some(number(port)?)),
            None => (text, Some(DEFAULT_PORT)),
        };
        let names = names.to_ascii_lowercase();
        let fits = names.bytes().all(|byte| letter(byte) || byte == b'*');
        if fits { Pattern::parse(&names).ok().map(|names| Self::Many { names, port }) } else { None }
    }

    /// Whether `host` is meant.
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::One(one) => one == host,
            Self::Many { names, port } => {
                let fits = ResourceId::canonical(host.name.as_str()).is_ok_and(|name| names.matches(&name));
                fits && port.is_none_or(|port| port == host.port)
            }
        }
    }
}

/// Whether one of the settings' hosts is this one.
pub fn served(hosts: &[String], host: &Host) -> bool {
    hosts.iter().filter_map(|text| HostGlob::parse(text)).any(|glob| glob.covers(host))
}

/// Whether the settings serve this name on another port too.
pub fn on_other_ports(hosts: &[String], host: &Host) -> bool {
    let other = |glob: HostGlob| match &glob {
        HostGlob::One(one) => one.name == host.name && one.port != host.port,
        HostGlob::Many { port: Some(port), .. } => {
            *port != host.port && glob.covers(&Host { port: *port, ..host.clone() })
        }
        HostGlob::Many { port: None, .. } => glob.covers(host),
    };
    hosts.iter().filter_map(|text| HostGlob::parse(text)).any(other)
}

/// The hosts that the settings name one by one.
pub fn named(hosts: &[String]) -> Vec<Host> {
    let one = |text: &String| match HostGlob::parse(text) {
        Some(HostGlob::One(host)) => Some(host),
        Some(HostGlob::Many { .. }) | None => None,
    };
    hosts.iter().filter_map(one).collect()
}

/// The canonical form of what somebody sent; see `ConnectorType::canonical`.
pub fn canonical(
    hosts: &[String],
    resource_type: &ResourceTypeName,
    raw: Option<&str>,
) -> Result<ResourceId, FieldError> {
    if resource_type.as_str() != SSH_HOST {
        return Err(FieldError::new("resource_type", "ssh-host is the only one"));
    }
    let host = match (raw, named(hosts).as_slice()) {
        (Some(raw), _) => Host::parse(raw).ok_or_else(|| FieldError::new("resource_id", HOST_FORM))?,
        (None, [only]) if hosts.len() == 1 => only.clone(),
        (None, _) => return Err(FieldError::new("resource_id", "name a host: this connector has several")),
    };
    ResourceId::canonical(host.id())
}

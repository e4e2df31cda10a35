//! What a platform engineer sets on an SSH connector: one struct for each auth
//! method, none of it secret. The JSON schema that clients prompt from is
//! derived from here, doc comments included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::AccessLevel;

/// The settings of both auth methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "auth_method", rename_all = "kebab-case")]
pub enum Settings {
    /// A CA key; certificates are signed for the caller's own key.
    CaKey(CaKey),
    /// A user's private key; signatures are lent.
    PrivateKey(PrivateKey),
}

/// A CA key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaKey {
    /// The hosts that trust this CA: names, addresses and globs, each with a
    /// port when it is not 22 (`:*` for any). Asks for others are refused.
    #[schemars(title = "Hosts", length(min = 1, max = 256), example = example_hosts())]
    pub hosts: Vec<String>,
    /// The principals of a certificate by access level; a level without any is
    /// not given. `{host}` stands for the name of the host that was asked for:
    /// list it in the host's AuthorizedPrincipalsFile, and the certificate
    /// opens that host alone. `{port}` stands for its port: where one name
    /// serves several, they are told apart by that alone.
    #[schemars(title = "Principals", example = example_principals())]
    pub principals: Principals,
    /// Certificates work from these addresses only: the option source-address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(title = "Source addresses", length(max = 32), example = ["10.0.0.0/8", "2001:db8::/32"])]
    pub source_address: Vec<String>,
    /// Whatever the caller asks the host for, this command is run: the option
    /// force-command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Forced command", length(min = 1, max = 1024), example = &"/usr/local/bin/run-job")]
    pub force_command: Option<String>,
    /// What else the certificate lets its holder do; a terminal alone when
    /// nothing is said.
    #[serde(default = "terminal_alone")]
    #[schemars(title = "Extensions", example = ["permit-pty", "permit-port-forwarding"])]
    pub extensions: Vec<Extension>,
}

/// Principals by access level.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Principals {
    /// Of a certificate to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Of a certificate to read and write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Of a certificate to do everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admin: Vec<String>,
}

impl Principals {
    /// Those of a level, as they are written.
    pub fn of(&self, access: AccessLevel) -> &[String] {
        match access {
            AccessLevel::Read => &self.read,
            AccessLevel::Write => &self.write,
            AccessLevel::Admin => &self.admin,
        }
    }

    /// Those of all levels.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.read.iter().chain(&self.write).chain(&self.admin)
    }
}

/// What a certificate lets its holder do (PROTOCOL.certkeys of OpenSSH). In
/// the order in which a certificate must list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Extension {
    /// Forward X11.
    #[serde(rename = "permit-X11-forwarding")]
    X11Forwarding,
    /// Forward the agent.
    #[serde(rename = "permit-agent-forwarding")]
    AgentForwarding,
    /// Forward ports.
    #[serde(rename = "permit-port-forwarding")]
    PortForwarding,
    /// Have a terminal.
    #[serde(rename = "permit-pty")]
    Pty,
    /// Have ~/.ssh/rc run.
    #[serde(rename = "permit-user-rc")]
    UserRc,
}

impl Extension {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X11Forwarding => "permit-X11-forwarding",
            Self::AgentForwarding => "permit-agent-forwarding",
            Self::PortForwarding => "permit-port-forwarding",
            Self::Pty => "permit-pty",
            Self::UserRc => "permit-user-rc",
        }
    }
}

/// A user's private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivateKey {
    /// The hosts that know this key: names, addresses and globs, each with a
    /// port when it is not 22 (`:*` for any). Asks for others are refused.
    #[schemars(title = "Hosts", length(min = 1, max = 256), example = example_hosts())]
    pub hosts: Vec<String>,
    /// The user to sign in as; signatures for another are refused.
    #[schemars(title = "User", length(min = 1, max = 64), example = &"trainer")]
    pub username: String,
    /// The keys of the hosts, as ssh-keyscan prints them: `HOST TYPE KEY`, a
    /// line each; lines that begin with `#` count for nothing. A
    /// host without one is not served: signatures are made for sessions with a
    /// host that proved one of its keys, and for no other.
    #[schemars(title = "Host keys", length(min = 1, max = 512), example = example_pins())]
    pub host_keys: Vec<String>,
}

impl Settings {
    /// The auth method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::CaKey(_) => "ca-key",
            Self::PrivateKey(_) => "private-key",
        }
    }

    /// The hosts, as they are written.
    pub fn hosts(&self) -> &[String] {
        match self {
            Self::CaKey(own) => &own.hosts,
            Self::PrivateKey(own) => &own.hosts,
        }
    }
}

fn terminal_alone() -> Vec<Extension> {
    vec![Extension::Pty]
}

fn example_hosts() -> Vec<String> {
    ["*.gpu.example.com", "gpu1.example.com", "gpu2.example.com:2222"].map(str::to_owned).to_vec()
}

fn example_principals() -> Principals {
    let list = |text: &str| vec![text.to_owned()];
    Principals { read: list("view@{host}"), write: list("train@{host}"), admin: list("root@{host}") }
}

/// Keys of RFC 8032's first two test vectors: nobody's.
fn example_pins() -> Vec<String> {
    [
        "gpu1.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
        "gpu2.example.com:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM",
    ]
    .map(str::to_owned)
    .to_vec()
}

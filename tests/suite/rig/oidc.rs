//! A certified OpenID provider (oidc-provider on node) over https on loopback, as an OAuth 2.0 token endpoint.
//!
//! Checks client authentication by secret and by signed assertion, the client's scopes, and the reuse of refresh
//! tokens. Belongs to one test, which can hold its answers back after they took effect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::Daemon;
use super::{cache, ports};

/// A CA of a test, and a server certificate of it for 127.0.0.1.
pub struct Authority {
    /// PEM of the CA.
    pub ca: PathBuf,
    /// PEM of the server's certificate.
    pub certificate: PathBuf,
    /// PEM of the server's key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes both, in this folder.
    pub fn inside(folder: &Path) -> Self {
        let ca_key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = named("bench CA");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = params.self_signed(&ca_key).expect("a CA can be made");
        let key = KeyPair::generate().expect("a key can be made");
        let mut server = CertificateParams::default();
        // Another name than its issuer's, or it would pass for self-signed.
        server.distinguished_name = named("bench server");
        server.subject_alt_names = vec![SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into())];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::new(params, ca_key);
        let certificate = server.signed_by(&key, &issuer).expect("a certificate can be made");
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).expect("the folder is writable");
            path
        };
        Self {
            ca: write("ca.pem", ca.pem()),
            certificate: write("server.pem", certificate.pem()),
            key: write("server.key", key.serialize_pem()),
        }
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// What an https call came to.
pub struct Said {
    /// The HTTP status.
    pub status: u64,
    /// The body.
    pub body: Value,
}

/// An https call by a program that knows this CA.
pub fn call(ca: &Path, method: &str, url: &str, authorization: &str, form: Option<&str>) -> Said {
    let mut command = Command::new(cache::command("python"));
    command.arg(cache::client_program("https_call.py")).arg(ca).args([method, url, authorization]).args(form);
    let output = command.output().expect("python starts");
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("https_call.py broke:\n{}", String::from_utf8_lossy(&output.stderr)));
    Said { status: said["status"].as_u64().expect("a status is a number"), body: said["body"].clone() }
}

/// A running provider.
pub struct Provider {
    /// Its CA and certificate.
    pub authority: Authority,
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    _daemon: Daemon,
    _folder: TempDir,
}

impl Provider {
    /// Starts one with these clients, as oidc-provider takes them.
    pub fn start(clients: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::inside(folder.path());
        for _ in 0..START_ATTEMPTS {
            let [port] = ports::free::<1>();
            let mut command = Command::new("node");
            command.arg(cache::client_program("oidc_provider.mjs")).arg(cache::folder().join("npm"));
            command.arg(port.to_string()).arg(&authority.certificate).arg(&authority.key).arg(clients.to_string());
            let mut daemon = Daemon::start(&mut command, folder.path(), "provider");
            let up = super::process::eventually(START_LIMIT, || daemon.stdout().contains("ready") || daemon.ended());
            if up && !daemon.ended() {
                let url = format!("https://127.0.0.1:{port}");
                return Self { authority, url, _daemon: daemon, _folder: folder };
            }
            assert!(daemon.stderr().contains("EADDRINUSE"), "the provider did not start:\n{}", daemon.stderr());
        }
        panic!("no free port in {START_ATTEMPTS} attempts");
    }

    /// Its token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}/token", self.url)
    }

    /// A refresh token of `anna` for this client.
    pub fn refresh_token(&self, client: &str) -> String {
        let said = self.control("POST", &format!("refresh-token?client={client}"));
        said["token"].as_str().expect("a refresh token is text").to_owned()
    }

    /// How many tokens it granted so far.
    pub fn granted(&self) -> u64 {
        self.control("GET", "granted")["count"].as_u64().expect("a count is a number")
    }

    /// How many answers it keeps back.
    pub fn held(&self) -> u64 {
        self.control("GET", "held")["count"].as_u64().expect("a count is a number")
    }

    /// Keeps answers back from now on, or lets them go.
    pub fn hold(&self, back: bool) {
        self.control("POST", if back { "hold" } else { "release" });
    }

    /// Replaces these fields of what is granted from now on; nothing of `{}`.
    pub fn spoil(&self, fields: &Value) {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("fields", &fields.to_string()).finish();
        self.control("POST", &format!("spoil?{query}"));
    }

    /// What the provider itself says of a token (RFC 7662), asked by the client `inspector`.
    pub fn introspect(&self, token: &str) -> Value {
        let form = format!("client_id=inspector&client_secret={INSPECTOR_SECRET}&token={token}");
        let url = format!("{}/token/introspection", self.url);
        let said = call(&self.authority.ca, "POST", &url, "", Some(&form));
        assert_eq!(said.status, 200, "{}", said.body);
        said.body
    }

    fn control(&self, method: &str, what: &str) -> Value {
        let said = call(&self.authority.ca, method, &format!("{}/control/{what}", self.url), "", None);
        assert_eq!(said.status, 200, "{}", said.body);
        said.body
    }
}

/// The client that asks about tokens, for the list of clients.
pub fn inspector() -> Value {
    json!({
        "client_id": "inspector", "client_secret": INSPECTOR_SECRET, "grant_types": [], "redirect_uris": [],
        "response_types": [], "token_endpoint_auth_method": "client_secret_post",
    })
}

const INSPECTOR_SECRET: &str = "inspector-secret-inspector-secret";

const START_ATTEMPTS: u32 = 3;

// Seen: 1 s. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(40);

//! Azure on loopback: Azurite as blob storage, oidc-provider as Entra with a strict door before it, the resource manager
//! and a registry's token service beside it, and a real registry (docker-registry) that takes the service's tokens,
//! with skopeo as its client.
//!
//! Azurite checks audience, issuer and dates of tokens, and signatures, dates, permissions and containers of signed
//! URLs; not the signatures of tokens, and no directories. Started once for a run; a vault of a test reaches it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use serde_json::{Value, json};

use super::shared::Owner;
use super::vault::{Outcome, Setup, Vault, outcome};
use super::{cache, ports, process, registry, shared};

/// The tenant.
pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
/// The application.
pub const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
/// Its principal.
pub const OBJECT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
/// Its secret.
pub const SECRET: &str = "8Q~canary-of-the-applications-secret";
/// The subscription.
pub const SUBSCRIPTION: &str = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
/// The identity of the machine.
pub const MACHINE: &str = "22223333-bbbb-4444-cccc-5555dddd6666";
/// The storage account.
pub const ACCOUNT: &str = "mldata";
/// The login server of the registry.
pub const REGISTRY: &str = "mlteam.azurecr.io";

/// The run's Azure.
pub struct Cloud {
    facts: Value,
}

impl Cloud {
    /// Shared by this run; started by the first test that asks.
    pub fn shared() -> Self {
        Self { facts: shared::server("azure", start) }
    }

    fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap_or_else(|| panic!("a fact {name} of Azure is text"))
    }

    /// PEM file of whom to trust.
    pub fn ca(&self) -> &str {
        self.fact("ca")
    }

    /// Entra, the resource manager and the registry's token service.
    pub fn cloud(&self) -> &str {
        self.fact("cloud")
    }

    /// Blob storage.
    pub fn blobs(&self) -> &str {
        self.fact("blobs")
    }

    /// The registry itself.
    pub fn registry(&self) -> &str {
        self.fact("registry")
    }

    /// PEM file of the application's key and certificate.
    pub fn certificate(&self) -> &str {
        self.fact("certificate")
    }

    /// A vault that reaches it.
    pub fn vault(&self) -> Vault {
        self.reached_by(Setup::new()).start()
    }

    /// The same, of a setup.
    pub fn reached_by(&self, setup: Setup) -> Setup {
        setup.reaching(&[self.cloud(), self.blobs()]).with("outbound", format!("extra_roots = {:?}", self.ca()))
    }

    /// Asks the test's own door of the stand-in.
    pub fn ask(&self, what: &str, ask: &Value) -> Value {
        self.client(&["door", &format!("{}/fake/{what}", self.cloud())], &ask.to_string())["ok"].clone()
    }

    /// Registers a connector of the application, as alice; with no secrets when they are empty.
    pub fn register(&self, vault: &Vault, name: &str, secrets: &str, more: &[&str]) -> Outcome {
        let (cloud, blobs) = (self.cloud(), self.blobs());
        let settings = [
            format!("tenant_id={TENANT}"),
            format!("client_id={CLIENT}"),
            format!("subscription_id={SUBSCRIPTION}"),
            format!("storage_account={ACCOUNT}"),
            format!("authority_url={cloud}"),
            format!("management_url={cloud}"),
            format!("registry_url={cloud}"),
            format!("blob_url={blobs}"),
        ];
        let mut arguments = vec!["connector", "register", name, "--type", "azure", "--method", "service-principal"];
        arguments.extend(["-o", "json"]);
        if !secrets.is_empty() {
            arguments.extend(["--secrets", "-"]);
        }
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
        arguments.extend_from_slice(more);
        vault.cli_with("alice", &arguments, secrets)
    }

    /// An unmodified client; see `azure_client.py`.
    pub fn client(&self, arguments: &[&str], input: &str) -> Value {
        client(self.ca(), arguments, &[], input)
    }

    /// The same with variables in its environment.
    pub fn client_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Value {
        client(self.ca(), arguments, variables, input)
    }

    /// skopeo, copying a small image to `repository` of the registry by these arguments, which name a credential.
    pub fn push(&self, repository: &str, arguments: &[&str]) -> Outcome {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::copy(self.ca(), folder.path().join("ca.crt")).expect("the folder is writable");
        let to = format!("docker://{}/{repository}:v1", self.registry_host());
        let (from, certificates) = (registry::image(folder.path()), folder.path().display().to_string());
        let copy = ["copy", "--dest-cert-dir", &certificates];
        registry::skopeo(folder.path(), &[&copy[..], arguments, &[&from, &to]].concat())
    }

    /// `127.0.0.1:PORT` of the registry.
    pub fn registry_host(&self) -> &str {
        self.registry().trim_start_matches("https://")
    }
}

/// As `--secrets -` takes the application's secret.
pub fn by_secret() -> String {
    json!({ "client_secret": SECRET }).to_string()
}

fn client(ca: &str, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Value {
    let mut command = Command::new(cache::command("python"));
    command.env_clear().env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
    command.arg(cache::client_program("azure_client.py")).arg(ca).args(arguments);
    outcome(&mut command, input).json()
}

// A port may be lost between choosing and binding it; another try is cheap.
fn start(owner: &Owner, folder: &Path) -> Value {
    for attempt in 0..START_ATTEMPTS {
        let folder = folder.join(attempt.to_string());
        fs::create_dir_all(&folder).expect("the run folder is writable");
        if let Some(facts) = start_once(owner, &folder) {
            return facts;
        }
    }
    panic!("Azure did not start in {START_ATTEMPTS} attempts: see {}", folder.display());
}

fn start_once(owner: &Owner, folder: &Path) -> Option<Value> {
    let [cloud, blobs, registry] = ports::free();
    write_files(folder, registry);
    let at = |name: &str| folder.join(name).display().to_string();
    let npm = cache::folder().join("npm");
    let mut entra = Command::new("node");
    entra.arg(cache::client_program("azure_cloud.mjs")).arg(&npm).arg(cloud.to_string());
    entra.args([at("server.pem"), at("server.key"), at("facts.json")]);
    let mut azurite = Command::new("node");
    azurite.arg(npm.join("node_modules/azurite/dist/src/blob/main.js"));
    azurite.args(["--silent", "--oauth", "basic", "--skipApiVersionCheck", "--disableTelemetry"]);
    azurite.args(["--blobHost", "127.0.0.1", "--blobPort", &blobs.to_string(), "--location", &at("azurite")]);
    azurite.args(["--cert", &at("server.pem"), "--key", &at("server.key")]);
    azurite.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:bm90LXRoZS1rZXktb2YtYW55LWFjY291bnQ="));
    let mut distribution = Command::new("docker-registry");
    fs::write(folder.join("registry.yml"), registry_config(folder, registry, cloud))
        .expect("the run folder is writable");
    distribution.args(["serve", &at("registry.yml")]);
    for (name, command) in [("entra", &entra), ("azurite", &azurite), ("registry", &distribution)] {
        let outputs = folder.join(name);
        fs::create_dir_all(&outputs).expect("the run folder is writable");
        process::start_detached(command, owner, &outputs);
    }
    let all = || [cloud, blobs, registry].into_iter().all(process::listening);
    process::eventually(START_LIMIT, all).then(|| {
        let [cloud, blobs, registry] = [cloud, blobs, registry].map(|port| format!("https://127.0.0.1:{port}"));
        let account = format!("{blobs}/{ACCOUNT}");
        let made = client(&at("ca.pem"), &["seed", &cloud, TENANT, CLIENT, &account], &[], SECRET);
        assert_eq!(made["ok"], json!(["datasets", "models"]), "{made}");
        json!({
            "ca": at("ca.pem"), "certificate": at("application.pem"),
            "cloud": cloud, "blobs": blobs, "registry": registry,
        })
    })
}

fn write_files(folder: &Path, registry: u16) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the run folder is writable");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "valetkey bench CA of Azure");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key can be made"));
    let authority = authority.expect("a CA can be made");
    let key = KeyPair::generate().expect("a key can be made");
    let mut server = CertificateParams::default();
    server.subject_alt_names = vec![SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into())];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = server.signed_by(&key, &authority).expect("a server certificate can be made");
    write("ca.pem", &authority.pem());
    write("server.pem", &server.pem());
    write("server.key", &key.serialize_pem());
    let (application, _, application_certificate) = rsa(folder, "application");
    write("application.pem", &format!("{application}{application_certificate}"));
    let (registry_key, registry_file, registry_certificate) = rsa(folder, "tokens");
    write("tokens.bundle.pem", &registry_certificate);
    assert!(registry_file.ends_with("tokens.key"));
    let all = ["pull", "push"];
    let rights = json!({
        "base/model": all, "base/vendor": all, "base/login": all, "base/public": ["pull"],
        "base/scratch": ["pull", "push", "delete"],
    });
    let facts = json!({
        "tenant": TENANT, "client": CLIENT, "object": OBJECT, "secret": SECRET, "subscription": SUBSCRIPTION,
        "certificate": application_certificate,
        "registry": {
            "host": REGISTRY, "key": registry_key, "certificate": registry_certificate, "rights": rights,
            "url": format!("https://127.0.0.1:{registry}"), "ca": authority.pem(),
        },
    });
    write("facts.json", &facts.to_string());
}

/// An RSA key, its file, and a certificate of it: ring makes none, so openssl does.
fn rsa(folder: &Path, name: &str) -> (String, String, String) {
    let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.crt")));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    outcome(&mut command, "").ok();
    let read = |path: &Path| fs::read_to_string(path).expect("openssl wrote it");
    (read(&key), key.display().to_string(), read(&certificate))
}

// Its token service is where it is, not where its name would be; its locations are relative, as the vendor's are.
fn registry_config(folder: &Path, port: u16, cloud: u16) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    format!(
        "version: 0.1\nlog: {{ level: warn }}\nstorage: {{ filesystem: {{ rootdirectory: {:?} }}, delete: {{ enabled: true }} }}\n\
         http: {{ addr: '127.0.0.1:{port}', relativeurls: true, tls: {{ certificate: {:?}, key: {:?} }} }}\n\
         auth: {{ token: {{ realm: 'https://127.0.0.1:{cloud}/oauth2/token', service: '{REGISTRY}', \
         issuer: 'Azure Container Registry', rootcertbundle: {:?} }} }}\n",
        at("layers"),
        at("server.pem"),
        at("server.key"),
        at("tokens.bundle.pem"),
    )
}

const START_ATTEMPTS: u32 = 3;

// Seen: two seconds. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(40);

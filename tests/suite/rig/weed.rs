//! SeaweedFS 4.48 as AWS: S3, STS and a little IAM on one port, enforcing SigV4, trust policies and session policies.
//!
//! What it enforces and what not, each seen with stock boto3 (`bench_facts.rs` repeats the ones we rely on):
//!
//! * AssumeRole: the trust policy alone decides; the caller's own policy need not allow it. Trust conditions know only
//!   `aws:PrincipalArn`. Enforced: session name, duration 900..43200, policy size and JSON. Accepted and ignored:
//!   Tags, TransitiveTagKeys, SourceIdentity, ExternalId, PolicyArns, the account in the role ARN. Not enforced: the
//!   role's own maximum duration, 3600 s for a chained role.
//! * Session policy: intersected with the role's. Conditions that work: `s3:prefix`, `aws:SourceIp`. Absent from the
//!   request context, over http and https alike: `aws:SecureTransport`, `aws:RequestedRegion`, `aws:CurrentTime`. So
//!   `Allow ... if SecureTransport` allows nothing; `Deny ... unless SecureTransport` is inert; `Deny` with
//!   `StringNotEquals aws:RequestedRegion` denies everything. `...IfExists` operators never match.
//! * A session whose policy does not mention STS may still assume a role that trusts it; an explicit Deny stops it.
//! * Expiry is enforced, as `InvalidAccessKeyId`. Sessions outlive the deletion of their source key, as on AWS.
//! * GetCallerIdentity answers for keys and sessions, even under Deny. ListBuckets never fails: it filters.
//! * GetFederationToken needs its right and intersects. GetSessionToken does not exist.
//! * A bad signature or key on STS is answered in the shape of S3 errors: no error code where an STS client looks.
//! * Presigned STS calls (EKS tokens) are refused. Presigned S3 works with SigV4 only.
//! * Static identities cannot change at run time; users made through the IAM API can, at once (`new_broker`).

use std::fs;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use super::account::{self, Role, SIGNING_KEY};
use super::client::{Boto, Key};
use super::shared::Owner;
use super::{cache, ports, process as children, shared};

/// The run's SeaweedFS.
pub struct Weed {
    endpoint: String,
    https_endpoint: String,
    ca: String,
}

/// A user made at run time, whose keys can be added and deleted.
pub struct Broker {
    name: String,
    /// Its first key.
    pub key: Key,
}

impl Weed {
    /// The server shared by this run; started by the first test that asks.
    pub fn shared() -> Self {
        let facts = shared::server("weed", start);
        let text = |name: &str| facts[name].as_str().expect("a fact of weed is text").to_owned();
        Self { endpoint: text("endpoint"), https_endpoint: text("https_endpoint"), ca: text("ca") }
    }

    /// S3, STS and IAM over http.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same over https, with a certificate for `localhost` and `127.0.0.1` by `ca`.
    pub fn https_endpoint(&self) -> &str {
        &self.https_endpoint
    }

    /// PEM file of the private CA.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// boto3 with this key.
    pub fn boto<'a>(&'a self, key: &'a Key) -> Boto<'a> {
        Boto::new(&self.endpoint, key)
    }

    /// A new bucket `PREFIX-...` of this test alone, holding these objects. Roles reach the prefixes `datasets` and `models`.
    pub fn new_bucket(&self, prefix: &str, keys: &[&str]) -> String {
        let bucket = unique(prefix);
        let plan = json!({ bucket.as_str(): keys });
        self.boto(&account::admin()).expect(&["seed", &plan.to_string()]);
        bucket
    }

    /// A new user that every broker-trusting role trusts, with one key; for tests that rotate or delete keys.
    pub fn new_broker(&self) -> Broker {
        let name = unique("broker");
        let key = Key::from_json(&renamed(&self.boto(&account::admin()).expect(&["new-user", &name])));
        Broker { name, key }
    }

    /// One more key for this user; the earlier ones stay valid.
    pub fn add_key(&self, broker: &Broker) -> Key {
        Key::from_json(&renamed(&self.boto(&account::admin()).expect(&["new-key", &broker.name])))
    }

    /// Deletes a key; the server refuses it from the next call on.
    pub fn delete_key(&self, broker: &Broker, key: &Key) {
        self.boto(&account::admin()).expect(&["delete-key", &broker.name, &key.id]);
    }

    /// The ids of this user's keys.
    pub fn keys(&self, broker: &Broker) -> Vec<String> {
        let ids = self.boto(&account::admin()).expect(&["list-keys", &broker.name]);
        ids.as_array().expect("a list").iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
    }

    /// A session of the role by stock boto3, under this session policy (empty for none).
    pub fn assume(&self, caller: &Key, role: Role, policy: &str) -> Key {
        Key::from_json(&self.boto(caller).expect(&["assume-role", &role.arn(), "bench", policy]))
    }

    /// The session as it will be after so many seconds.
    pub fn aged(&self, session: &Key, seconds: u32) -> Key {
        Key::from_json(&self.boto(session).expect(&["age-session", SIGNING_KEY, &seconds.to_string()]))
    }
}

/// A name that no other test of this run uses.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

// A port may be lost between choosing and binding it; the server then ends at once and another try is cheap.
fn start(owner: &Owner, folder: &Path) -> Value {
    for attempt in 0..START_ATTEMPTS {
        let folder = folder.join(attempt.to_string());
        fs::create_dir_all(&folder).expect("the run folder is writable");
        if let Some(facts) = start_once(owner, &folder) {
            return facts;
        }
    }
    panic!("SeaweedFS did not start in {START_ATTEMPTS} attempts: see {}", folder.display());
}

fn start_once(owner: &Owner, folder: &Path) -> Option<Value> {
    let ports = ports::free::<9>();
    let [.., http, https] = ports;
    write_configuration(folder, &account::roles_and_policies());
    children::start_detached(&command(folder, ports), owner, folder);
    let endpoint = format!("http://127.0.0.1:{http}");
    let admin = account::admin();
    let ready = children::eventually(START_LIMIT, || {
        children::listening(http) && Boto::new(&endpoint, &admin).call(&["whoami"]).is_ok()
    });
    ready.then(|| {
        json!({
            "endpoint": endpoint,
            "https_endpoint": format!("https://localhost:{https}"),
            "ca": folder.join("ca.pem"),
        })
    })
}

pub(super) fn command(folder: &Path, ports: [u16; 9]) -> Command {
    let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc, http, https] = ports;
    let at = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new(cache::command("weed"));
    // Each bucket takes volumes of its own; by default seven of the eight that exist.
    command.env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1");
    command.args(["-logtostderr", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
    command.args(["-volume.max=1000", "-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
    // Writable IAM: tests add and delete keys.
    command.arg("-s3.iam.readOnly=false");
    command.arg(format!("-dir={}", at("data")));
    command.arg(format!("-s3.config={}", at("s3.json"))).arg(format!("-s3.iam.config={}", at("iam.json")));
    command.arg(format!("-s3.cert.file={}", at("server.pem"))).arg(format!("-s3.key.file={}", at("server.key")));
    command.arg(format!("-filer.localSocket={}", at("filer.sock"))).arg(format!("-s3.localSocket={}", at("s3.sock")));
    let numbered = [
        ("master.port", master),
        ("master.port.grpc", master_grpc),
        ("volume.port", volume),
        ("volume.port.grpc", volume_grpc),
        ("filer.port", filer),
        ("filer.port.grpc", filer_grpc),
        ("s3.port.grpc", s3_grpc),
        ("s3.port", http),
        ("s3.port.https", https),
    ];
    command.args(numbered.map(|(flag, port)| format!("-{flag}={port}")));
    command
}

pub(super) fn write_configuration(folder: &Path, iam: &Value) {
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("the run folder is writable");
    fs::create_dir_all(folder.join("data")).expect("the run folder is writable");
    write("s3.json", account::identities().to_string());
    write("iam.json", iam.to_string());
    write_certificates(&write);
}

fn write_certificates(write: &impl Fn(&str, String)) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A name unlike the server's, or OpenSSL takes the server's certificate for a self-signed one.
    authority.distinguished_name.push(DnType::CommonName, "valetkey bench CA");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key can be made"))
        .expect("a CA can be made");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server_key = KeyPair::generate().expect("a key can be made");
    let server = CertificateParams::new(names)
        .and_then(|params| params.signed_by(&server_key, &authority))
        .expect("a server certificate can be made");
    write("ca.pem", authority.pem());
    write("server.pem", server.pem());
    write("server.key", server_key.serialize_pem());
}

// IAM's CreateAccessKey and STS's Credentials name the same two fields; only the token differs.
fn renamed(value: &Value) -> Value {
    json!({"AccessKeyId": value["AccessKeyId"], "SecretAccessKey": value["SecretAccessKey"]})
}

const START_ATTEMPTS: u32 = 3;

// Seen: 3.2 s. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(40);

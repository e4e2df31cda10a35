//! moto 5.2.5 as the breadth of AWS: ECR, EKS, IAM, STS and S3 in one account, in IAM mode.
//!
//! Enforces SigV4, identity and role policies, and the trust policy of roles that exist. Does not enforce session
//! policies, durations or expiry: scope is tested on `weed`.
//!
//! * A body-less GET of a REST service (EKS) passes only when it signs `x-amz-content-sha256`.
//! * Refusals are XML even for JSON services: go by the HTTP status.
//! * GetSessionToken and GetFederationToken answer constants that no later call accepts.
//! * The ECR token is a constant. SimulatePrincipalPolicy answers 500. DescribeRepositories knows no pages.
//! * `tests/clients/moto_server.py` starts it, and repairs the end of an ECR login (2015) and the CA of EKS (no PEM).
//! * A presigned GetCallerIdentity (the EKS token) answers 500.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::client::{Boto, Key};
use super::shared::Owner;
use super::{cache, ports, process as children, shared};

/// moto's account id.
pub const ACCOUNT: &str = "123456789012";

/// The run's moto.
pub struct Moto {
    endpoint: String,
    role_arn: String,
    cluster_ca: String,
    /// May do everything but assume roles.
    pub admin: Key,
    /// valetkey's long-lived key: STS, ECR, EKS and S3.
    pub broker: Key,
    /// Exists, and may do nothing.
    pub stranger: Key,
}

impl Moto {
    /// The server shared by this run, furnished by `tests/clients/moto_account.py`:
    /// repositories `team/model` and `team/base` and the cluster `train` in us-east-1 and eu-west-1, the clusters
    /// `one`, `three` and `two` in eu-north-1, buckets `datasets` and `models`.
    pub fn shared() -> Self {
        let facts = shared::server("moto", start);
        let text = |value: &Value| value.as_str().expect("a fact of moto is text").to_owned();
        let key = |name: &str| Key::long_lived(&text(&facts[name]["id"]), &text(&facts[name]["secret"]));
        Self {
            endpoint: text(&facts["endpoint"]),
            role_arn: text(&facts["role_arn"]),
            cluster_ca: text(&facts["cluster_ca"]),
            admin: key("admin"),
            broker: key("broker"),
            stranger: key("stranger"),
        }
    }

    /// Every service, over http; the signature says which service and region.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A role that trusts the broker and may use ECR, EKS and S3.
    pub fn role_arn(&self) -> &str {
        &self.role_arn
    }

    /// PEM of the CA of every cluster.
    pub fn cluster_ca(&self) -> &str {
        &self.cluster_ca
    }

    /// boto3 with this key.
    pub fn boto<'a>(&'a self, key: &'a Key) -> Boto<'a> {
        Boto::new(&self.endpoint, key)
    }
}

fn start(owner: &Owner, folder: &Path) -> Value {
    let (authority, pem) = (folder.join("cluster-ca.pem"), authority());
    fs::write(&authority, &pem).expect("the run folder is writable");
    for _ in 0..START_ATTEMPTS {
        let [port] = ports::free::<1>();
        let mut command = Command::new(cache::command("python"));
        command.arg(cache::client_program("moto_server.py")).arg(&authority);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        children::start_detached(&command, owner, folder);
        if children::eventually(START_LIMIT, || children::listening(port)) {
            return furnish(&format!("http://127.0.0.1:{port}"), &pem);
        }
    }
    panic!("moto did not start in {START_ATTEMPTS} attempts: see {}", folder.display());
}

fn authority() -> String {
    let key = KeyPair::generate().expect("a key can be made");
    CertificateParams::default().self_signed(&key).expect("a CA can be made").pem()
}

fn furnish(endpoint: &str, cluster_ca: &str) -> Value {
    let output = Command::new(cache::command("python"))
        .arg(cache::client_program("moto_account.py"))
        .arg(endpoint)
        .output()
        .expect("python starts");
    let mut facts: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("moto_account.py broke:\n{}", String::from_utf8_lossy(&output.stderr)));
    facts["endpoint"] = json!(endpoint);
    facts["cluster_ca"] = json!(cluster_ca);
    facts
}

const START_ATTEMPTS: u32 = 3;

// Seen: 0.4 s. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(30);

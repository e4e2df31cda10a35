//! A SeaweedFS of one test alone, whose account trusts an OpenID issuer: AssumeRoleWithWebIdentity against the real
//! keys, fetched over https.
//!
//! What it enforces, each seen with stock boto3: signature by the published key, `alg` RS256 only, issuer, audience,
//! expiry; an unknown `kid` makes it fetch the keys again. The trust policy's principal is the provider's name, and its
//! conditions know the claims as `oidc:sub` (AWS: `HOST/PATH:sub`). A wrong audience is `InvalidParameterValue`, a
//! wrong subject, issuer or kid `AccessDenied`. The inline session policy narrows as with AssumeRole.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::{self, ACCOUNT};
use super::client::{Boto, Key};
use super::process::{Daemon, eventually, listening};
use super::{ports, weed};

/// The role that trusts the issuer.
pub const ROLE: &str = "ml-web";
/// Of the provider.
pub const AUDIENCE: &str = "sts.amazonaws.com";
/// What may assume the role: any principal through the connector `keyless`.
const SUBJECTS: &str = "project:default:connector:keyless:*";

/// The server; ends with the test.
pub struct Federated {
    endpoint: String,
    // Held for its end.
    _process: Daemon,
}

impl Federated {
    /// A server that trusts the issuer at this URL and the CA in this file.
    pub fn start(folder: &Path, issuer: &str, ca: &Path) -> Self {
        for attempt in 0..START_ATTEMPTS {
            let folder = folder.join(format!("weed-{attempt}"));
            fs::create_dir_all(&folder).expect("the test's folder is writable");
            if let Some(server) = Self::start_once(&folder, issuer, ca) {
                return server;
            }
        }
        panic!("SeaweedFS did not start in {START_ATTEMPTS} attempts: see {}", folder.display());
    }

    fn start_once(folder: &Path, issuer: &str, ca: &Path) -> Option<Self> {
        let ports = ports::free::<9>();
        let [.., http, _] = ports;
        weed::write_configuration(folder, &trusting(issuer));
        let mut command = weed::command(folder, ports);
        command.env("SSL_CERT_FILE", ca);
        let process = Daemon::start(&mut command, folder, "weed");
        let endpoint = format!("http://127.0.0.1:{http}");
        let admin = account::admin();
        let ready =
            eventually(START_LIMIT, || listening(http) && Boto::new(&endpoint, &admin).call(&["whoami"]).is_ok());
        ready.then_some(Self { endpoint, _process: process })
    }

    /// S3 and STS.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A bucket holding these objects.
    pub fn bucket(&self, name: &str, keys: &[&str]) {
        Boto::new(&self.endpoint, &account::admin()).expect(&["seed", &json!({ name: keys }).to_string()]);
    }

    /// boto3 with this key.
    pub fn boto<'a>(&'a self, key: &'a Key) -> Boto<'a> {
        Boto::new(&self.endpoint, key)
    }
}

/// The ARN of the role.
pub fn role_arn() -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}")
}

fn trusting(issuer: &str) -> Value {
    let mut iam = account::roles_and_policies();
    let keys = format!("{issuer}/.well-known/jwks.json");
    let config = json!({"issuer": issuer, "clientId": AUDIENCE, "jwksUri": keys});
    iam["providers"] = json!([{"name": "valetkey", "type": "oidc", "enabled": true, "config": config}]);
    let statement = json!({
        "Effect": "Allow",
        "Principal": {"Federated": "valetkey"},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {"StringLike": {"oidc:sub": SUBJECTS}},
    });
    let role = json!({
        "roleName": ROLE,
        "roleArn": role_arn(),
        "trustPolicy": {"Version": "2012-10-17", "Statement": [statement]},
        "attachedPolicies": ["data"],
    });
    iam["roles"].as_array_mut().expect("the account has roles").push(role);
    iam
}

const START_ATTEMPTS: u32 = 3;

// Seen: 3.2 s. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(60);

//! A strict Google on one loopback port (`tests/clients/google_fake`): tokens, exchange with boundaries, impersonation,
//! keys, Cloud Storage, GKE, Artifact Registry, projects and the metadata server.
//!
//! `proof.py` drives it with stock google-auth and google-cloud-storage, so that the fake is proved by code that is not
//! ours. Its accounts: `broker` (may do all, and act for `ml-data` and `hub`), `hub` (may act for `ml-far`), `keyless`
//! (as `broker`, but makes no keys), `weak` (sees its project), `machine` (of the metadata server).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::shared::Owner;
use super::vault::{Outcome, Vault, outcome};
use super::{cache, ports, process as children, shared};

/// The project.
pub const PROJECT: &str = "ml-prod-123456";

/// The run's Google.
pub struct Google {
    endpoint: String,
    authority: String,
}

impl Google {
    /// The server shared by this run; started by the first test that asks.
    pub fn shared() -> Self {
        let facts = shared::server("google", start);
        let text = |name: &str| facts[name].as_str().expect("a fact of google is text").to_owned();
        Self { endpoint: text("endpoint"), authority: text("authority") }
    }

    /// Every service.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// PEM of the CA of every cluster.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// An account's e-mail.
    pub fn email(name: &str) -> String {
        format!("{name}@{PROJECT}.iam.gserviceaccount.com")
    }

    /// A new key of an account, as Google's file.
    pub fn key(&self, name: &str) -> Value {
        self.ask("key", &json!({"email": Self::email(name)}))
    }

    /// An account of one test alone, which may do all but this; asked again, what it may do from then on.
    pub fn account(&self, name: &str, without: &[&str]) -> String {
        let email = self.ask("account", &json!({"name": name, "without": without}))["email"].clone();
        email.as_str().expect("an e-mail is text").to_owned()
    }

    /// The ids of an account's keys.
    pub fn keys(&self, name: &str) -> Vec<String> {
        let keys = self.ask("keys", &json!({"email": Self::email(name)}))["keys"].clone();
        serde_json::from_value(keys).expect("ids are text")
    }

    /// A new bucket with these objects; the content of an object is its name.
    pub fn new_bucket(&self, objects: &[&str]) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("b{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        self.ask("bucket", &json!({"name": name, "objects": objects}));
        name
    }

    /// What Google knows of a token: `who`, `chain`, `scopes`, `left`, `bounded`.
    pub fn token(&self, text: &str) -> Value {
        self.ask("token", &json!({"token": text}))
    }

    /// A token of this account, by its key and by Google's own flow.
    pub fn access_token(&self, name: &str) -> String {
        self.token_by(&self.key(name)).ok().stdout.trim().to_owned()
    }

    /// What stock google-auth gets by this key file.
    pub fn token_by(&self, key: &Value) -> Outcome {
        let program = "import sys, json\nfrom google.oauth2 import service_account as s\n\
                       from google.auth.transport.requests import Request\nfile = json.load(sys.stdin)\n\
                       file['token_uri'] = sys.argv[1] + '/token'\nscope = 'https://www.googleapis.com/auth/cloud-platform'\n\
                       c = s.Credentials.from_service_account_info(file, scopes=[scope])\nc.refresh(Request())\nprint(c.token)";
        let mut command = Command::new(cache::command("python"));
        command.args(["-c", program, &self.endpoint]);
        outcome(&mut command, &key.to_string())
    }

    /// What stock google-auth hears for each of these `[PROVIDER, SUBJECT_TOKEN]`: `taken`, or the code. The provider is
    /// set before each.
    pub fn exchanges(&self, asks: &Value) -> Value {
        let mut command = Command::new(cache::command("python"));
        command.arg(cache::client_program("google_fake/exchange.py")).arg(&self.endpoint);
        outcome(&mut command, &asks.to_string()).json()
    }

    /// A person's file, as gcloud writes it.
    pub fn user_file(&self) -> Value {
        let facts = self.ask("facts", &json!({}));
        json!({
            "type": "authorized_user", "client_id": facts["client"]["id"], "client_secret": facts["client"]["secret"],
            "refresh_token": facts["refresh_token"], "universe_domain": "googleapis.com", "account": "",
        })
    }

    /// A credential configuration whose subject token comes from this URL.
    pub fn external_file(&self, url: &str, target: Option<&str>) -> Value {
        let facts = self.ask("facts", &json!({}));
        let mut file = json!({
            "type": "external_account", "audience": facts["provider"],
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"url": url, "headers": {"X-Caller": "valetkey"},
                "format": {"type": "json", "subject_token_field_name": "subject"}},
        });
        if let Some(name) = target {
            let head = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/";
            file["service_account_impersonation_url"] =
                json!(format!("{head}{}:generateAccessToken", Self::email(name)));
        }
        file
    }

    /// Asks the test's own door of the fake.
    pub fn ask(&self, what: &str, ask: &Value) -> Value {
        let (host, body) = (self.endpoint.trim_start_matches("http://"), ask.to_string());
        let mut stream = TcpStream::connect(host).expect("google is up");
        let length = body.len();
        let head =
            format!("POST /fake/{what} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}");
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("google reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("google answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {answer}"))
    }

    /// google-cloud-storage with this token.
    pub fn storage<'a>(&'a self, token: &'a str) -> Storage<'a> {
        Storage { endpoint: &self.endpoint, token }
    }

    /// Registers a connector of this method with this secret field, as alice.
    pub fn register(
        &self,
        vault: &Vault,
        name: &str,
        method: &str,
        secret: Option<(&str, &str)>,
        more: &[&str],
    ) -> Outcome {
        Self::register_at(&self.endpoint, vault, name, method, secret, more)
    }

    /// The same with something between it and Google.
    pub fn register_at(
        endpoint: &str,
        vault: &Vault,
        name: &str,
        method: &str,
        secret: Option<(&str, &str)>,
        more: &[&str],
    ) -> Outcome {
        let (endpoint, project) = (format!("endpoint_url={endpoint}"), format!("project_id={PROJECT}"));
        let mut arguments = vec!["connector", "register", name, "--type", "gcp", "--method", method, "-o", "json"];
        arguments.extend_from_slice(&["--set", &project, "--set", &endpoint]);
        let field = secret.map(|(field, _)| format!("{field}=-"));
        if let Some(field) = &field {
            arguments.extend_from_slice(&["--secret", field]);
        }
        arguments.extend_from_slice(more);
        vault.cli_with("alice", &arguments, secret.map_or("", |(_, text)| text))
    }
}

/// Stock google-cloud-storage in a child process (`tests/clients/gcs.py`).
pub struct Storage<'a> {
    endpoint: &'a str,
    token: &'a str,
}

impl Storage<'_> {
    /// Runs one command that must succeed.
    pub fn expect(&self, arguments: &[&str]) -> Value {
        let answer = self.call(arguments);
        assert!(answer["ok"] == true, "gcs.py {arguments:?} was refused: {answer}");
        answer["value"].clone()
    }

    /// Runs one command that must be refused, and returns the status.
    pub fn refused(&self, arguments: &[&str]) -> u64 {
        let answer = self.call(arguments);
        answer["status"].as_u64().unwrap_or_else(|| panic!("gcs.py {arguments:?} was not refused: {answer}"))
    }

    fn call(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(cache::command("python"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("GOOGLE_OAUTH_ACCESS_TOKEN", self.token);
        command.arg(cache::client_program("gcs.py")).arg(self.endpoint).args(arguments);
        let said = outcome(&mut command, "");
        serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("gcs.py {arguments:?} broke: {said}"))
    }
}

fn start(owner: &Owner, folder: &Path) -> Value {
    let key = KeyPair::generate().expect("a key can be made");
    let authority = CertificateParams::default().self_signed(&key).expect("a CA can be made").pem();
    let file = folder.join("cluster-ca.pem");
    fs::write(&file, &authority).expect("the run folder is writable");
    for _ in 0..START_ATTEMPTS {
        let [port] = ports::free::<1>();
        let mut command = Command::new(cache::command("python"));
        command.arg(cache::client_program("google_fake/server.py")).arg(port.to_string()).arg(&file);
        children::start_detached(&command, owner, folder);
        if children::eventually(START_LIMIT, || children::listening(port)) {
            return json!({"endpoint": format!("http://127.0.0.1:{port}"), "authority": authority});
        }
    }
    panic!("google did not start in {START_ATTEMPTS} attempts: see {}", folder.display());
}

const START_ATTEMPTS: u32 = 3;

// Seen: 0.6 s. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(30);

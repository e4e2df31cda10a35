//! A Kubernetes API server of one test (`tests/clients/kube_apiserver.py`), with stock kubectl and the Python client.
//!
//! Accounts `ml/reader` (reads pods in ml), `ml/writer` (creates them too), `ml/default` (nothing), `serve/reader`, and
//! 230 in `many`. Users: `valetkey` may request tokens of ml/reader and ml/writer, `weak` may nothing, `admin` anything.
//!
//! `tests/kubernetes_real.sh` starts a real API server, furnished the same, and names its folder in
//! `VALETKEY_REAL_KUBERNETES`: then `start` is that one. It cannot be steered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cache;
use super::process::{Daemon, eventually};
use super::vault::{Outcome, outcome};

/// The token of `valetkey`; must never be seen anywhere.
pub const TOKEN: &str = "canary-broker-token-of-kubernetes-5ec";
/// The password of `valetkey`; the same.
pub const PASSWORD: &str = "canary-broker-password-5ec";
/// The token of a user with no rights.
pub const WEAK: &str = "weak-token";

/// The server.
pub struct Kube {
    scratch: TempDir,
    files: PathBuf,
    url: String,
    // Ends with the test.
    _daemon: Option<Daemon>,
}

impl Kube {
    /// A server of today, or the real one.
    pub fn start() -> Self {
        match std::env::var_os("VALETKEY_REAL_KUBERNETES") {
            Some(folder) => Self::at(scratch(), folder.into(), None),
            None => Self::start_with(&[]),
        }
    }

    /// A server of 1.20.
    pub fn start_old() -> Self {
        Self::start_with(&["--old"])
    }

    fn start_with(options: &[&str]) -> Self {
        let scratch = scratch();
        let mut command = Command::new(cache::command("python"));
        command.arg(cache::client_program("kube_apiserver.py")).arg(scratch.path()).args(options);
        let daemon = Daemon::start(&mut command, scratch.path(), "apiserver");
        let facts = scratch.path().join("facts.json");
        assert!(eventually(START_LIMIT, || facts.exists()), "no API server:\n{}", daemon.stderr());
        let files = scratch.path().to_owned();
        Self::at(scratch, files, Some(daemon))
    }

    fn at(scratch: TempDir, files: PathBuf, daemon: Option<Daemon>) -> Self {
        let facts = fs::read(files.join("facts.json")).expect("the server wrote its facts");
        let facts: Value = serde_json::from_slice(&facts).expect("facts are JSON");
        let url = facts["url"].as_str().expect("a URL is text").to_owned();
        Self { scratch, files, url, _daemon: daemon }
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A file of the server: `ca.pem`, `foreign-ca.pem`, `client.pem` and `.key`, `foreign.pem` and `.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// What is in it.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("the server wrote it")
    }

    /// A kubeconfig with this user, or with more of the cluster.
    pub fn kubeconfig(&self, name: &str, user: &Value, cluster: &Value) -> PathBuf {
        let mut all = json!({"server": self.url});
        all.as_object_mut().expect("an object").extend(cluster.as_object().expect("an object").clone());
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "train",
            "clusters": [{"name": "train", "cluster": all}],
            "users": [{"name": "train", "user": user}],
            "contexts": [{"name": "train", "context": {"cluster": "train", "user": "train"}}],
        });
        self.keep(name, &text.to_string())
    }

    /// A file of this test.
    pub fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::write(&path, text).expect("the folder is writable");
        path
    }

    /// Its own CA, as a kubeconfig has it.
    pub fn authority(&self) -> Value {
        json!({"certificate-authority": self.file("ca.pem")})
    }

    /// Stock kubectl.
    pub fn kubectl(&self, kubeconfig: &Path, arguments: &[&str]) -> Outcome {
        self.kubectl_with(kubeconfig, arguments, "")
    }

    /// The same with standard input.
    pub fn kubectl_with(&self, kubeconfig: &Path, arguments: &[&str], input: &str) -> Outcome {
        let mut command = Command::new("kubectl");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.scratch.path());
        command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        outcome(&mut command, input)
    }

    /// The Python client.
    pub fn python(&self, kubeconfig: &Path, arguments: &[&str]) -> Value {
        let mut command = Command::new(cache::command("python"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.scratch.path());
        command.arg(cache::client_program("kube.py")).arg(kubeconfig).args(arguments);
        outcome(&mut command, "").json()
    }

    /// A kubeconfig with this token.
    pub fn with_token(&self, token: &str) -> PathBuf {
        self.kubeconfig("token.json", &json!({"token": token}), &self.authority())
    }

    /// What the server says of a token.
    pub fn review(&self, token: &str, audience: &[&str]) -> Value {
        self.python(&self.admin(), &[&["review", token], audience].concat())
    }

    /// The names of the Secrets in `ml`.
    pub fn secrets(&self) -> Value {
        self.python(&self.admin(), &["secrets", "ml"])
    }

    /// Moves the server's clock.
    pub fn advance(&self, seconds: u32) {
        self.steer("/test/clock", &json!({"seconds": seconds}));
    }

    /// Makes the server lie about tokens: `longer`, `audience`, `account`, `unbound`, `echo`, `html`, `redirect`, `error`.
    pub fn lie(&self, lie: &str) {
        self.steer("/test/lie", &json!({"lie": lie}));
    }

    /// Who asked what so far: `[user, method, path]`.
    pub fn log(&self) -> Vec<Value> {
        let log = self.kubectl(&self.admin(), &["get", "--raw", "/test/log"]).json();
        log.as_array().expect("a list").clone()
    }

    fn steer(&self, path: &str, body: &Value) {
        self.kubectl_with(&self.admin(), &["create", "--raw", path, "-f", "-"], &body.to_string()).ok();
    }

    fn admin(&self) -> PathBuf {
        self.kubeconfig("admin.json", &json!({"token": "admin-token"}), &self.authority())
    }
}

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

const START_LIMIT: Duration = Duration::from_secs(30);

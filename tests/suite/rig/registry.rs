//! Debian's own registry over https on loopback, with a strict token service of ours or with htpasswd, and stock
//! skopeo and Docker's own command line as its clients.
//!
//! The registry checks signature (by x5c under the CA), issuer, audience and end of a token, and which actions on which
//! repository it allows; it lets tokens live a minute longer than they say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::oidc::{Authority, call};
use super::process::{Daemon, eventually, listening};
use super::vault::{Outcome, outcome};
use super::{cache, front, ports};

/// The login of the registries.
pub const ROBOT: (&str, &str) = ("robot", "r0bot-p4ss:word/+ with blanks");
/// Its identity token, where the token service takes one.
pub const IDENTITY: &str = "identity-token-of-the-robot";
/// The login of the registry with htpasswd.
pub const HTPASSWD: (&str, &str) = ("robot", "h7passwd-secret");

/// A running registry.
pub struct Registry {
    /// Its CA and certificate.
    pub authority: Authority,
    /// `127.0.0.1:PORT`.
    pub host: String,
    /// `https://127.0.0.1:PORT/token`, where it has a token service.
    pub token_url: Option<String>,
    folder: TempDir,
    _daemons: Vec<Daemon>,
}

impl Registry {
    /// One with a token service. The robot may do everything to `team/model` and `team/other`, pull from `team/open`,
    /// and read the catalog; nothing else.
    pub fn with_tokens() -> Self {
        let all = json!(["pull", "push", "delete"]);
        let grants = json!({
            "repository:team/model": all, "repository:team/other": all, "repository:team/open": ["pull"],
            "registry:catalog": ["*"],
        });
        let login = json!({ "password": ROBOT.1, "identity": IDENTITY, "grants": grants });
        let settings = json!({ "issuer": ISSUER, "service": SERVICE, "life": 120, "logins": { ROBOT.0: login } });
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::inside(folder.path());
        let start = |port: u16| {
            let mut command = Command::new(cache::command("python"));
            command.arg(cache::client_program("registry_tokens.py")).arg(port.to_string());
            command.args([&authority.certificate, &authority.key, &authority.certificate, &authority.key]);
            command.arg(settings.to_string());
            command
        };
        let (service, port) = started(folder.path(), "tokens", start);
        let token_url = format!("https://127.0.0.1:{port}/token");
        let auth = format!(
            "  token:\n    realm: {token_url}\n    service: {SERVICE}\n    issuer: {ISSUER}\n    rootcertbundle: {}\n",
            authority.ca.display()
        );
        let (registry, port) = registry(folder.path(), &authority, &auth);
        let host = format!("127.0.0.1:{port}");
        Self { authority, host, token_url: Some(token_url), folder, _daemons: vec![registry, service] }
    }

    /// One that takes a name and a password alone.
    pub fn with_htpasswd() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::inside(folder.path());
        let file = folder.path().join("htpasswd");
        fs::write(&file, format!("{}:{HTPASSWD_HASH}\n", HTPASSWD.0)).expect("the folder is writable");
        let auth = format!("  htpasswd:\n    realm: bench\n    path: {}\n", file.display());
        let (registry, port) = registry(folder.path(), &authority, &auth);
        Self { authority, host: format!("127.0.0.1:{port}"), token_url: None, folder, _daemons: vec![registry] }
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.host)
    }

    /// Where the token service is.
    pub fn token_service(&self) -> &str {
        self.token_url.as_deref().and_then(|url| url.strip_suffix("/token")).expect("it has a token service")
    }

    /// How many asks of the token service carried a login so far.
    pub fn asked(&self) -> u64 {
        self.control("asked")["count"].as_u64().expect("a count is a number")
    }

    /// A token of the token service for this scope that ended two minutes ago.
    pub fn expired(&self, scope: &str) -> String {
        self.control(&format!("expired?scope={scope}"))["token"].as_str().expect("a token is text").to_owned()
    }

    fn control(&self, what: &str) -> Value {
        let said = call(&self.authority.ca, "GET", &format!("{}/control/{what}", self.token_service()), "", None);
        assert_eq!(said.status, 200, "{}", said.body);
        said.body
    }

    /// Pushes a small image with this token, in Docker's own format: its older command lines read no other.
    pub fn push(&self, repository: &str, token: &str) -> Outcome {
        let (from, to, certificates) = (self.image(), self.reference(repository), self.certificates());
        let by = ["--dest-cert-dir", &certificates, "--dest-registry-token", token];
        self.skopeo(&[&["copy", "--format", "v2s2"], &by[..], &[&from, &to]].concat())
    }

    /// Pulls it again with this token.
    pub fn pull(&self, repository: &str, token: &str) -> Outcome {
        let into = tempfile::tempdir_in(self.folder.path()).expect("a temporary folder can be made");
        let (from, to) = (self.reference(repository), format!("dir:{}", into.path().display()));
        self.skopeo(&["copy", "--src-cert-dir", &self.certificates(), "--src-registry-token", token, &from, &to])
    }

    /// Deletes it with this token.
    pub fn delete(&self, repository: &str, token: &str) -> Outcome {
        let name = self.reference(repository);
        self.skopeo(&["delete", "--cert-dir", &self.certificates(), "--registry-token", token, &name])
    }

    /// Pushes with the logins of a Docker configuration.
    pub fn push_by(&self, repository: &str, config: &Path) -> Outcome {
        let (from, to, config) = (self.image(), self.reference(repository), config.display().to_string());
        self.skopeo(&["copy", "--dest-cert-dir", &self.certificates(), "--dest-authfile", &config, &from, &to])
    }

    /// A file of this registry's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What Docker's own command line makes of an image, with a configuration as it was handed out. It speaks to the
    /// registry itself, and looks at no certificate where the registry is on loopback.
    pub fn inspect_by(&self, repository: &str, config: &str) -> Outcome {
        let home = self.home_with(config);
        manifest(home.path(), "inspect", &[&format!("{}/{repository}:v1", self.host)])
    }

    /// What comes of it when Docker's own command line pushes a list with the image that is there, under the tag
    /// `list`: the one push for which it needs no engine. To loopback it pushes by http alone, so that the registry has
    /// another door, and the configuration names that.
    pub fn push_list_by(&self, repository: &str, config: &str) -> Outcome {
        let door = front::plain(&self.host, &self.authority);
        let home = self.home_with(&config.replace(&self.host, &door));
        let named = |tag: &str| format!("{door}/{repository}:{tag}");
        let made = manifest(home.path(), "create", &[&named("list"), &named("v1")]);
        if made.code == 0 { manifest(home.path(), "push", &[&named("list")]) } else { made }
    }

    fn home_with(&self, config: &str) -> TempDir {
        let home = tempfile::tempdir_in(self.folder.path()).expect("a temporary folder can be made");
        fs::write(home.path().join("config.json"), config).expect("the folder is writable");
        home
    }

    fn skopeo(&self, arguments: &[&str]) -> Outcome {
        skopeo(self.folder.path(), arguments)
    }

    fn image(&self) -> String {
        image(&self.file("image"))
    }

    fn reference(&self, repository: &str) -> String {
        format!("docker://{}/{repository}:v1", self.host)
    }

    /// The folder in which skopeo finds the CA.
    fn certificates(&self) -> String {
        let folder = self.file("certificates");
        fs::create_dir_all(&folder).expect("the folder is writable");
        fs::copy(&self.authority.ca, folder.join("ca.crt")).expect("the folder is writable");
        folder.display().to_string()
    }
}

/// `docker manifest`, with the configuration in this folder and nothing else of the machine's.
fn manifest(home: &Path, what: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(cache::docker());
    command.env_clear().env("HOME", home).arg("--config").arg(home);
    outcome(command.args(["manifest", what, "--insecure"]).args(arguments), "")
}

/// skopeo with nothing of the machine's: no home, no logins.
pub fn skopeo(home: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new("skopeo");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home);
    command.env("XDG_RUNTIME_DIR", home).arg("--insecure-policy").args(arguments);
    outcome(&mut command, "")
}

/// An image of one empty layer, in the layout of OCI.
pub fn image(folder: &Path) -> String {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("the folder is writable");
    let blob = |kind: &str, bytes: &[u8]| {
        let digest = hex::encode(Sha256::digest(bytes));
        fs::write(blobs.join(&digest), bytes).expect("the folder is writable");
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{digest}"), "size": bytes.len(),
        })
    };
    let tar = [0_u8; 1024];
    let layer = blob("layer.v1.tar", &tar);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = blob("config.v1+json", config.to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    let mut manifest = blob("manifest.v1+json", manifest.to_string().as_bytes());
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(folder.join("index.json"), index.to_string()).expect("the folder is writable");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the folder is writable");
    format!("oci:{}:v1", folder.display())
}

fn registry(folder: &Path, authority: &Authority, auth: &str) -> (Daemon, u16) {
    let start = |port: u16| {
        let config = format!(
            "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
             enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n  tls:\n    certificate: {}\n    key: {}\nauth:\n{auth}",
            folder.join("storage").display(),
            authority.certificate.display(),
            authority.key.display(),
        );
        let file = folder.join("registry.yml");
        fs::write(&file, config).expect("the folder is writable");
        let mut command = Command::new("docker-registry");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder).arg("serve").arg(file);
        command
    };
    started(folder, "registry", start)
}

/// Starts a server on a free port and waits until it listens.
fn started(folder: &Path, name: &str, start: impl Fn(u16) -> Command) -> (Daemon, u16) {
    for _ in 0..START_ATTEMPTS {
        let [port] = ports::free::<1>();
        let mut daemon = Daemon::start(&mut start(port), folder, name);
        let up = eventually(START_LIMIT, || listening(port) || daemon.ended());
        if up && !daemon.ended() {
            return (daemon, port);
        }
        let said = daemon.stderr() + &daemon.stdout();
        assert!(said.contains("in use"), "{name} did not start:\n{said}");
    }
    panic!("no free port in {START_ATTEMPTS} attempts");
}

const ISSUER: &str = "bench-tokens";
const SERVICE: &str = "bench-registry";

/// bcrypt of the password of `HTPASSWD`, at the least cost.
const HTPASSWD_HASH: &str = "$2b$04$HH4i.AJP5ajWH13ddxAKrezMqXSFVe2q4lv32IfDbQ1v3Z3uBzPkC";

const START_ATTEMPTS: u32 = 3;

// Seen: under a second each. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(30);

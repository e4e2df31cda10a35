//! valetkey itself: a data directory of its own, the real binary as daemon, and the real command line as client.
//!
//! A vault belongs to one test. Its people: `owner`, `alice` (platform engineer), `bob` (data scientist), `carol`
//! (auditor), `trainer` (service account, a runner on the component `pipeline`), and `stranger` (no role at all), all
//! in the project `default`; and `other-owner`, the owner of the project `other`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::process::{Daemon, eventually};
use super::{cast, even, ports};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_valetkey");

/// What a vault is to be like.
#[derive(Default)]
pub struct Setup {
    config: BTreeMap<&'static str, Vec<String>>,
    folder: Option<PathBuf>,
    variables: Vec<(&'static str, String)>,
}

impl Setup {
    /// As configured by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more line in a section of the config.
    pub fn with(mut self, section: &'static str, line: impl Into<String>) -> Self {
        self.config.entry(section).or_default().push(line.into());
        self
    }

    /// Connectors may name these endpoints.
    pub fn reaching(self, endpoints: &[&str]) -> Self {
        self.with("outbound", format!("allowed_endpoints = {endpoints:?}"))
    }

    /// With a variable in the daemon's environment.
    pub fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// With all of its files in this folder.
    pub fn inside(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// Makes the vault, starts it, and lets the people in.
    pub fn start(self) -> Vault {
        let vault = self.start_empty();
        cast::let_in(&vault);
        vault
    }

    /// The same with its owners alone.
    pub fn start_empty(self) -> Vault {
        let folder = self.folder.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let folder = folder.expect("a temporary folder can be made");
        init(folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let vault = Vault {
            folder,
            setup: self,
            port: Mutex::new(0),
            daemon: Mutex::new(None),
            runtime: runtime.expect("a runtime can be made"),
        };
        vault.start();
        vault
    }
}

/// A vault.
pub struct Vault {
    folder: TempDir,
    setup: Setup,
    port: Mutex<u16>,
    daemon: Mutex<Option<Daemon>>,
    runtime: Runtime,
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Vault {
    /// Runs a command of the command line as somebody.
    pub fn cli(&self, who: &str, arguments: &[&str]) -> Outcome {
        self.cli_with(who, arguments, "")
    }

    /// The same with standard input.
    pub fn cli_with(&self, who: &str, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.command();
        command.env("VALETKEY_TOKEN_FILE", self.token_file(who)).args(arguments);
        let said = outcome(&mut command, input);
        if said.code == 0 && arguments.windows(2).any(|pair| pair == ["-o", "json"]) {
            even::documents(&said.stdout);
        }
        said
    }

    /// The command line with the address and CA of this vault in a clean environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path());
        command.env("VALETKEY_ADDR", self.address()).env("VALETKEY_CA_CERT", self.ca());
        command
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Runs a future beside the test.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(future)
    }

    /// `https://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        *self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The CA's file.
    pub fn ca(&self) -> PathBuf {
        self.data().join("ca.pem")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file or folder beside the data directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of somebody's token.
    pub fn token_file(&self, who: &str) -> PathBuf {
        self.folder.path().join(format!("{who}.token"))
    }

    /// Somebody's token.
    pub fn token(&self, who: &str) -> String {
        let path = self.token_file(who);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    }

    /// Keeps somebody's token.
    pub fn keep_token(&self, who: &str, token: &str) {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(self.token_file(who)).expect("the folder is writable");
        file.write_all(token.as_bytes()).expect("the folder is writable");
    }

    /// Starts the daemon and waits until it is healthy.
    pub fn start(&self) {
        self.start_under(&[]);
    }

    /// The same, with the daemon run by another command.
    pub fn start_under(&self, wrapper: &[&str]) {
        for _ in 0..START_ATTEMPTS {
            let mut daemon = self.launch_under(wrapper);
            let up = eventually(START_LIMIT, || self.healthy() || daemon.ended());
            if up && !daemon.ended() {
                *self.daemon() = Some(daemon);
                return;
            }
            assert!(daemon.stderr().contains("in use"), "the daemon did not start:\n{}", daemon.stderr());
        }
        panic!("no free port in {START_ATTEMPTS} attempts");
    }

    /// Starts the daemon's process, without waiting for anything.
    pub fn launch(&self) -> Daemon {
        self.launch_under(&[])
    }

    /// The same, run by another command.
    pub fn launch_under(&self, wrapper: &[&str]) -> Daemon {
        let [free] = ports::free::<1>();
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = free;
        let config = self.beside("valetkey.toml");
        fs::write(&config, self.config(free)).expect("the folder is writable");
        let mut words = wrapper.iter().copied().chain([BINARY]);
        let mut command = Command::new(words.next().unwrap_or(BINARY));
        command.args(words);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path());
        command.envs(self.setup.variables.iter().map(|(name, value)| (name, value)));
        command.arg("serve").arg("--config").arg(config).arg("--data-dir").arg(self.data());
        Daemon::start(&mut command, self.folder.path(), "daemon")
    }

    /// Ends the daemon as a power cut would.
    pub fn sigkill(&self) {
        self.daemon().take().expect("the daemon runs").kill();
    }

    /// Asks the daemon to end, and waits until it has.
    pub fn stop(&self) -> std::process::ExitStatus {
        let mut daemon = self.daemon().take().expect("the daemon runs");
        daemon.signal(Signal::TERM);
        daemon.wait(STOP_LIMIT)
    }

    /// Waits until the daemon has ended by itself.
    pub fn ended(&self, limit: Duration) -> std::process::ExitStatus {
        self.daemon().take().expect("the daemon runs").wait(limit)
    }

    /// Stops and starts again, on another port.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// The running daemon.
    pub fn daemon(&self) -> MutexGuard<'_, Option<Daemon>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the daemon logged since it was last started.
    pub fn logs(&self) -> String {
        self.daemon().as_ref().map(|daemon| daemon.stdout() + &daemon.stderr()).unwrap_or_default()
    }

    /// The ledger as it is stored, oldest first; also what belongs to no project.
    pub fn ledger(&self) -> Vec<Value> {
        let database = self.database();
        let mut statement = database.prepare("SELECT body FROM ledger ORDER BY seq").expect("the ledger is there");
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("the ledger can be read");
        rows.map(|row| serde_json::from_slice(&row.expect("a line can be read")).expect("a line is JSON")).collect()
    }

    /// The last revision: how many changes were committed.
    pub fn revision(&self) -> i64 {
        let all = "SELECT coalesce(max(revision), 0) FROM changes";
        self.database().query_row(all, [], |row| row.get(0)).expect("the feed can be read")
    }

    /// The store, to look at.
    pub fn database(&self) -> Connection {
        let path = self.data().join("valetkey.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store is there")
    }

    /// The daemon says that it serves.
    pub fn healthy(&self) -> bool {
        let ask = self.raw(None, "/grpc.health.v1.Health/Check", Vec::new());
        self.run(async { tokio::time::timeout(Duration::from_secs(10), ask).await }).is_ok_and(|answer| answer.is_ok())
    }

    fn config(&self, port: u16) -> String {
        let mut sections = self.setup.config.clone();
        sections.entry("server").or_default().push(format!("listen = \"127.0.0.1:{port}\""));
        let mut text = String::new();
        for (section, lines) in &sections {
            writeln!(text, "[{section}]\n{}", lines.join("\n")).expect("a string can be written to");
        }
        text
    }
}

impl Outcome {
    /// The command did it.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// The command ended with this code and said this on standard error.
    #[track_caller]
    pub fn fails(self, code: i32, said: &str) -> Self {
        assert_eq!(self.code, code, "{self}");
        assert!(self.stderr.contains(said), "{said:?} was not said: {self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    /// All it said.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Runs a command with this standard input.
pub fn outcome(command: &mut Command, input: &str) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    // Who refuses its arguments does not read.
    let _ = child.stdin.take().expect("standard input is a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the command can be waited for");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("killed: {}", output.status));
    Outcome { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Makes a data directory with two projects, and keeps the owners' tokens.
fn init(folder: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).expect("the folder can be made");
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder);
    command.arg("init").arg("--data-dir").arg(folder.join("data"));
    command.args(["--project", "default", "--project", "other"]);
    command.arg("--token-out").arg(folder.join("owner.token"));
    outcome(&mut command, "").ok();
    for (made, kept) in [("owner.token.default", "owner.token"), ("owner.token.other", "other-owner.token")] {
        fs::rename(folder.join(made), folder.join(kept)).expect("init wrote a token for each project");
    }
}

const START_ATTEMPTS: u32 = 3;

// Seen: well under a second. A busy two-core machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(20);

const STOP_LIMIT: Duration = Duration::from_secs(40);

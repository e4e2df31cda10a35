//! The daemon as a process: the real binary, its files, locks and signals.
//!
//! Every daemon here is ended by its test, also when the test fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods)] // real processes live in real time

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_valetkey");
/// Nothing here takes longer; a test that does has failed.
const SOON: Duration = Duration::from_secs(60);

fn valetkey(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    valetkey(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A data directory made by `init`.
struct Vault {
    folder: TempDir,
}

impl Vault {
    fn new() -> Self {
        let vault = Self { folder: tempfile::tempdir().unwrap() };
        let made = run(&["init", "--data-dir", &vault.path("data"), "--token-out", &vault.path("owner.token")]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        vault
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn serve(&self) -> Daemon {
        Daemon::start(&["serve", "--data-dir", &self.path("data"), "--listen", "127.0.0.1:0"])
    }

    fn client(&self, daemon: &Daemon, arguments: &[&str]) -> Output {
        let mut command = valetkey(arguments);
        command.env("VALETKEY_ADDR", format!("https://{}", daemon.address));
        command.env("VALETKEY_CA_CERT", self.path("data/ca.pem"));
        command.env("VALETKEY_TOKEN_FILE", self.path("owner.token"));
        command.output().unwrap()
    }
}

/// A daemon that is ready.
struct Daemon {
    child: Child,
    address: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Daemon {
    fn start(arguments: &[&str]) -> Self {
        let mut command = valetkey(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(" ready ") {
            let before = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "it ended instead: {said}");
            assert!(said.len() > before);
        }
        let address = said.split("address=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
        Self { child, address, log }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn ended(mut self) -> (ExitStatus, String) {
        let by = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < by, "it does not end");
            std::thread::yield_now();
        };
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (status, rest)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn init_makes_private_files_and_says_the_token_once_or_not_at_all() {
    let vault = Vault::new();
    for entry in std::fs::read_dir(vault.path("data")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    assert_eq!(std::fs::metadata(vault.path("data")).unwrap().permissions().mode() & 0o777, 0o700);
    let token = std::fs::read_to_string(vault.path("owner.token")).unwrap();
    assert!(token.starts_with("vk1_u_"));
    let shown = text(&run(&["init", "--data-dir", &vault.path("other")]).stdout);
    assert_eq!(shown.matches("vk1_u_").count(), 1);
    assert!(shown.contains("export VALETKEY_CA_CERT="));
}

#[test]
fn init_again_changes_nothing_and_leaves_nothing_half_done() {
    let vault = Vault::new();
    let key = std::fs::read(vault.path("data/root.key")).unwrap();
    let again = run(&["init", "--data-dir", &vault.path("data")]);
    assert!(!again.status.success() && text(&again.stderr).contains("initialised before"));
    assert_eq!(std::fs::read(vault.path("data/root.key")).unwrap(), key);
    let bad_host = run(&["init", "--data-dir", &vault.path("new"), "--host", "höst"]);
    assert!(!bad_host.status.success());
    let names: Vec<_> =
        std::fs::read_dir(vault.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn j7_a_second_daemon_is_refused_and_a_killed_one_leaves_no_lock() {
    let vault = Vault::new();
    let first = vault.serve();
    let second = run(&["serve", "--data-dir", &vault.path("data"), "--listen", "127.0.0.1:0"]);
    assert!(!second.status.success());
    let said = text(&second.stderr);
    assert!(said.contains("in use by another daemon") && said.contains(&vault.path("data")), "{said}");
    first.signal("-KILL");
    first.ended();
    let third = vault.serve();
    assert!(vault.client(&third, &["whoami"]).status.success());
}

#[test]
fn j11_sigterm_and_sigint_drain_and_end_with_success() {
    for signal in ["-TERM", "-INT"] {
        let vault = Vault::new();
        let daemon = vault.serve();
        assert!(vault.client(&daemon, &["whoami"]).status.success());
        daemon.signal(signal);
        let (status, log) = daemon.ended();
        assert!(status.success() && log.contains("stopped"), "{log}");
        let verified = run(&["audit", "verify", "--data-dir", &vault.path("data")]);
        assert!(verified.status.success() && text(&verified.stdout).contains("ledger: ok"));
    }
}

#[test]
fn j11_a_storm_of_sighup_changes_nothing() {
    let vault = Vault::new();
    let daemon = vault.serve();
    for _ in 0..50 {
        daemon.signal("-HUP");
    }
    assert!(vault.client(&daemon, &["whoami"]).status.success());
    daemon.signal("-TERM");
    assert!(daemon.ended().0.success());
}

#[test]
fn k2_a_bad_certificate_on_sighup_leaves_the_old_one_serving_with_an_alarm() {
    let vault = Vault::new();
    let mut daemon = vault.serve();
    std::fs::write(vault.path("data/server.pem"), "no certificate").unwrap();
    daemon.signal("-HUP");
    let mut said = String::new();
    while !said.contains("the old one goes on serving") {
        assert!(daemon.log.read_line(&mut said).unwrap() > 0, "{said}");
    }
    assert!(vault.client(&daemon, &["whoami"]).status.success());
}

#[test]
fn c13_e14_loose_files_stop_the_start_and_are_named() {
    let vault = Vault::new();
    let loosened = |name: &str, mode: u32| {
        let path = vault.path(name);
        let before = std::fs::metadata(&path).unwrap().permissions();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = run(&["serve", "--data-dir", &vault.path("data"), "--listen", "127.0.0.1:0"]);
        std::fs::set_permissions(&path, before).unwrap();
        assert!(!refused.status.success(), "{name}");
        let said = text(&refused.stderr);
        assert!(said.contains(&path), "{said}");
    };
    for (name, mode) in
        [("data", 0o750), ("data/root.key", 0o644), ("data/server.key", 0o640), ("data/valetkey.db", 0o644)]
    {
        loosened(name, mode);
    }
    let config = vault.path("valetkey.toml");
    std::fs::write(&config, "[server]\npassword = \"hunter2\"\n").unwrap();
    let refused = text(&run(&["serve", "--config", &config, "--data-dir", &vault.path("data")]).stderr);
    assert!(refused.contains("server.password") && !refused.contains("hunter2"), "{refused}");
}

#[test]
fn a_passphrase_opens_the_vault_and_another_does_not() {
    let vault = Vault { folder: tempfile::tempdir().unwrap() };
    let file = |name: &str, passphrase: &str| {
        let path = vault.path(name);
        std::fs::write(&path, passphrase).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (right, wrong) = (file("right", "correct horse battery\n"), file("wrong", "correct horse batteries\n"));
    let data = vault.path("data");
    let made = run(&["init", "--data-dir", &data, "--root-key", "passphrase", "--passphrase-file", &right]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(!Path::new(&vault.path("data/root.key")).exists());
    let refused = run(&["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--passphrase-file", &wrong]);
    assert!(!refused.status.success());
    let daemon = Daemon::start(&["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--passphrase-file", &right]);
    daemon.signal("-TERM");
    assert!(daemon.ended().0.success());
}

#[test]
fn serve_dev_lets_three_people_in_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = valetkey(&["serve", "--dev", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("data-scientist") {
        assert!(out.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let log = BufReader::new(child.stderr.take().unwrap());
    let daemon = Daemon { child, address: String::new(), log };
    let mut client = valetkey(&["whoami", "-o", "json"]);
    for line in said.lines().filter_map(|line| line.strip_prefix("  export ")) {
        let (name, value) = line.split_once('=').unwrap();
        client.env(name, value);
    }
    for role in ["owner", "platform-engineer", "data-scientist"] {
        let line = said.lines().find(|line| line.starts_with(&format!("#   {role} "))).unwrap();
        client.env("VALETKEY_TOKEN_FILE", line.split("VALETKEY_TOKEN_FILE=").nth(1).unwrap());
        let answer = client.output().unwrap();
        assert!(answer.status.success() && text(&answer.stdout).contains(role), "{}", text(&answer.stderr));
    }
    daemon.signal("-TERM");
    assert!(daemon.ended().0.success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_daemon_cannot_be_read_by_its_user_and_dumps_no_core() {
    let vault = Vault::new();
    let daemon = vault.serve();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}

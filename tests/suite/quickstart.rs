//! The commands of the README, as a newcomer runs them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::rig::cache;
use crate::rig::process::{Daemon, eventually};
use crate::rig::vault::{BINARY, Outcome, outcome};

#[test]
fn the_quickstart_ends_well() {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/quickstart.sh");
    let mut command = Command::new("bash");
    command.arg(script).env("VALETKEY_BIN", BINARY).env("VALETKEY_TEST_CACHE", cache::folder());
    let said = outcome(&mut command, "");
    assert_eq!(said.stdout.lines().last(), Some("quickstart: ok"), "{said}");
    assert_eq!(said.code, 0, "{said}");
    for told in ["admin/secret", "secret_access_key\": \"", "vk1_"] {
        assert!(!said.stdout.contains(told), "the script showed a secret: {said}");
    }
}

/// What a script left running; ended however the test ends.
struct Left {
    processes: Vec<String>,
}

impl Left {
    fn running(&self) -> bool {
        self.processes.iter().any(|id| !ended(id))
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for id in self.processes.iter().filter(|id| !ended(id)) {
            let _ = Command::new("kill").args(["-9", id]).status();
        }
    }
}

/// Gone, or waiting for a parent to ask: who took over the script's children
/// may be slow at that.
fn ended(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"));
    status.map_or(true, |status| status.lines().any(|line| line.starts_with("State:") && line.contains('Z')))
}

/// What a person sees who pastes these lines into a shell.
fn pasted(lines: &str) -> Outcome {
    let mut shell = Command::new("bash");
    shell.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
    outcome(shell.arg("-c").arg(format!("shopt -s expand_aliases\n{lines}")), "")
}

#[test]
fn the_quickstart_with_keep_leaves_everything_running_to_mint_with() {
    let folder = tempfile::tempdir().unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/quickstart.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg("--keep").env("VALETKEY_BIN", BINARY).env("VALETKEY_TEST_CACHE", cache::folder());
    let said = outcome(command.env("TMPDIR", folder.path()), "");
    let end = said.stdout.lines().find_map(|line| line.strip_prefix("# to end it: ")).unwrap_or_default().to_owned();
    let numbers = |word: &str| word.trim_end_matches(';').parse::<u32>().ok().map(|id| id.to_string());
    let left = Left { processes: end.split_whitespace().filter_map(numbers).collect() };
    assert_eq!((said.stdout.lines().last(), said.code), (Some("quickstart: ok"), 0), "{said}");
    assert_eq!(left.processes.len(), 2, "the vault and the cloud: {end}");
    let paste = |line: &&str| line.starts_with("export ") || line.starts_with("alias ");
    let exports: Vec<&str> = said.stdout.lines().filter(paste).collect();
    let exports = exports.join("\n");
    let who = pasted(&format!("{exports}\nvaletkey whoami -o json")).json();
    assert_eq!(who["principal"]["name"], "bob", "{who}");
    let minted = pasted(&format!("{exports}\nvaletkey mint --component artifacts -o json")).json();
    assert!(minted["issuance_id"].is_string() && minted["expires_at"].is_string(), "it mints");
    pasted(&format!("{exports}\nvaletkey mint --component artifacts --access write")).fails(3, "ACCESS");
    pasted(&format!(
        "{exports}\nVALETKEY_TOKEN_FILE=${{VALETKEY_TOKEN_FILE%bob.token}}owner.token\nvaletkey audit list"
    ))
    .ok();
    assert!(left.running());
    pasted(&end).ok();
    assert!(eventually(Duration::from_secs(40), || !left.running()), "what it left runs on after: {end}");
    let remains = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(remains, 0, "it left files");
}

#[test]
fn a_daemon_to_try_prints_what_to_paste_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).env("TMPDIR", folder.path());
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0"]);
    let mut daemon = Daemon::start(&mut command, folder.path(), "dev");
    let exports = daemon.wait_until("the exports are printed", Duration::from_secs(20), |daemon| {
        let said = daemon.stdout();
        said.contains("# Others to be").then_some(said)
    });
    let export = |name: &str| {
        let line = exports.lines().find_map(|line| line.trim().strip_prefix(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("no {name} in {exports}")).to_owned()
    };
    let mut client = Command::new(BINARY);
    client.env_clear().env("PATH", "/usr/bin:/bin");
    for name in ["VALETKEY_ADDR", "VALETKEY_CA_CERT", "VALETKEY_TOKEN_FILE"] {
        client.env(name, export(name));
    }
    outcome(client.arg("whoami"), "").ok();
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait(Duration::from_secs(20)).success());
    let gone = eventually(Duration::from_secs(20), || !PathBuf::from(export("VALETKEY_CA_CERT")).exists());
    assert!(gone, "the temporary directory was left behind");
}

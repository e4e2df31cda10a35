//! The commands of the README, as a newcomer runs them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::rig::cache;
use crate::rig::process::{Daemon, eventually};
use crate::rig::vault::{BINARY, outcome};

#[test]
fn the_quickstart_ends_well() {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/quickstart.sh");
    let mut command = Command::new("bash");
    command.arg(script).env("VALETKEY_BIN", BINARY).env("VALETKEY_TEST_CACHE", cache::folder());
    let said = outcome(&mut command, "");
    assert_eq!(said.stdout.lines().last(), Some("quickstart: ok"), "{said}");
    assert_eq!(said.code, 0, "{said}");
    for told in ["AKIA", "secret_access_key\": \""] {
        assert!(!said.stdout.contains(told), "the script showed a secret: {said}");
    }
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
    let gone = eventually(Duration::from_secs(5), || !PathBuf::from(export("VALETKEY_CA_CERT")).exists());
    assert!(gone, "the temporary directory was left behind");
}

//! SECURITY.md 2.2: keys whose memory the system does not lock are said to be swappable, at the start and by
//! `key status`; the daemon serves all the same.

use rustix::process::geteuid;

use crate::rig::vault::{Setup, Vault};

const WARNING: &str = "they can be swapped to disk";
/// Of the log and of `key status`: what to do about it.
const REMEDY: &str = "LimitMEMLOCK";

#[test]
fn keys_that_cannot_be_locked_are_said_to_be_swappable_and_locked_ones_to_be_locked() {
    let vault = Setup::new().start();
    assert!(!vault.logs().contains(WARNING), "{}", vault.logs());
    said(&vault, true, "locked: no key can be swapped");

    vault.stop();
    vault.start_under(&unlockable());
    let logs = vault.logs();
    let warnings: Vec<&str> = logs.lines().filter(|line| line.contains(WARNING)).collect();
    assert!(warnings.len() == 1 && warnings[0].contains(REMEDY) && warnings[0].contains("WARN"), "{logs}");
    let table = said(&vault, false, "NOT LOCKED");
    assert!(table.contains(REMEDY), "{table}");
}

/// What an engineer reads.
#[track_caller]
fn said(vault: &Vault, locked: bool, words: &str) -> String {
    let status = vault.cli("alice", &["key", "status", "-o", "json"]).json();
    assert_eq!(status["locked_in_memory"], locked, "{status}");
    let table = vault.cli("alice", &["key", "status"]).ok().stdout;
    assert!(table.contains(words), "{table}");
    table
}

/// A daemon that may lock nothing. Root is above the limit, unless it gives that up.
fn unlockable() -> Vec<&'static str> {
    let limit = ["sh", "-c", "ulimit -l 0 && exec \"$@\"", "sh"];
    let humbled: &[&str] = if geteuid().is_root() {
        &["setpriv", "--inh-caps", "-ipc_lock", "--bounding-set", "-ipc_lock", "--"]
    } else {
        &[]
    };
    limit.into_iter().chain(humbled.iter().copied()).collect()
}

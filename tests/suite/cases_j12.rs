//! SECURITY.md J12 and J14: a daemon without memory, and a store with a page of rubbish. It serves what is true, or ends
//! and says why; never something else.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use tonic::{Code, Status};
use valetkey::proto;

use crate::rig::cast;
use crate::rig::process::eventually;
use crate::rig::vault::{BINARY, Setup, Vault, outcome};

const UP_OR_OVER: Duration = Duration::from_secs(30);

/// Starts the daemon under a wrapper; whether it serves. One that does not has ended by itself and said why.
fn serves(vault: &Vault, wrapper: &[&str], what: &str) -> bool {
    let mut daemon = vault.launch_under(wrapper);
    assert!(eventually(UP_OR_OVER, || daemon.ended() || vault.healthy()), "{what}: neither up nor over");
    if !daemon.ended() {
        *vault.daemon() = Some(daemon);
        return true;
    }
    let status = daemon.wait(Duration::ZERO);
    let said = daemon.stdout() + &daemon.stderr();
    assert!(!status.success() && !said.trim().is_empty(), "{what}: it ended with {status} and said {said:?}");
    cast::no_canary(what, said.as_bytes());
    false
}

#[test]
fn j12_a_daemon_without_memory_ends_with_a_message_and_loses_nothing() {
    let vault = Setup::new().start();
    vault.stop();
    let least = least_to_begin();
    let (mut refused, mut kept) = (0, Vec::new());
    for more in (0..32).step_by(4) {
        let what = format!("{} MiB", least + more);
        if !serves(&vault, &["sh", "-c", &limited(least + more), "sh"], &what) {
            refused += 1;
            continue;
        }
        let name = format!("with-{more}");
        if vault.run(vault.connectors("alice").register_connector(cast::unverified(&name))).is_ok() {
            kept.push(name);
        }
        vault.stop();
    }
    assert!(refused > 0, "each was enough");
    vault.start();
    for name in kept {
        described(&vault, &name).unwrap_or_else(|status| panic!("{name} was acknowledged: {status:?}"));
    }
    vault.stop();
    let mut verify = Command::new(BINARY);
    verify.env_clear().args(["audit", "verify", "--data-dir"]).arg(vault.data());
    outcome(&mut verify, "").ok();
}

/// The memory in MiB with which the binary is loaded at all; the system ends it before that.
fn least_to_begin() -> u32 {
    let begins = |megabytes: &u32| {
        let mut version = Command::new("sh");
        version.args(["-c", &limited(*megabytes), "sh", BINARY, "--version"]);
        version.output().is_ok_and(|output| output.status.success())
    };
    (16..1024).step_by(4).find(begins).expect("a gibibyte is enough")
}

fn limited(megabytes: u32) -> String {
    format!("ulimit -v {} && exec \"$@\"", megabytes * 1024)
}

/// What there is to know of a connector.
fn described(vault: &Vault, name: &str) -> Result<proto::Connector, Status> {
    let ask = proto::DescribeConnectorRequest { connector: name.to_owned(), ..Default::default() };
    vault.run(vault.connectors("alice").describe_connector(ask)).map(|answer| answer.into_inner().connector.unwrap())
}

fn made(vault: &Vault, name: &str) -> proto::Connector {
    cast::connector(vault, cast::unverified(name));
    described(vault, name).expect("it was made")
}

#[test]
fn j14_a_page_of_rubbish_is_never_served_as_data() {
    let vault = Setup::new().start();
    let names: Vec<String> = (0..20).map(|n| format!("kept-{n}")).collect();
    let truth: BTreeMap<&String, proto::Connector> = names.iter().map(|name| (name, made(&vault, name))).collect();
    vault.stop();
    let path = vault.data().join("valetkey.db");
    let sound = fs::read(&path).unwrap();
    let (size, roots) = pages(&Connection::open(&path).unwrap());
    let (mut refused, mut served) = (0, 0);
    for (table, page) in roots {
        let mut broken = sound.clone();
        let start = (usize::try_from(page).unwrap() - 1) * size;
        // The head of the first page names the file's format; its rest is the schema.
        let from = if page == 1 { start + 100 } else { start };
        for (n, byte) in broken[from..start + size].iter_mut().enumerate() {
            *byte = u8::try_from((n * 31 + 7) % 256).unwrap();
        }
        put(&vault, &broken);
        if serves(&vault, &[], &table) {
            served += 1;
            for (name, true_one) in &truth {
                match described(&vault, name) {
                    Ok(found) => assert_eq!(&found, true_one, "{table}"),
                    Err(status) => assert_ne!(status.code(), Code::Ok, "{table}: {status:?}"),
                }
            }
            // It may have ended by itself on what it read.
            vault.sigkill();
        } else {
            refused += 1;
        }
    }
    assert!(refused > 0 && refused + served > 5, "{refused} refused, {served} served");
    put(&vault, &sound);
    vault.start();
    for (name, true_one) in &truth {
        assert_eq!(&described(&vault, name).expect("what is sound is served"), true_one);
    }
}

/// The size of pages, and the root of each table and index that callers reach.
fn pages(store: &Connection) -> (usize, Vec<(String, u32)>) {
    let size: u32 = store.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    let select = "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND tbl_name IN
        ('connectors', 'sealed_fields', 'principals', 'tokens', 'bindings', 'keks', 'ledger', 'projects', 'changes')";
    let mut statement = store.prepare(select).unwrap();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let mut roots: Vec<(String, u32)> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
    roots.push(("the schema".to_owned(), 1));
    (usize::try_from(size).unwrap(), roots)
}

/// This store and nothing beside it.
fn put(vault: &Vault, store: &[u8]) {
    for file in ["valetkey.db-wal", "valetkey.db-shm"] {
        let _ = fs::remove_file(vault.data().join(file));
    }
    fs::write(vault.data().join("valetkey.db"), store).unwrap();
}

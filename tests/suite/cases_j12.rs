//! SECURITY.md J12 and J14: a daemon without memory or without a random source, and a store with a page of rubbish. It
//! serves what is true, or ends and says why; never something else.

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

/// Runs the words under a system whose random source fails from the n-th time on that it is asked.
fn without_random(first: u32) -> [String; 7] {
    let inject = format!("inject=getrandom:error=EIO:when={first}+");
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_owned)
}

#[test]
fn j12_init_without_a_random_source_fails_with_a_message_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut refused, mut made) = (0, false);
    // The keys of a CA, of the root and of a project are drawn one after the other: each may be the one that fails.
    for first in 1..200 {
        let data = folder.path().join(format!("data-{first}"));
        let token = folder.path().join(format!("token-{first}"));
        let words = without_random(first);
        let mut init = Command::new(&words[0]);
        init.args(&words[1..]).arg(BINARY).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path());
        init.args(["init", "--data-dir"]).arg(&data).arg("--token-out").arg(&token);
        let said = outcome(&mut init, "");
        if said.code == 0 {
            made = true;
            break;
        }
        refused += 1;
        assert!(!said.stderr.trim().is_empty(), "the {first}th failed without a word: {said}");
        assert!(!data.exists() && !token.exists(), "the {first}th failed and left a vault: {said}");
    }
    assert!(refused > 0 && made, "{refused} times refused; made with enough of it: {made}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "parts of what was not made: {left:?}");
}

#[test]
fn j12_a_daemon_whose_random_source_fails_seals_nothing_and_hands_nothing_out() {
    let vault = Setup::new().start();
    made(&vault, "before");
    let sealed_before = sealed(&vault).len();
    vault.stop();
    let (mut ended, mut refused) = (0, 0);
    for first in [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96] {
        let words = without_random(first);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let what = format!("no random source from the {first}th on");
        let mut daemon = vault.launch_under(&words);
        // Where no random source is left for handshakes it is up, and nobody gets in.
        let up_or_over = eventually(UP_OR_OVER, || daemon.ended() || daemon.stderr().contains("ready"));
        assert!(up_or_over, "{what}: neither up nor over");
        if daemon.ended() {
            assert!(!daemon.stderr().trim().is_empty(), "{what}: it ended without a word");
            ended += 1;
            continue;
        }
        *vault.daemon() = Some(daemon);
        let (mut client, ask) = (vault.connectors("alice"), cast::unverified(&format!("after-{first}")));
        let answer = vault
            .run(async move { tokio::time::timeout(Duration::from_secs(20), client.register_connector(ask)).await });
        // Without a random source there is not even a handshake; with one there is a seal of its own.
        refused += usize::from(!matches!(answer, Ok(Ok(_))));
        vault.sigkill();
    }
    assert!(ended + refused > 0, "it never failed");
    vault.start();
    described(&vault, "before").expect("what was there is there");
    let records = sealed(&vault);
    assert!(records.len() >= sealed_before);
    let salts: std::collections::BTreeSet<&[u8]> = records.iter().map(|record| &record[22..54]).collect();
    assert_eq!(salts.len(), records.len(), "a salt was used twice");
    assert!(salts.iter().all(|salt| salt.iter().any(|byte| *byte != salt[0])), "a salt of one byte");
}

/// All sealed fields.
fn sealed(vault: &Vault) -> Vec<Vec<u8>> {
    let store = vault.database();
    let mut statement = store.prepare("SELECT sealed FROM sealed_fields").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
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

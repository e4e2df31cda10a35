//! SECURITY.md groups J, C and F as far as a running process shows them: second daemons, signals, keys that do not fit,
//! ledgers that were altered, floods.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tonic::Code;
use valetkey::proto;

use crate::rig::cast;
use crate::rig::process::eventually;
use crate::rig::vault::{BINARY, Outcome, Setup, Vault, outcome};
use crate::rig::wire::reason;

fn run(arguments: &[&str], vault: &Vault) -> Outcome {
    let mut command = Command::new("timeout");
    command.arg("20").arg(BINARY).args(arguments).arg("--data-dir").arg(vault.data());
    command.env_clear().env("PATH", "/usr/bin:/bin");
    outcome(&mut command, "")
}

#[test]
fn j7_a_second_daemon_is_refused_and_a_lock_dies_with_its_holder() {
    let vault = Setup::new().start();
    let second = run(&["serve", "--listen", "127.0.0.1:0"], &vault);
    assert!(second.code == 1 && second.stderr.contains("in use by another daemon"), "{second}");
    vault.cli("owner", &["whoami"]).ok();
    vault.sigkill();
    vault.start();
    vault.cli("owner", &["whoami"]).ok();
}

#[test]
fn j11_a_signal_drains_and_a_second_one_cuts() {
    let vault = Setup::new().start();
    let mut audit = vault.audit("carol");
    let watching = vault.spawn(async move {
        let mut lines = audit.tail_audit_lines(proto::TailAuditLinesRequest::default()).await?.into_inner();
        while lines.message().await?.is_some() {}
        Ok::<_, tonic::Status>(())
    });
    let pid = vault.daemon().as_ref().unwrap().id();
    for _ in 0..200 {
        vault.daemon().as_ref().unwrap().signal(Signal::HUP);
        vault.daemon().as_ref().unwrap().signal(Signal::PIPE);
    }
    vault.cli("owner", &["whoami"]).ok();
    assert_eq!(vault.daemon().as_ref().unwrap().id(), pid);
    let before = Instant::now();
    let status = vault.stop();
    assert!(status.success(), "{status}");
    assert!(before.elapsed() < Duration::from_secs(20), "an open stream held the daemon up");
    let ended = vault.run(watching).unwrap();
    assert!(ended.is_ok() || ended.is_err_and(|status| status.code() == Code::Unavailable));

    vault.start();
    let mut daemon = vault.daemon().take().unwrap();
    daemon.signal(Signal::INT);
    daemon.signal(Signal::INT);
    daemon.wait(Duration::from_secs(10));
    run(&["audit", "verify"], &vault).ok();
    vault.start();
    vault.cli("owner", &["whoami"]).ok();
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    let vault = Setup::new().start();
    for round in 0..5 {
        let name = format!("kept-{round}");
        cast::connector(&vault, cast::unverified(&name));
        vault.sigkill();
        vault.start();
        vault.cli("bob", &["connector", "describe", &name]).ok();
    }
    vault.stop();
    let said = run(&["audit", "verify"], &vault).ok();
    assert!(said.stdout.starts_with("ledger: ok\n") && said.stdout.contains("open intents: 0"), "{said}");
}

#[test]
fn c14_a_root_key_of_another_store_is_refused_and_nothing_is_written() {
    let (vault, other) = (Setup::new().start(), Setup::new().start_empty());
    cast::connector(&vault, cast::unverified("sealed"));
    vault.stop();
    let digest = |vault: &Vault| std::fs::read(vault.data().join("valetkey.db")).unwrap();
    let (key, before) = (vault.data().join("root.key"), digest(&vault));
    let own = std::fs::read(&key).unwrap();
    let mut flipped = own.clone();
    flipped[3] ^= 1;
    for wrong in
        [std::fs::read(other.data().join("root.key")).unwrap(), flipped, own[..own.len() - 1].to_vec(), Vec::new()]
    {
        std::fs::write(&key, &wrong).unwrap();
        let said = run(&["serve", "--listen", "127.0.0.1:0"], &vault);
        assert!(said.code == 1 && said.stderr.contains("key"), "{said}");
        assert!(digest(&vault) == before, "something was written");
    }
    std::fs::write(&key, &own).unwrap();
    vault.start();
    vault.cli("bob", &["connector", "describe", "sealed"]).ok();
}

#[test]
fn c15_whoever_edits_the_ledger_is_found_out_at_the_first_bad_line() {
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("noted"));
    vault.stop();
    let good = run(&["audit", "verify"], &vault).ok();
    let head = good.stdout.lines().find_map(|line| line.strip_prefix("head: ")).unwrap().to_owned();
    let database = vault.data().join("valetkey.db");
    let saved = std::fs::read(&database).unwrap();
    let unguarded = "DROP TRIGGER ledger_is_never_updated; DROP TRIGGER ledger_is_never_deleted;";
    for (edit, seq) in [
        ("UPDATE ledger SET outcome = 'failed' WHERE seq = 4", "4"),
        ("UPDATE ledger SET body = CAST(CAST(body AS TEXT) || ' ' AS BLOB) WHERE seq = 6", "6"),
        ("UPDATE ledger SET at = at + 1 WHERE seq = 5", "5"),
        ("DELETE FROM ledger WHERE seq = 7", "7"),
        ("DELETE FROM ledger WHERE seq = 1", "1"),
        (
            "UPDATE ledger SET seq = -1 WHERE seq = 5; UPDATE ledger SET seq = 5 WHERE seq = 6; UPDATE ledger SET seq = 6 WHERE seq = -1",
            "5",
        ),
        (
            "INSERT INTO ledger SELECT seq + 100, at, project, principal, connector, outcome, body, previous, hash FROM ledger WHERE seq = 5",
            "",
        ),
    ] {
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {unguarded}")).unwrap();
        connection.execute_batch(edit).unwrap_or_else(|error| panic!("{edit}: {error}"));
        drop(connection);
        let said = run(&["audit", "verify"], &vault);
        assert!(said.code == 1 && said.stderr.contains(seq), "{edit}: {said}");
        for file in ["valetkey.db-wal", "valetkey.db-shm"] {
            let _ = std::fs::remove_file(vault.data().join(file));
        }
        std::fs::write(&database, &saved).unwrap();
    }
    // A tail that was cut is seen by whoever noted the head.
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = OFF; {unguarded} DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)"
        ))
        .unwrap();
    drop(connection);
    let said = run(&["audit", "verify", "--expect-head", &head], &vault);
    assert_eq!(said.code, 1, "{said}");
}

#[test]
fn f1_silent_connections_are_bounded_and_cut_and_a_good_client_is_served() {
    let setup = Setup::new().with("server", "connections_max = 32").with("server", "handshake_timeout = \"2s\"");
    let vault = setup.with("server", "first_request_timeout = \"2s\"").start();
    let plain: Vec<_> =
        (0..200).filter_map(|_| std::net::TcpStream::connect(("127.0.0.1", vault.port())).ok()).collect();
    assert!(plain.len() > 32, "more than there are places for: {}", plain.len());
    for _ in 0..3 {
        vault.cli("bob", &["whoami"]).ok();
    }
    let mut silent = Vec::new();
    for _ in 0..20 {
        if let Ok(stream) = vault.run(vault.connect(&[b"h2"])) {
            silent.push(stream);
        }
    }
    vault.cli("bob", &["whoami"]).ok();
    let mut last = silent.pop().expect("a handshake succeeded");
    let read =
        vault.run(async { tokio::time::timeout(Duration::from_secs(20), last.read_to_end(&mut Vec::new())).await });
    assert!(read.is_ok(), "a connection that says nothing is kept");
    drop(plain);
}

#[test]
fn f5_one_principal_over_its_rate_does_not_slow_another() {
    let setup = Setup::new().with("limits", "calls_per_second = 20").with("limits", "calls_burst = 40");
    let vault = setup.start();
    let mut flooding = vault.access("bob");
    let flood = vault.spawn(async move {
        let mut throttled = Vec::new();
        for _ in 0..400 {
            if let Err(status) = flooding.who_am_i(proto::WhoAmIRequest::default()).await {
                throttled.push(status);
            }
        }
        throttled
    });
    for _ in 0..10 {
        vault.run(vault.access("alice").who_am_i(proto::WhoAmIRequest::default())).expect("alice is within her rate");
    }
    let throttled = vault.run(flood).unwrap();
    assert!(throttled.len() > 100, "{} of 400 were throttled", throttled.len());
    for status in &throttled {
        assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, "PRINCIPAL_RATE"));
    }
    assert!(eventually(Duration::from_secs(20), || vault.cli("bob", &["whoami"]).code == 0), "bob stays locked out");
    vault.stop();
    let counted: u64 = vault
        .ledger()
        .iter()
        .filter(|line| line["outcome"] == "throttled")
        .map(|line| line["count"].as_u64().unwrap_or(1))
        .sum();
    assert!(counted >= throttled.len() as u64, "{counted} in the ledger");
}

#[test]
fn f12_a_flood_of_bad_requests_fills_neither_log_nor_ledger() {
    const FLOOD: u64 = 3000;
    let vault = Setup::new().with("limits", "failed_authentications_per_minute = 1000000").start();
    let (lines, size) = (vault.ledger().len(), vault.logs().len());
    let door = vault.door_with("nonsense");
    let mut client = proto::access_service_client::AccessServiceClient::new(door);
    let told = vault.run(async move {
        let mut told = 0;
        for _ in 0..FLOOD {
            let refused = client.who_am_i(proto::WhoAmIRequest::default()).await.expect_err("nonsense is nobody");
            // Each by the gates, none by HTTP/2: it ends a connection of too many calls that it answered unread.
            assert_eq!(refused.code(), Code::Unauthenticated, "after {told}: {refused:?}");
            told += 1;
        }
        told
    });
    assert_eq!(told, FLOOD);
    let log = vault.logs();
    assert!(log.len() - size < 64 * 1024, "the log grew by {} bytes", log.len() - size);
    vault.stop();
    let ledger = vault.ledger();
    let counted: u64 =
        ledger.iter().filter(|line| line["outcome"] == "denied").map(|line| line["count"].as_u64().unwrap_or(1)).sum();
    assert!(counted >= told, "{counted} of {told} in the ledger");
    assert!((ledger.len() - lines) as u64 <= FLOOD / 2, "{} lines", ledger.len() - lines);
}

//! J: what must survive. Kills at any moment, a full disk, a disk that fails, a second daemon, and the end of the day.
//!
//! A client writes down each answer the moment it arrives; after each start the store is held against that.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tonic::Code;
use valetkey::proto;

use crate::faults::asks::{self, reaching};
use crate::faults::diary::Diary;
use crate::faults::dice::Dice;
use crate::faults::evidence::{Evidence, check_whole};
use crate::faults::load::{Load, MINTER};
use crate::faults::root;
use crate::faults::sts::{Manner, Sts};
use crate::rig::process::{Daemon, eventually, listening};
use crate::rig::vault::{BINARY, Setup, Vault, outcome};
use crate::rig::wire::{reason, refused_with};
use crate::rig::{cast, ports};

#[test]
fn j1_nothing_acknowledged_is_lost_in_200_kills() {
    let mut dice = Dice::thrown("kills");
    let dice = [dice.child(), dice.child()];
    let begun = Instant::now();
    // Two vaults at once: most of a round is waiting for a start.
    let (answers, unknown) = thread::scope(|scope| {
        let vaults = dice.map(|dice| scope.spawn(|| survive(dice, KILLS / 2)));
        vaults
            .map(|vault| vault.join().expect("a vault survives"))
            .into_iter()
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    println!("{KILLS} kills in {:?}: {answers} answers kept, {unknown} intents closed as unknown", begun.elapsed());
    assert!(answers > KILLS as usize * 5, "{answers} answers between {KILLS} kills: the load was no load");
    assert!(unknown > 0, "no kill hit an open intent: the kills were too gentle");
}

/// Kills one vault that often; how many answers there were, and how many intents nobody knows the end of.
fn survive(mut dice: Dice, kills: u32) -> (usize, u64) {
    let sts = Sts::constant();
    sts.behave(Manner::Session(CLOUD_TAKES));
    let vault = minting_vault(&sts, reaching(&sts.url()));
    let (diary, mut evidence) = (Arc::new(Diary::default()), Evidence::default());
    for round in 1..=kills {
        let load = Load::start(&vault, &diary, &sts.url());
        thread::park_timeout(dice.between(KILL_EARLIEST, KILL_LATEST));
        vault.sigkill();
        load.end(&vault);
        vault.start();
        evidence.check(&vault, &diary.open());
        if round.is_multiple_of(ROUNDS_BETWEEN_LOOKS) || round == kills {
            check_whole(&vault);
            check_seals(&vault, &diary, &mut dice);
        }
    }
    let answers = diary.open().total();
    (answers, evidence.unknown)
}

/// A few of the promised connectors are served by the daemon, and their secrets open.
fn check_seals(vault: &Vault, diary: &Diary, dice: &mut Dice) {
    let names: Vec<String> = diary.open().names.values().cloned().collect();
    let mut credentials = vault.credentials("bob");
    for _ in 0..SEALS_OPENED {
        let name = &names[dice.below(names.len() as u64) as usize];
        let minted = vault.run(credentials.mint_credential(asks::bucket(name, "datasets")));
        minted.unwrap_or_else(|error| panic!("{name} was acknowledged and does not mint: {error:?}"));
    }
}

/// A vault with its people and the connector of the minters.
fn minting_vault(sts: &Sts, setup: Setup) -> Vault {
    let vault = setup.start();
    cast::connector(&vault, asks::role_connector(MINTER, &sts.url(), KEY));
    vault
}

#[test]
#[should_panic(expected = "is lost")]
fn a_lost_connector_would_be_noticed() {
    let vault = Setup::new().start();
    let diary = Diary::default();
    let made = cast::connector(&vault, cast::unverified("lost"));
    diary.open().connector(&made);
    Evidence::default().check(&vault, &diary.open());
    let delete = proto::DeleteConnectorRequest { connector: made.id, ..Default::default() };
    vault.run(vault.connectors("alice").delete_connector(delete)).expect("it is deleted");
    Evidence::default().check(&vault, &diary.open());
}

#[test]
#[should_panic(expected = "was received 2 times, 1 were written")]
fn a_hand_out_without_its_line_would_be_noticed() {
    let sts = Sts::constant();
    let vault = minting_vault(&sts, reaching(&sts.url()));
    let minted = vault.run(vault.credentials("bob").mint_credential(asks::bucket(MINTER, "datasets")));
    let issuance = minted.expect("it mints").into_inner().credential.expect("it is in the reply").issuance_id;
    let diary = Diary::default();
    diary.open().hand_outs.insert(issuance.clone(), 1);
    Evidence::default().check(&vault, &diary.open());
    diary.open().hand_outs.insert(issuance, 2);
    Evidence::default().check(&vault, &diary.open());
}

#[test]
fn j5_a_full_disk_stops_what_is_sensitive_and_nothing_else_and_passes() {
    let disk = SmallDisk::mount("24m");
    let sts = Sts::constant();
    let vault = minting_vault(&sts, reaching(&sts.url()).inside(disk.path()));
    let (diary, mut evidence) = (Arc::new(Diary::default()), Evidence::default());
    let mut clients =
        (vault.connectors("alice"), vault.credentials("bob"), vault.audit("carol"), vault.access("owner"));
    let first = cast::connector(&vault, asks::role_connector("before", &sts.url(), KEY));
    diary.open().connector(&first);
    let token = cast::token(&vault, "owner", "stranger", 0).token.expect("the reply has the token");
    let minted = vault.run(clients.1.mint_credential(asks::bucket(MINTER, "models"))).expect("it mints");
    let issuance = minted.into_inner().credential.expect("the reply has the credential").issuance_id;
    diary.open().hand_outs.insert(issuance.clone(), 1);
    let sessions = sts.sessions();

    let balloon = disk.fill();
    let register = |clients: &mut (proto::connector_service_client::ConnectorServiceClient<_>, _, _, _), name: &str| {
        vault.run(clients.0.register_connector(asks::role_connector(name, &sts.url(), KEY)))
    };
    // What is free in pages that exist already may take a few more.
    let refused = (0..10_000).find_map(|n| match register(&mut clients, &format!("filling-{n}")) {
        Ok(reply) => {
            diary.open().connector(reply.get_ref().connector.as_ref().expect("the reply has the connector"));
            None
        }
        Err(status) => Some(status),
    });
    assert_eq!(refused.expect("the disk is full").code(), Code::Unavailable);
    for _ in 0..3 {
        let minted = vault.run(clients.1.mint_credential(asks::bucket(MINTER, "datasets")));
        refused_with(minted, Code::Unavailable);
        assert_eq!(register(&mut clients, "more").expect_err("still full").code(), Code::Unavailable);
    }
    assert_eq!(sts.sessions(), sessions, "the cloud was asked without a durable intent");
    let lines = vault.run(clients.2.list_audit_lines(proto::ListAuditLinesRequest::default()));
    assert!(!lines.expect("the ledger can be read").into_inner().lines.is_empty());
    assert!(vault.healthy(), "health goes on");
    let revoke = proto::RevokeTokenRequest { token: token.id.clone(), ..Default::default() };
    vault.run(clients.3.revoke_token(revoke)).expect("a token is revoked on a full disk");
    diary.open().revoked.insert(token.id);
    take_away_on_a_full_disk(&vault, &issuance);

    fs::remove_file(balloon).expect("the balloon can be removed");
    let mut last = None;
    let back = eventually(Duration::from_secs(10), || match register(&mut clients, "after") {
        Ok(reply) => {
            last = reply.into_inner().connector;
            true
        }
        Err(_) => false,
    });
    assert!(back, "space is back, writes are not:\n{}", vault.logs());
    diary.open().connector(&last.expect("the reply has the connector"));
    let counted = || vault.ledger().iter().any(|line| line["method"] == "/valetkey.v1.AccessService/ListBindings");
    assert!(eventually(Duration::from_secs(10), counted), "what was read meanwhile is in the ledger");
    cast::bind(&vault, "owner", cast::binding("bob", "data-scientist"));
    vault.run(clients.1.mint_credential(asks::bucket(MINTER, "datasets"))).expect("it mints again");
    vault.sigkill();
    vault.start();
    evidence.check(&vault, &diary.open());
    check_whole(&vault);
    assert!(vault.ledger().iter().any(|line| line["reason"] == "DISK_FULL"), "the ledger says that the disk was full");
}

/// Finds a binding and takes it away; revokes an issuance, by itself and with all of its connector.
fn take_away_on_a_full_disk(vault: &Vault, issuance: &str) {
    let ask = proto::ListIssuancesRequest { connector: MINTER.to_owned(), ..Default::default() };
    let found = vault.run(vault.credentials("owner").list_issuances(ask)).expect("issuances are listed").into_inner();
    assert!(found.issuances.iter().any(|one| one.id == issuance), "{found:?}");
    let ask = proto::RevokeIssuancesRequest { issuances: vec![issuance.to_owned()], ..Default::default() };
    let revoked = vault.run(vault.credentials("owner").revoke_issuances(ask)).expect("an issuance is revoked");
    assert_eq!(revoked.into_inner().results.len(), 1);
    let ask = proto::RevokeIssuancesRequest { connector: MINTER.to_owned(), ..Default::default() };
    let left = vault.run(vault.credentials("owner").revoke_issuances(ask)).map(|answer| answer.into_inner().results);
    assert_eq!(
        reason(&refused_with(left, Code::Unavailable)),
        "STORE_UNWRITABLE",
        "there is nothing left to take away"
    );
    let ask = proto::ListBindingsRequest { principal: "bob".to_owned(), ..Default::default() };
    let held = vault.run(vault.access("owner").list_bindings(ask)).expect("bindings are listed").into_inner().bindings;
    let ask = proto::ListTokensRequest { principal: "bob".to_owned(), ..Default::default() };
    vault.run(vault.access("owner").list_tokens(ask)).expect("tokens are listed");
    vault.run(vault.access("owner").list_principals(proto::ListPrincipalsRequest::default())).expect("and people");
    let ask = proto::DeleteBindingRequest { binding: held[0].id.clone(), ..Default::default() };
    vault.run(vault.access("owner").delete_binding(ask)).expect("a binding is taken away");
    let answer = vault.run(vault.credentials("bob").mint_credential(asks::bucket(MINTER, "datasets")));
    // It holds nothing any more; and a refusal that has no line is none that could be told.
    assert_eq!(reason(&refused_with(answer, Code::Unavailable)), "STORE_UNWRITABLE");
}

#[test]
fn j5_a_full_disk_is_no_reason_not_to_start() {
    let disk = SmallDisk::mount("24m");
    let sts = Sts::constant();
    let vault = minting_vault(&sts, reaching(&sts.url()).inside(disk.path()));
    let token = cast::token(&vault, "owner", "stranger", 0).token.expect("the reply has the token");
    let balloon = disk.fill();
    vault.sigkill();
    for _ in 0..3 {
        // Whatever the last start gave back is taken by somebody else.
        disk.fill();
        vault.start();
        refused_with(
            vault.run(vault.credentials("bob").mint_credential(asks::bucket(MINTER, "datasets"))),
            Code::Unavailable,
        );
        vault.run(vault.audit("carol").list_audit_lines(proto::ListAuditLinesRequest::default())).expect("it reads");
        vault.sigkill();
    }
    // Less room than the reserve: enough for what takes power away, for nothing else.
    let file = fs::File::options().write(true).open(&balloon).expect("the balloon is ours");
    let length = file.metadata().expect("it has a length").len();
    file.set_len(length - (1 << 20)).expect("it can be cut");
    drop(file);
    vault.start();
    refused_with(
        vault.run(vault.credentials("bob").mint_credential(asks::bucket(MINTER, "datasets"))),
        Code::Unavailable,
    );
    let revoke = proto::RevokeTokenRequest { token: token.id, ..Default::default() };
    let revoked = vault.run(vault.access("owner").revoke_token(revoke));
    assert!(revoked.is_ok(), "{revoked:?}:\n{}", vault.logs());
    let starts = || vault.ledger().iter().filter(|line| line["method"] == "daemon/start").count();
    let before = starts();
    fs::remove_file(balloon).expect("the balloon can be removed");
    let written = eventually(Duration::from_secs(10), || starts() == before + 1);
    assert!(written, "the start is written when there is room: {before} before, {} now", starts());
    vault.run(vault.credentials("bob").mint_credential(asks::bucket(MINTER, "datasets"))).expect("it mints");
    check_whole(&vault);
}

#[test]
fn a_failed_sync_or_write_ends_the_daemon_at_once_and_loses_nothing() {
    let sts = Sts::constant();
    let vault = minting_vault(&sts, reaching(&sts.url()));
    let (diary, mut evidence) = (Arc::new(Diary::default()), Evidence::default());
    for (calls, nth) in [("fsync,fdatasync", 12), ("pwrite64", 90), ("fsync,fdatasync", 31), ("pwrite64", 400)] {
        vault.stop();
        let trace = vault.beside("strace.txt");
        let trace = trace.to_str().expect("the path is UTF-8");
        // Counted for each thread; only the writer's are this many.
        let inject = format!("inject={calls}:error=EIO:when={nth}");
        let only = format!("trace={calls}");
        vault.start_under(&["strace", "-f", "--seccomp-bpf", "-qq", "-o", trace, "-e", &only, "-e", &inject]);
        let load = Load::start(&vault, &diary, &sts.url());
        let injected = || fs::read_to_string(trace).is_ok_and(|lines| lines.contains("INJECTED"));
        assert!(eventually(Duration::from_secs(30), injected), "the load makes it {calls} {nth} times");
        let status = vault.ended(PROMPTLY);
        load.end(&vault);
        assert!(status.code().is_some_and(|code| code != 0), "it ended with {status} after a failed {calls}");
        vault.start();
        evidence.check(&vault, &diary.open());
    }
    check_whole(&vault);
    assert!(diary.open().total() > 10, "the load was no load");
}

#[test]
fn a_log_that_cannot_be_written_does_not_stop_the_daemon() {
    let sts = Sts::constant();
    let vault = minting_vault(&sts, reaching(&sts.url()).with("log", "level = \"trace\""));
    vault.stop();
    vault.start_under(&["sh", "-c", "exec \"$@\" >/dev/full 2>/dev/full", "sh"]);
    sts.behave(Manner::Down);
    refused_with(
        vault.run(vault.credentials("bob").mint_credential(asks::bucket(MINTER, "models"))),
        Code::Unavailable,
    );
    signal(&vault, Signal::HUP);
    sts.behave(Manner::Session(Duration::ZERO));
    vault.run(vault.credentials("bob").mint_credential(asks::bucket(MINTER, "datasets"))).expect("it mints");
    assert!(vault.stop().success());
}

#[test]
fn j7_a_second_daemon_is_refused_and_the_lock_of_a_killed_one_is_not_in_the_way() {
    let vault = Setup::new().start_empty();
    let [port] = ports::free();
    let mut second = Command::new(BINARY);
    second.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", vault.beside("home"));
    second.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(vault.data());
    let refused = outcome(&mut second, "");
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.stderr.contains("use"), "it says that the store is in use: {refused}");
    assert!(!listening(port));
    assert!(vault.healthy(), "the first one goes on");
    vault.sigkill();
    vault.start();
    vault.cli("owner", &["whoami"]).ok();
}

#[test]
fn j11_sigterm_lets_calls_end_and_takes_no_new_ones() {
    let sts = Sts::constant();
    let vault = minting_vault(&sts, reaching(&sts.url()));
    sts.behave(Manner::Session(Duration::from_secs(6)));
    let mut credentials = vault.credentials("bob");
    let call = vault.spawn(async move { credentials.mint_credential(asks::bucket(MINTER, "datasets")).await });
    assert!(eventually(Duration::from_secs(10), || sts.sessions() == 1), "the call is under way");
    let port = vault.port();
    signal(&vault, Signal::TERM);
    assert!(eventually(Duration::from_secs(5), || !listening(port)), "no new connections");
    let minted = vault.run(call).expect("the client does not panic").expect("the call that was under way is answered");
    assert!(minted.into_inner().credential.is_some());
    let status = vault.ended(Duration::from_secs(10));
    assert!(status.success(), "{status}");
    vault.start();
    check_whole(&vault);
}

#[test]
fn j11_a_second_sigint_ends_it_at_once() {
    let sts = Sts::constant();
    let vault = minting_vault(&sts, reaching(&sts.url()));
    sts.behave(Manner::Session(Duration::from_secs(8)));
    let mut credentials = vault.credentials("bob");
    let call = vault.spawn(async move { credentials.mint_credential(asks::bucket(MINTER, "datasets")).await });
    assert!(eventually(Duration::from_secs(10), || sts.sessions() == 1), "the call is under way");
    let port = vault.port();
    signal(&vault, Signal::INT);
    assert!(eventually(Duration::from_secs(3), || !listening(port)), "it drains");
    let begun = Instant::now();
    signal(&vault, Signal::INT);
    // Long before the cloud answers, which is what it would drain for.
    vault.ended(Duration::from_secs(4));
    assert!(begun.elapsed() < Duration::from_secs(4));
    let cut = refused_with(vault.run(call).expect("the client does not panic"), Code::Unknown);
    assert_eq!(cut.message(), "transport error", "the call is cut off");
    vault.start();
    Evidence::default().check(&vault, &Diary::default().open());
    check_whole(&vault);
}

#[test]
fn j11_a_storm_of_sighups_changes_nothing() {
    let vault = Setup::new().start_empty();
    for _ in 0..200 {
        signal(&vault, Signal::HUP);
    }
    assert!(vault.healthy(), "{}", vault.logs());
    assert!(vault.stop().success());
}

fn signal(vault: &Vault, signal: Signal) {
    vault.daemon().as_ref().map(|daemon: &Daemon| daemon.signal(signal)).expect("the daemon runs");
}

/// A file system of its own, in memory; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let owner = rustix::process::getuid().as_raw();
        let options = format!("size={size},mode=0700,uid={owner}");
        root::run(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs"], folder.path());
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is; the file to remove to give it back.
    fn fill(&self) -> std::path::PathBuf {
        use std::io::Write as _;
        let path = self.path().join("balloon");
        let mut file = fs::File::options().create(true).append(true).open(&path).expect("a file can be made");
        let block = [0x5a; 4096];
        while file.write_all(&block).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the vault's files may still be open when a test fails.
        root::run(&["umount", "--lazy"], self.path());
    }
}

const KEY: [&[u8]; 2] = [b"AKIACRASH00000000001", b"crash/secret+crash/secret+crash/secret+c"];
// strace alone takes most of it on a busy machine.
const PROMPTLY: Duration = Duration::from_secs(5);
const KILLS: u32 = 200;
const ROUNDS_BETWEEN_LOOKS: u32 = 20;
const SEALS_OPENED: u32 = 5;
const KILL_EARLIEST: Duration = Duration::from_millis(20);
const KILL_LATEST: Duration = Duration::from_millis(600);
// Long enough that kills hit open intents.
const CLOUD_TAKES: Duration = Duration::from_millis(10);

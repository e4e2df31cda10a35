//! SECURITY.md I4, I7 and I8: one connector rotated, read, minted from and deleted at once; limits that are run into at
//! once; a role taken away while a stream is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::{Connection, params};
use tonic::{Code, Status};
use valetkey::proto;
use valetkey::proto::access_service_client::AccessServiceClient;
use valetkey::store::limits;

use crate::faults::asks;
use crate::faults::sts::Sts;
use crate::rig::cast;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{Door, reason, refused_with};

const RACED: &str = "raced";
const ROTATIONS: u32 = 12;
const READERS: u32 = 4;
/// Few scopes, so that the cache is part of it.
const SCOPES: u32 = 3;

/// The key of a version of the secret.
fn key(version: u32) -> (String, String) {
    (format!("AKIAVERSION{version:09}"), format!("{version:04}/secret+{version:04}/secret+{version:04}/secret+xx"))
}

fn fields(version: u32) -> Vec<proto::SecretField> {
    let (id, secret) = key(version);
    asks::key_fields([id.as_bytes(), secret.as_bytes()])
}

/// What readers saw: fingerprints by version of the secret.
type Seen = BTreeMap<u64, BTreeSet<String>>;

#[test]
fn i4_rotate_read_mint_and_delete_at_once_never_mix_versions_nor_use_what_is_gone() {
    let sts = Sts::constant();
    let vault = asks::reaching(&sts.url()).start();
    let ask = asks::role_connector(RACED, &sts.url(), [b"AKIAVERSION000000001", key(1).1.as_bytes()]);
    cast::connector(&vault, ask);
    let rotated = Arc::new(AtomicU32::new(1));
    let readers: Vec<_> =
        (0..READERS).map(|_| vault.spawn(read(vault.connectors("alice"), Arc::clone(&rotated)))).collect();
    let minters: Vec<_> =
        (0..READERS).map(|n| vault.spawn(mint(vault.credentials("bob"), Arc::clone(&rotated), n))).collect();

    let mut known = Seen::new();
    for version in 2..=ROTATIONS {
        let (connector, secrets) = (RACED.to_owned(), fields(version));
        let ask = proto::RotateConnectorSecretRequest { connector, secrets, skip_verify: true, ..Default::default() };
        let made = vault.run(vault.connectors("alice").rotate_connector_secret(ask)).expect("it is rotated");
        let made = made.into_inner().connector.unwrap();
        assert_eq!(made.secret_version, u64::from(version));
        known.entry(made.secret_version).or_default().insert(made.secret_fingerprint);
        rotated.store(version, Ordering::SeqCst);
        // What is asked for after the answer is signed with the new key, and not the one of before.
        let bucket = format!("after-{version}");
        vault.run(vault.credentials("bob").mint_credential(asks::bucket(RACED, &bucket))).expect("it mints");
        assert_eq!(sts.signers_of(&bucket), BTreeSet::from([key(version).0]));
    }
    rotated.store(u32::MAX, Ordering::SeqCst);
    let ask = proto::DeleteConnectorRequest { connector: RACED.to_owned(), ..Default::default() };
    vault.run(vault.connectors("alice").delete_connector(ask)).expect("it is deleted");

    for reader in readers {
        for (version, fingerprints) in vault.run(reader).expect("no reader panics") {
            known.entry(version).or_default().extend(fingerprints);
        }
    }
    for minter in minters {
        vault.run(minter).expect("no minter panics");
    }
    assert!(known.values().all(|fingerprints| fingerprints.len() == 1), "a version had two secrets: {known:?}");
    let of_all: BTreeSet<&String> = known.values().flatten().collect();
    assert_eq!(of_all.len(), known.len(), "two versions had one secret: {known:?}");

    let asked = sts.asked();
    refused_with(vault.run(vault.credentials("bob").mint_credential(asks::bucket(RACED, "late"))), Code::NotFound);
    assert_eq!(sts.asked(), asked, "what is gone is used");
    let again = asks::role_connector(RACED, &sts.url(), [b"AKIAVERSION000000999", key(999).1.as_bytes()]);
    cast::connector(&vault, again);
    vault.run(vault.credentials("bob").mint_credential(asks::bucket(RACED, "again"))).expect("the new one mints");
    assert_eq!(sts.signers_of("again"), BTreeSet::from([key(999).0]), "the new one of that name has its own secret");
}

/// Reads until it is gone: versions only grow.
async fn read(
    mut client: proto::connector_service_client::ConnectorServiceClient<Door>,
    rotated: Arc<AtomicU32>,
) -> Seen {
    let (mut seen, mut last) = (Seen::new(), 0);
    loop {
        let acknowledged = rotated.load(Ordering::SeqCst);
        let ask = proto::DescribeConnectorRequest { connector: RACED.to_owned(), ..Default::default() };
        let connector = match client.describe_connector(ask).await {
            Ok(answer) => answer.into_inner().connector.unwrap(),
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status:?}");
                return seen;
            }
        };
        assert!(connector.secret_version >= last, "{} after {last}", connector.secret_version);
        let due = if acknowledged == u32::MAX { ROTATIONS } else { acknowledged };
        assert!(connector.secret_version >= u64::from(due), "{} though {due} was told", connector.secret_version);
        last = connector.secret_version;
        seen.entry(last).or_default().insert(connector.secret_fingerprint);
    }
}

/// Mints until it is gone: what a change overtook is told so, and nothing else goes wrong.
async fn mint(
    mut client: proto::credential_service_client::CredentialServiceClient<Door>,
    rotated: Arc<AtomicU32>,
    minter: u32,
) {
    for n in 0.. {
        let over = rotated.load(Ordering::SeqCst) == u32::MAX;
        let ask = asks::bucket(RACED, &format!("minter-{minter}-{}", n % SCOPES));
        match client.mint_credential(ask).await {
            Ok(_) => {}
            Err(status) if status.code() == Code::NotFound => {
                assert!(over || rotated.load(Ordering::SeqCst) == u32::MAX, "gone before it was deleted");
                return;
            }
            Err(status) => {
                let overtaken = matches!(status.code(), Code::Aborted | Code::Unavailable | Code::FailedPrecondition);
                assert!(overtaken, "{status:?}");
            }
        }
    }
}

/// So many said yes; all others were told that there are too many.
#[track_caller]
fn just(taken: usize, what: &str, answers: Vec<Result<(), Status>>) {
    let refused: Vec<&Status> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    for status in &refused {
        assert_eq!(
            (status.code(), reason(status).as_str()),
            (Code::ResourceExhausted, "TOO_MANY"),
            "{what}: {status:?}"
        );
    }
    assert_eq!(answers.len() - refused.len(), taken, "{what}");
}

/// Runs all at once.
fn at_once<C>(vault: &Vault, calls: impl Iterator<Item = C>) -> Vec<Result<(), Status>>
where
    C: Future<Output = Result<(), Status>> + Send + 'static,
{
    let tasks: Vec<_> = calls.map(|call| vault.spawn(call)).collect();
    tasks.into_iter().map(|task| vault.run(task).expect("no call panics")).collect()
}

#[test]
fn i7_tokens_and_bindings_at_once_stop_at_their_limits() {
    let vault = Setup::new().start();
    cast::principal(&vault, "owner", "hoarder", proto::PrincipalKind::User);
    let clients: Vec<AccessServiceClient<Door>> = (0..CONNECTIONS).map(|_| vault.access("owner")).collect();
    // One is there from the start.
    let tokens = (0..64).map(|n: usize| {
        let mut client = clients[n % CONNECTIONS].clone();
        let ask =
            proto::CreateTokenRequest { principal: "hoarder".to_owned(), ttl_seconds: 3600, ..Default::default() };
        async move { client.create_token(ask).await.map(drop) }
    });
    just(TOKENS_MAX - 1, "tokens", at_once(&vault, tokens));
    let ask = proto::ListTokensRequest { principal: "hoarder".to_owned(), ..Default::default() };
    let listed = vault.run(vault.access("owner").list_tokens(ask)).unwrap().into_inner().tokens;
    assert_eq!(listed.len(), TOKENS_MAX);

    let bindings = (0..BINDINGS_MAX + 200).map(|n| {
        let mut client = clients[n % CONNECTIONS].clone();
        async move { client.create_binding(cast::binding("hoarder", "auditor")).await.map(drop) }
    });
    just(BINDINGS_MAX, "bindings", at_once(&vault, bindings));
    let count = "SELECT count(*) FROM bindings WHERE principal = (SELECT id FROM principals WHERE name = 'hoarder')";
    let stored: u32 = vault.database().query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, limits::BINDINGS_MAX);
}

#[test]
fn i7_records_registered_at_once_stop_at_the_limit_of_the_project() {
    const ROOM: u32 = 5;
    let vault = Setup::new().start();
    cast::connector(&vault, cast::unverified("first"));
    // A million records are not made here: the counter says that all but a few are there.
    vault.stop();
    let store = Connection::open(vault.data().join("valetkey.db")).unwrap();
    let nouns: BTreeSet<String> = {
        let mut nouns = store.prepare("SELECT DISTINCT noun FROM record_counts WHERE noun LIKE 'connector%'").unwrap();
        nouns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(nouns.len(), 1, "{nouns:?}");
    let filled = "UPDATE record_counts SET records = ? WHERE noun = ?";
    for noun in &nouns {
        assert_eq!(store.execute(filled, params![limits::RECORDS_MAX - ROOM, noun]), Ok(1));
    }
    drop(store);
    vault.start();
    let registrations = (0..40).map(|n: u32| {
        let mut client = vault.connectors("alice");
        async move { client.register_connector(cast::unverified(&format!("more-{n}"))).await.map(drop) }
    });
    just(ROOM as usize, "connectors", at_once(&vault, registrations));
    let stored: u32 = vault.database().query_row("SELECT count(*) FROM connectors", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, ROOM + 1);
    // One that goes makes room for one.
    let ask = proto::DeleteConnectorRequest { connector: "first".to_owned(), ..Default::default() };
    vault.run(vault.connectors("alice").delete_connector(ask)).expect("it is deleted");
    let registrations = (0..4).map(|n: u32| {
        let mut client = vault.connectors("alice");
        async move { client.register_connector(cast::unverified(&format!("last-{n}"))).await.map(drop) }
    });
    just(1, "connectors after a deletion", at_once(&vault, registrations));
}

#[test]
fn i8_a_stream_of_the_ledger_shows_nothing_from_after_the_role_was_taken() {
    let vault = Setup::new().start();
    let mut stream = vault
        .run(vault.audit("carol").tail_audit_lines(proto::TailAuditLinesRequest::default()))
        .expect("an auditor follows the ledger")
        .into_inner();
    cast::connector(&vault, cast::unverified("before"));
    let ask = proto::ListBindingsRequest { principal: "carol".to_owned(), ..Default::default() };
    let held = vault.run(vault.access("owner").list_bindings(ask)).unwrap().into_inner().bindings;
    let ask = proto::DeleteBindingRequest { binding: held[0].id.clone(), ..Default::default() };
    vault.run(vault.access("owner").delete_binding(ask)).expect("an owner takes roles");
    let after = cast::connector(&vault, cast::unverified("after")).id;
    // Lines from before may still arrive; the end is a refusal.
    let status = loop {
        match vault.run(stream.message()) {
            Ok(Some(answer)) => assert!(!format!("{answer:?}").contains(&after), "a line from after: {answer:?}"),
            Ok(None) => panic!("it ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
}

const TOKENS_MAX: usize = limits::TOKENS_MAX as usize;
const BINDINGS_MAX: usize = limits::BINDINGS_MAX as usize;
// Fewer than a connection's streams would allow: the daemon bounds those, too.
const CONNECTIONS: usize = 12;

//! SECURITY.md C1 and C2 for the records themselves, through the real daemon: a connector that is put back as it was
//! before a rotation, and role bindings that nobody gave, decide nothing.

use rusqlite::{Connection, params};
use tonic::Code;
use valetkey::proto;

use crate::faults::asks;
use crate::faults::sts::Sts;
use crate::rig::cast;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{reason, refused_with};

/// The tables that a rotation changes, besides the ledger.
const ROTATED: [&str; 5] = ["connectors", "sealed_fields", "record_seals", "seal_head", "changes"];
const NEW_KEY: [(&str, &str); 2] = [
    ("aws_access_key_id", "AKIANEWNEWNEW0000001"),
    ("aws_secret_access_key", "new/secret+new/secret+new/secret+new/sec"),
];

fn store(vault: &Vault) -> Connection {
    let store = Connection::open(vault.data().join("valetkey.db")).unwrap();
    store.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    store
}

fn vault_at(cloud: &Sts) -> Vault {
    let vault = Setup::new().reaching(&[&cloud.url()]).start();
    let key = [cast::CANARY_ID.as_bytes(), cast::CANARY.as_bytes()];
    for name in ["data", "neighbour"] {
        cast::connector(&vault, asks::role_connector(name, &cloud.url(), key));
    }
    vault
}

fn rotate(vault: &Vault) {
    let secrets = NEW_KEY.map(|(name, value)| proto::SecretField { name: name.to_owned(), value: value.into() });
    let ask = proto::RotateConnectorSecretRequest {
        connector: "data".to_owned(),
        secrets: secrets.into(),
        skip_verify: true,
        ..Default::default()
    };
    vault.run(vault.connectors("alice").rotate_connector_secret(ask)).expect("an engineer rotates");
}

/// Copies the tables into the store itself, or brings them back.
fn keep(store: &Connection, tables: &[&str]) {
    for table in tables {
        store.execute(&format!("ATTACH ? AS kept_{table}"), [""]).unwrap();
        store.execute_batch(&format!("CREATE TABLE kept_{table}.kept AS SELECT * FROM main.{table}")).unwrap();
    }
}

fn put_back(store: &Connection, tables: &[&str]) {
    for table in tables {
        store.execute_batch(&format!("DELETE FROM {table}")).unwrap();
    }
    for table in tables {
        store.execute_batch(&format!("INSERT INTO {table} SELECT * FROM kept_{table}.kept")).unwrap();
    }
}

fn mint(vault: &Vault, connector: &str) -> Result<(), tonic::Status> {
    vault.run(vault.credentials("bob").mint_credential(asks::bucket(connector, "models"))).map(drop)
}

/// What only an owner may.
fn befriend(vault: &Vault) -> Result<(), tonic::Status> {
    let kind = proto::PrincipalKind::User.into();
    let ask = proto::CreatePrincipalRequest { name: "friend".to_owned(), kind, ..Default::default() };
    vault.run(vault.access("bob").create_principal(ask)).map(drop)
}

#[test]
fn c2_a_connector_put_back_as_it_was_before_a_rotation_brings_no_retired_key_back() {
    let cloud = Sts::constant();
    let vault = vault_at(&cloud);
    mint(&vault, "data").unwrap();
    vault.stop();
    let kept = store(&vault);
    keep(&kept, &ROTATED);
    vault.start();
    rotate(&vault);
    mint(&vault, "data").unwrap();
    vault.stop();
    // The row with its sealed fields: it does not fit its seal.
    put_back(&kept, &["connectors", "sealed_fields"]);
    vault.start();
    let asked = cloud.asked();
    let status = refused_with(mint(&vault, "data"), Code::DataLoss);
    assert_eq!((reason(&status).as_str(), cloud.asked()), ("DATA_LOSS", asked));
    mint(&vault, "neighbour").expect("its neighbour is what it was");
    vault.stop();
    // With all seals, their head and the feed, as one moment had them: the ledger knows better.
    put_back(&kept, &ROTATED);
    let mut daemon = vault.launch();
    let status = daemon.wait(std::time::Duration::from_secs(20));
    let said = daemon.stderr() + &daemon.stdout();
    assert!(!status.success() && said.contains("the ledger tells of changes that are not there"), "{said}");
}

#[test]
fn c1_a_role_that_nobody_gave_decides_nothing() {
    let cloud = Sts::constant();
    let vault = vault_at(&cloud);
    let edits = [
        (
            "another role",
            "UPDATE bindings SET body = replace(body, '\"data-scientist\"', '\"owner\"') WHERE principal = ?1",
        ),
        ("somebody else's", "UPDATE bindings SET principal = ?1 WHERE owner = 1"),
        (
            "made up under the id of the owner's own",
            "INSERT INTO bindings SELECT randomblob(16), project, ?1, connector, component, owner, expires_at, \
             created_at, replace(body, json_extract(body, '$.principal'), (SELECT json_extract(body, '$.id') FROM \
             principals WHERE id = ?1)) FROM bindings WHERE owner = 1 AND project = (SELECT project FROM principals \
             WHERE id = ?1)",
        ),
        (
            "made up",
            "INSERT INTO bindings SELECT randomblob(16), project, ?1, connector, component, owner, expires_at, \
             created_at, body FROM bindings WHERE owner = 1 AND project = (SELECT project FROM principals WHERE id = ?1)",
        ),
    ];
    for (what, edit) in edits {
        vault.stop();
        let store = store(&vault);
        keep(&store, &["bindings"]);
        let bob: Vec<u8> =
            store.query_row("SELECT id FROM principals WHERE name = 'bob'", [], |row| row.get(0)).unwrap();
        let edited = store.execute(edit, params![bob]).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(edited > 0, "{what}");
        vault.start();
        // What was altered decides nothing at all, nor does what stands beside it.
        for answer in [befriend(&vault), mint(&vault, "data")] {
            assert_eq!(reason(&refused_with(answer, Code::DataLoss)), "DATA_LOSS", "{what}");
        }
        vault.run(vault.connectors("alice").list_connectors(proto::ListConnectorsRequest::default())).unwrap();
        vault.stop();
        put_back(&store, &["bindings"]);
        drop(store);
        vault.start();
        mint(&vault, "data").unwrap_or_else(|status| panic!("{what}, taken back: {status:?}"));
    }
}

/// A store without seals and ledger looks like one of a release that made no seals. A person says which it is.
#[test]
fn c1_a_store_whose_seals_and_ledger_are_gone_is_served_on_somebodys_word_only() {
    let vault = Setup::new().start();
    vault.stop();
    let database = store(&vault);
    let triggers: Vec<(String, String)> = {
        let mut triggers = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        let found = triggers.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        found.map(Result::unwrap).collect()
    };
    triggers.iter().for_each(|(name, _)| database.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    for table in ["ledger", "ledger_blocks", "open_intents", "record_seals", "seal_head"] {
        database.execute_batch(&format!("DELETE FROM {table}")).unwrap();
    }
    triggers.iter().for_each(|(_, sql)| database.execute_batch(sql).unwrap());
    drop(database);
    let mut daemon = vault.launch();
    let status = daemon.wait(std::time::Duration::from_secs(20));
    let said = daemon.stderr() + &daemon.stdout();
    assert!(!status.success() && said.contains("have no seals"), "{said}");
    let list = || vault.run(vault.connectors("alice").list_connectors(proto::ListConnectorsRequest::default()));
    vault.start_under(&["sh", "-c", r#"exec "$@" --seal-records"#, "sh"]);
    list().expect("it is served");
    vault.stop();
    vault.start();
    list().expect("and needs nobody's word from then on");
}

#[test]
fn c1_a_token_whose_end_or_digest_was_altered_lets_nobody_in() {
    let cloud = Sts::constant();
    let vault = vault_at(&cloud);
    for edit in ["UPDATE tokens SET expires_at = expires_at + 1", "UPDATE tokens SET digest = zeroblob(32)"] {
        vault.stop();
        let store = store(&vault);
        keep(&store, &["tokens"]);
        store.execute(edit, []).unwrap();
        vault.start();
        let answer = vault.run(vault.access("bob").who_am_i(proto::WhoAmIRequest::default()));
        assert_eq!(reason(&refused_with(answer, Code::DataLoss)), "DATA_LOSS", "{edit}");
        vault.stop();
        put_back(&store, &["tokens"]);
        drop(store);
        vault.start();
        vault.run(vault.access("bob").who_am_i(proto::WhoAmIRequest::default())).unwrap();
    }
}

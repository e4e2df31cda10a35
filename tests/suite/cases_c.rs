//! SECURITY.md C1 and C2 through the real daemon: whoever can write to its store points no secret elsewhere, and moves,
//! swaps or brings back none. Each edit is made while the daemon is down, and taken back before the next.

use rusqlite::{Connection, params};
use tonic::Code;
use valetkey::proto;

use crate::faults::asks;
use crate::faults::sts::Sts;
use crate::rig::cast;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::{everything, reason};

/// Whose records are edited.
const TAMPERED: &str = "tampered";
/// Whose records are left alone.
const NEIGHBOUR: &str = "neighbour";
/// Of the same project, settings and method.
const TWIN: &str = "twin";
/// Of another project.
const FOREIGN: &str = "foreign";
const OTHER_KEY: [&[u8]; 2] = [b"AKIATWIN000000000001", b"twin/secret+twin/secret+twin/secret+twin"];

struct Lab {
    vault: Vault,
    cloud: Sts,
    /// An allowed endpoint, too: only the seal is in the way.
    thief: Sts,
    id: String,
}

/// A row of `sealed_fields`.
#[derive(Clone)]
struct Field {
    position: i64,
    version: i64,
    sealed: Vec<u8>,
}

impl Lab {
    fn new() -> Self {
        let (cloud, thief) = (Sts::constant(), Sts::constant());
        let vault = Setup::new().reaching(&[&cloud.url(), &thief.url()]).start();
        let canary = [cast::CANARY_ID.as_bytes(), cast::CANARY.as_bytes()];
        let id = cast::connector(&vault, asks::role_connector(TAMPERED, &cloud.url(), canary)).id;
        for (name, key) in [(NEIGHBOUR, canary), (TWIN, OTHER_KEY)] {
            cast::connector(&vault, asks::role_connector(name, &cloud.url(), key));
        }
        Self { vault, cloud, thief, id }
    }

    /// Edits the store of a stopped daemon, lets `check` look at the running one, and takes the edit back.
    fn edited(&self, edit: impl FnOnce(&Connection), check: impl FnOnce()) {
        self.vault.stop();
        let store = open(&self.vault);
        let (body, fields) = (body(&store, TAMPERED), fields(&store, TAMPERED));
        edit(&store);
        drop(store);
        self.vault.start();
        check();
        self.vault.stop();
        let store = open(&self.vault);
        put_body(&store, TAMPERED, &body);
        put_fields(&store, TAMPERED, &fields);
        drop(store);
        self.vault.start();
    }

    /// The edit is noticed, and costs only the connector that it is about.
    #[track_caller]
    fn stays_shut_after(&self, what: &str, edit: impl FnOnce(&Connection)) {
        let check = || {
            let (asked, noted) = (self.cloud.asked(), self.noted());
            let answer = self.vault.run(self.vault.credentials("bob").mint_credential(asks::bucket(TAMPERED, "data")));
            let Err(status) = answer else { panic!("{what}: it was minted") };
            assert_eq!((status.code(), reason(&status).as_str()), (Code::DataLoss, "DATA_LOSS"), "{what}");
            cast::no_canary(what, &everything(&status));
            assert_eq!((self.cloud.asked(), self.thief.asked()), (asked, 0), "{what}: a cloud was asked");
            assert_eq!(self.noted(), noted + 1, "{what}: the ledger has a line of it");
            self.mints(NEIGHBOUR);
            assert_eq!((self.cloud.asked(), self.thief.asked()), (asked + 1, 0), "{what}: the neighbour");
        };
        self.edited(edit, check);
    }

    #[track_caller]
    fn mints(&self, connector: &str) {
        let answer = self.vault.run(self.vault.credentials("bob").mint_credential(asks::bucket(connector, "data")));
        answer.unwrap_or_else(|status| panic!("{connector} does not mint: {status:?}"));
    }

    /// How many mints of the connector the ledger has as failed by what is stored.
    fn noted(&self) -> usize {
        // A record that does not fit its seal is not believed, also not about which one it is.
        let mine = |line: &&serde_json::Value| {
            let named = line["connector"].is_null() || line["connector"] == *self.id;
            named && line["outcome"] == "failed" && line["reason"] == "DATA_LOSS"
        };
        let of_mints = |line: &&serde_json::Value| {
            line["kind"] != "intent" && line["method"].as_str().is_some_and(|path| path.ends_with("/MintCredential"))
        };
        self.vault.ledger().iter().filter(mine).filter(of_mints).count()
    }
}

#[test]
fn c1_edited_settings_and_flipped_bits_open_nothing_and_the_neighbour_still_mints() {
    let lab = Lab::new();
    let (own, evil) = (lab.cloud.url(), lab.thief.url());
    lab.stays_shut_after("an endpoint of somebody else's", |store| replace(store, &own, &evil));
    lab.stays_shut_after("another region", |store| replace(store, "us-east-1", "us-west-2"));
    for (position, byte) in [(0, 0), (0, 20), (1, usize::MAX)] {
        lab.stays_shut_after("a flipped bit", |store| {
            let mut fields = fields(store, TAMPERED);
            let sealed = &mut fields[position].sealed;
            let byte = byte.min(sealed.len() - 1);
            sealed[byte] ^= 1;
            put_fields(store, TAMPERED, &fields);
        });
    }
    lab.mints(TAMPERED);
}

#[test]
fn c2_swapped_older_and_foreign_records_open_nothing_and_the_neighbour_still_mints() {
    let lab = Lab::new();
    cast::principal(&lab.vault, "other-owner", "eve", proto::PrincipalKind::User);
    cast::bind(&lab.vault, "other-owner", cast::binding("eve", "platform-engineer"));
    let foreign = asks::role_connector(FOREIGN, &lab.cloud.url(), OTHER_KEY);
    lab.vault.run(lab.vault.connectors("eve").register_connector(foreign)).expect("it is another project's");
    let older = fields(&lab.vault.database(), TAMPERED);
    let ask = proto::RotateConnectorSecretRequest {
        connector: TAMPERED.to_owned(),
        secrets: cast::canary_secrets(),
        skip_verify: true,
        ..Default::default()
    };
    lab.vault.run(lab.vault.connectors("alice").rotate_connector_secret(ask)).expect("an engineer rotates");

    for from in [TWIN, FOREIGN] {
        lab.stays_shut_after(&format!("the fields of {from}"), |store| {
            // Its version as it should be: only where the record belongs is wrong.
            let moved = fields(store, from).into_iter().map(|field| Field { version: 2, ..field }).collect::<Vec<_>>();
            put_fields(store, TAMPERED, &moved);
        });
    }
    lab.stays_shut_after("two fields swapped", |store| {
        let mut fields = fields(store, TAMPERED);
        let first = fields[0].sealed.clone();
        fields[0].sealed = std::mem::replace(&mut fields[1].sealed, first);
        put_fields(store, TAMPERED, &fields);
    });
    lab.stays_shut_after("the fields of before", |store| put_fields(store, TAMPERED, &older));
    lab.stays_shut_after("the fields of before under the new version", |store| {
        let renamed: Vec<_> = older.iter().cloned().map(|field| Field { version: 2, ..field }).collect();
        put_fields(store, TAMPERED, &renamed);
    });
    lab.mints(TAMPERED);
}

fn open(vault: &Vault) -> Connection {
    Connection::open(vault.data().join("valetkey.db")).expect("the store is there")
}

fn body(store: &Connection, name: &str) -> String {
    store.query_row("SELECT body FROM connectors WHERE name = ?", [name], |row| row.get(0)).expect("it is there")
}

fn put_body(store: &Connection, name: &str, body: &str) {
    let changed = store.execute("UPDATE connectors SET body = ? WHERE name = ?", [body, name]);
    assert_eq!(changed, Ok(1));
}

#[track_caller]
fn replace(store: &Connection, from: &str, to: &str) {
    let before = body(store, TAMPERED);
    let after = before.replace(from, to);
    assert_ne!(before, after, "{from} is not in {before}");
    put_body(store, TAMPERED, &after);
}

fn fields(store: &Connection, name: &str) -> Vec<Field> {
    let select = "SELECT position, secret_version, sealed FROM sealed_fields
        WHERE connector = (SELECT id FROM connectors WHERE name = ?) ORDER BY position";
    let mut statement = store.prepare(select).expect("the schema has it");
    let read = |row: &rusqlite::Row<'_>| Ok(Field { position: row.get(0)?, version: row.get(1)?, sealed: row.get(2)? });
    let fields: Vec<Field> = statement.query_map([name], read).unwrap().map(Result::unwrap).collect();
    assert_eq!(fields.len(), 2, "an AWS key has two fields");
    fields
}

fn put_fields(store: &Connection, name: &str, fields: &[Field]) {
    let update = "UPDATE sealed_fields SET secret_version = ?, sealed = ?
        WHERE position = ? AND connector = (SELECT id FROM connectors WHERE name = ?)";
    for Field { position, version, sealed } in fields {
        assert_eq!(store.execute(update, params![version, sealed, position, name]), Ok(1));
    }
}

//! H11, C18: when a source credential is replaced or its connector deleted, the sealed bytes of the old one are nowhere
//! in the data directory: not in the database, its free pages or its log.

use std::time::Duration;

use valetkey::proto;

use super::sinks::files;
use crate::faults::asks;
use crate::rig::cast;
use crate::rig::process::eventually;
use crate::rig::vault::{Setup, Vault};

#[test]
fn h11_the_sealed_bytes_of_a_replaced_secret_are_gone() {
    let vault = vault_with_connector();
    let old = sealed(&vault);
    assert!(found(&vault, &old), "the search finds them while they are in use");
    let rotate = proto::RotateConnectorSecretRequest {
        connector: CONNECTOR.to_owned(),
        secrets: asks::key_fields([b"AKIASHREDNEW00000001", b"another/secret+another/secret"]),
        skip_verify: true,
        ..Default::default()
    };
    vault.run(vault.connectors("alice").rotate_connector_secret(rotate)).expect("it rotates");
    gone(&vault, &old);
    assert!(found(&vault, &sealed(&vault)), "the new ones are there");
}

#[test]
fn c18_the_sealed_bytes_of_a_deleted_connector_are_gone() {
    let vault = vault_with_connector();
    let old = sealed(&vault);
    assert!(found(&vault, &old), "the search finds them while they are in use");
    let delete = proto::DeleteConnectorRequest { connector: CONNECTOR.to_owned(), ..Default::default() };
    vault.run(vault.connectors("alice").delete_connector(delete)).expect("it is deleted");
    gone(&vault, &old);
    vault.sigkill();
    assert!(!found(&vault, &old), "nor after the end of the daemon");
}

fn vault_with_connector() -> Vault {
    let vault = Setup::new().start();
    for name in [CONNECTOR, "neighbour"] {
        cast::connector(&vault, cast::unverified(name));
    }
    vault
}

/// Pieces of the sealed fields: salt and ciphertext, which no other record has.
fn sealed(vault: &Vault) -> Vec<Vec<u8>> {
    const SEALED: &str =
        "SELECT f.sealed FROM sealed_fields f JOIN connectors c ON c.id = f.connector WHERE c.name = ?1";
    let database = vault.database();
    let mut statement = database.prepare(SEALED).expect("the table is there");
    let rows = statement.query_map([CONNECTOR], |row| row.get::<_, Vec<u8>>(0)).expect("the table can be read");
    let fields: Vec<Vec<u8>> = rows.map(|row| row.expect("a row can be read")).collect();
    assert_eq!(fields.len(), 2, "a key has two fields");
    fields.iter().flat_map(|field| field[field.len() - RANDOM_TAIL..].chunks_exact(PIECE).map(<[u8]>::to_vec)).collect()
}

fn found(vault: &Vault, pieces: &[Vec<u8>]) -> bool {
    files(&vault.data()).iter().any(|path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        pieces.iter().any(|piece| bytes.windows(PIECE).any(|window| window == piece.as_slice()))
    })
}

#[track_caller]
fn gone(vault: &Vault, pieces: &[Vec<u8>]) {
    let gone = eventually(SHRED_LIMIT, || !found(vault, pieces));
    assert!(gone, "the old sealed bytes are still in the data directory");
}

const CONNECTOR: &str = "shredded";
// A reader may be in the way of emptying the log; it is tried again each second.
const SHRED_LIMIT: Duration = Duration::from_secs(20);
const PIECE: usize = 16;
/// A sealed record ends with commitment, ciphertext and tag.
const RANDOM_TAIL: usize = 64;

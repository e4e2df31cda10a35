//! The files: who may open them, and what stays in them.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::{Folder, plain};
use crate::audit::{Journal, Seq};
use crate::domain::{Connector, Version};
use crate::store::conformance::{CANARY, Subject, World, connector, line, sealed};
use crate::store::{AuditLines, Changes, Keks, OpenError, SqliteStore, Store, Write};

fn refusal(folder: &Folder) -> OpenError {
    SqliteStore::open(&folder.path(), folder.options()).err().unwrap()
}

/// A database that was closed.
fn closed() -> Folder {
    let folder = Folder::new();
    drop(folder.create());
    folder
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let folder = Folder::new();
    let store = folder.create();
    let OpenError::InUse { lock } = refusal(&folder) else { panic!("opened twice") };
    assert_eq!(lock, folder.path().with_file_name("lock"));
    drop(store);
    // The file of the lock stays; it is the lock on it that counts.
    assert!(lock.exists());
    drop(folder.open());
}

#[test]
fn a_missing_database_is_not_made_and_one_that_is_there_is_not_overwritten() {
    let folder = Folder::new();
    assert!(matches!(refusal(&folder), OpenError::Missing { .. }));
    assert!(!folder.path().exists());
    drop(folder.create());
    let again = SqliteStore::create(&folder.path(), folder.options()).err().unwrap();
    assert!(matches!(again, OpenError::Exists { .. }));
    drop(folder.open());
}

#[test]
fn every_file_is_for_its_owner_only() {
    let folder = Folder::new();
    let _store = folder.create();
    let entries: Vec<_> = std::fs::read_dir(folder.folder.path()).unwrap().map(Result::unwrap).collect();
    let mut names: Vec<_> = entries.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["lock", "store.db", "store.db-shm", "store.db-wal", "store.db.reserve"]);
    for entry in entries {
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn files_that_others_may_read_are_refused() {
    for suffix in ["", "-wal", "-shm"] {
        for mode in [0o640, 0o604, 0o620, 0o611] {
            let folder = closed();
            let file = folder.file(suffix);
            if !file.exists() {
                std::fs::write(&file, b"").unwrap();
            }
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let OpenError::LooseMode { file: named, mode: said } = refusal(&folder) else { panic!("{suffix}") };
            assert_eq!((named, said), (file, mode));
        }
    }
    let folder = closed();
    std::fs::rename(folder.path(), folder.file(".moved")).unwrap();
    symlink(folder.file(".moved"), folder.path()).unwrap();
    assert!(matches!(refusal(&folder), OpenError::LooseMode { .. }));
}

fn alter(path: &Path, sql: &str) {
    plain(path).execute_batch(sql).unwrap();
}

#[test]
fn a_database_of_something_else_a_newer_and_an_altered_one_are_refused() {
    let folder = closed();
    alter(&folder.path(), "PRAGMA application_id = 7");
    assert!(matches!(refusal(&folder), OpenError::Foreign { .. }));
    let folder = closed();
    alter(&folder.path(), "PRAGMA user_version = 9");
    assert!(matches!(refusal(&folder), OpenError::NewerSchema { found: 9, known: 5 }));
    for altered in [
        "DROP TRIGGER ledger_is_never_updated",
        "CREATE TABLE more (x)",
        "ALTER TABLE connectors ADD COLUMN plain TEXT",
        "CREATE TRIGGER t AFTER INSERT ON sealed_fields BEGIN SELECT 1; END",
        "PRAGMA user_version = 0",
    ] {
        let folder = closed();
        alter(&folder.path(), altered);
        assert!(matches!(refusal(&folder), OpenError::AlteredSchema { .. }), "{altered}");
    }
}

#[test]
fn a_truncated_database_and_one_of_rubbish_are_refused() {
    let folder = closed();
    let whole = std::fs::read(folder.path()).unwrap();
    for length in [0, 1, 99, 100, 512, 4096, whole.len() / 2] {
        std::fs::write(folder.path(), &whole[..length]).unwrap();
        let _ = refusal(&folder);
    }
    std::fs::write(folder.path(), vec![0x41; whole.len()]).unwrap();
    assert!(matches!(refusal(&folder), OpenError::Database(_)));
    std::fs::write(folder.path(), &whole).unwrap();
    drop(folder.open());
}

#[tokio::test]
async fn the_ledger_refuses_updates_and_deletes_and_an_altered_end() {
    let folder = Folder::new();
    let store = folder.create();
    store.append(line("/m")).await.unwrap();
    drop(store);
    let database = plain(&folder.path());
    for sql in ["UPDATE ledger SET at = 0", "DELETE FROM ledger", "UPDATE ledger SET seq = 9"] {
        let error = database.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    let trigger: String = database
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'ledger_is_never_updated'", [], |row| row.get(0))
        .unwrap();
    database.execute_batch("DROP TRIGGER ledger_is_never_updated; UPDATE ledger SET body = x'7b7d'").unwrap();
    database.execute_batch(&trigger).unwrap();
    drop(database);
    assert!(matches!(refusal(&folder), OpenError::AlteredLedger));
}

#[tokio::test]
async fn what_was_written_is_there_after_a_start_and_places_go_on() {
    let folder = Folder::new();
    let store = folder.create();
    let first = store.append(line("/m")).await.unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(store.last_seq().await, Ok(first));
    assert_eq!(*store.watch_lines().borrow(), first);
    assert_eq!(store.append(line("/m")).await, Ok(Seq(first.0 + 1)));
    assert_eq!(store.watch_revision().borrow().0, 0);
}

fn holds(path: &Path, what: &[u8]) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(what.len()).any(|window| window == what)
}

#[tokio::test]
async fn a_replaced_and_a_deleted_secret_are_in_no_file() {
    let folder = Folder::new();
    let store = std::sync::Arc::new(folder.create());
    let shared: std::sync::Arc<dyn Store> = store.clone();
    let world = World::new(Subject { store: shared, clock: folder.clock.clone(), keep: Box::new(()) }).await;
    let record = connector(world.here, 1, "source");
    world.add_connector(&record).await;
    let files = || [folder.path(), folder.file("-wal")];
    assert!(files().iter().any(|file| holds(file, CANARY)));
    let other = crate::sealing::SealedCredential { secret_version: 2, fields: Vec::new() };
    let rotated = Connector { version: Version(2), ..record.clone() };
    let rotate = Write::UpdateConnector { connector: rotated, expected: Version(1), sealed: Some(other) };
    world.write(rotate).await.unwrap();
    // The next answer comes after the log was emptied.
    store.append(line("/m")).await.unwrap();
    assert!(files().iter().all(|file| !holds(file, CANARY)), "rotated");
    let back = Connector { version: Version(3), ..record.clone() };
    let back = Write::UpdateConnector { connector: back, expected: Version(2), sealed: Some(sealed(3)) };
    world.write(back).await.unwrap();
    store.append(line("/m")).await.unwrap();
    assert!(files().iter().any(|file| holds(file, CANARY)));
    let delete = Write::DeleteConnector { project: world.here, id: record.id, expected: Version(3) };
    world.write(delete).await.unwrap();
    store.append(line("/m")).await.unwrap();
    assert!(files().iter().all(|file| !holds(file, CANARY)), "deleted");
    assert_eq!(store.sealed_values(world.here).await, Ok(0));
}

#[test]
fn a_closed_store_leaves_an_empty_log() {
    let folder = closed();
    let left = std::fs::metadata(folder.file("-wal")).map_or(0, |file| file.len());
    assert_eq!(left, 0);
}

//! The write-ahead log: written over from its beginning, whole after a kill
//! at any of its lengths, and emptied of what was deleted.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Folder, plain};
use crate::audit::{Journal, Line, Seq};
use crate::domain::{Connector, Version};
use crate::store::conformance::{CANARY, Subject, World, connector, line};
use crate::store::sqlite::verify_ledger;
use crate::store::{AuditLines, Keks, SqliteStore, Store, Write};

/// What a power cut leaves of the files of `folder`, in a folder of its own.
fn cut(folder: &Folder) -> Folder {
    let left = Folder::new();
    for suffix in ["", "-wal"] {
        std::fs::copy(folder.file(suffix), left.file(suffix)).unwrap();
    }
    left
}

/// A line that takes more than a dozen pages of the log.
fn long_line() -> Line {
    let mut long = line("/long");
    for key in 0..200 {
        long.details.insert(format!("k{key}"), crate::audit::Detail::new(&"x".repeat(250)));
    }
    long
}

/// What a log says in its header: another salt each time it begins anew.
fn salt(log: &Path) -> [u8; 8] {
    let mut salt = [0; 8];
    std::fs::File::open(log).unwrap().read_exact_at(&mut salt, 16).unwrap();
    salt
}

fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |file| file.len())
}

/// Writes until the log begins anew; how many lines that took.
async fn write_until_the_log_begins_anew(folder: &Folder, store: &SqliteStore) -> u64 {
    let log = folder.file("-wal");
    // The log of a new store is emptied once, before the second answer.
    for _ in 0..2 {
        store.append(line("/first")).await.unwrap();
    }
    let first = salt(&log);
    for written in 1..LINES_MAX {
        store.append(long_line()).await.unwrap();
        if salt(&log) != first {
            return written;
        }
    }
    panic!("the log does not begin anew: {} bytes", length(&log));
}

#[tokio::test]
async fn a_log_that_is_in_the_database_is_written_over_and_keeps_its_length() {
    let folder = Folder::new();
    let store = folder.create();
    write_until_the_log_begins_anew(&folder, &store).await;
    let log = length(&folder.file("-wal"));
    assert!(log > 16 << 20, "it was not truncated: {log}");
    assert!(log < 64 << 20, "it is bounded: {log}");
    store.append(line("/more")).await.unwrap();
    assert_eq!(length(&folder.file("-wal")), log);
}

#[tokio::test]
async fn j1_what_was_acknowledged_is_there_after_a_kill_in_the_middle_of_a_log_that_was_written_over() {
    let folder = Folder::new();
    let store = folder.create();
    write_until_the_log_begins_anew(&folder, &store).await;
    let mut last = Seq(0);
    for lines in [1, 7] {
        for _ in 0..lines {
            last = store.append(line("/acknowledged")).await.unwrap();
        }
        // Behind these lines the log still has those of its last time.
        let left = cut(&folder);
        assert_eq!(verify_ledger(&left.path(), None).unwrap().count, last.0);
    }
    let left = cut(&folder);
    let again = left.open();
    assert_eq!(again.last_seq().await, Ok(last));
    assert_eq!(again.append(line("/after")).await, Ok(Seq(last.0 + 1)));
    drop(again);
    let whole: String = plain(&left.path()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}

#[tokio::test]
async fn h11_a_kill_between_a_deletion_and_its_truncation_is_made_good_by_the_next_start() {
    let folder = Folder::new();
    let store = std::sync::Arc::new(folder.create());
    let shared: std::sync::Arc<dyn Store> = store.clone();
    let world = World::new(Subject { store: shared, clock: folder.clock.clone(), keep: Box::new(()) }).await;
    let record = connector(world.here, 1, "source");
    world.add_connector(&record).await;
    // A reader that is in the way of the truncation, for as long as a kill needs.
    let reader = plain(&folder.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM ledger").unwrap();
    let delete = Write::DeleteConnector { project: world.here, id: record.id, expected: Version(1) };
    world.write(delete).await.unwrap();
    let left = cut(&folder);
    drop(reader);
    assert!(holds(&left, CANARY), "the kill came before the truncation");
    let again = left.open();
    again.append(line("/first")).await.unwrap();
    // The next answer comes after the log was emptied.
    again.append(line("/second")).await.unwrap();
    assert!(!holds(&left, CANARY));
    assert_eq!(again.sealed_values(world.here).await, Ok(0));
}

#[tokio::test]
async fn h11_a_rotation_empties_a_log_that_was_written_over_to_its_end() {
    let folder = Folder::new();
    let store = std::sync::Arc::new(folder.create());
    let shared: std::sync::Arc<dyn Store> = store.clone();
    let world = World::new(Subject { store: shared, clock: folder.clock.clone(), keep: Box::new(()) }).await;
    write_until_the_log_begins_anew(&folder, &store).await;
    let record = connector(world.here, 1, "source");
    world.add_connector(&record).await;
    assert!(holds(&folder, CANARY));
    let other = crate::sealing::SealedCredential { secret_version: 2, fields: Vec::new() };
    let rotated = Connector { version: Version(2), ..record };
    let rotate = Write::UpdateConnector { connector: rotated, expected: Version(1), sealed: Some(other) };
    world.write(rotate).await.unwrap();
    store.append(line("/next")).await.unwrap();
    assert!(!holds(&folder, CANARY));
    assert!(length(&folder.file("-wal")) < 1 << 20, "nothing of its last time is left behind the new lines");
}

fn holds(folder: &Folder, what: &[u8]) -> bool {
    [folder.path(), folder.file("-wal")].iter().any(|path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(what.len()).any(|window| window == what)
    })
}

// Of a dozen pages and more each: together below what truncates the log.
const LINES_MAX: u64 = 1000;

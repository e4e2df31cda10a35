//! A disk that is full, a writer that stops, and a queue that is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Folder, plain};
use crate::audit::{Journal, JournalError, Line, Seq};
use crate::domain::{ProjectId, Role};
use crate::store::conformance::{Subject, World, binding, connector, line, sealed, stack};
use crate::store::sqlite::verify_ledger;
use crate::store::{AuditLines, SqliteOptions, SqliteStore, Stacks, StoreError, Transactions, Tx, Write};

/// A world on a store that the test can reach too.
async fn world(folder: &Folder, options: SqliteOptions) -> (World, Arc<SqliteStore>) {
    let store = Arc::new(SqliteStore::create(&folder.path(), options).unwrap());
    let subject = Subject { store: store.clone(), clock: folder.clock.clone(), keep: Box::new(()) };
    (World::new(subject).await, store)
}

/// A line that fits on no page that is there already.
fn big_line() -> Line {
    let mut big = line("/big");
    for key in 0..200 {
        big.details.insert(format!("k{key}"), crate::audit::Detail::new(&"x".repeat(250)));
    }
    big
}

#[tokio::test]
async fn a_full_disk_refuses_writes_says_so_in_the_ledger_and_is_over_when_it_is() {
    let folder = Folder::new();
    let (world, store) = world(&folder, folder.options()).await;
    let before = store.last_seq().await.unwrap().0;
    store.fill_disk();
    assert_eq!(store.append(big_line()).await, Err(JournalError::Unwritable));
    assert!(!store.facts().writable);
    // The reserve was given back, and the failure itself is on record.
    let stored = store.lines_after(None, Seq(before), 10).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].line.method.as_str(), stored[0].line.reason.as_str()), ("daemon/store", "DISK_FULL"));
    assert_eq!(*store.watch_lines().borrow(), stored[0].seq);
    // Reads go on.
    assert!(store.resolve_stack(world.here, "none").await.is_err_and(|error| error == StoreError::NotFound));
    store.empty_disk();
    assert_eq!(store.append(big_line()).await, Ok(Seq(before + 2)));
    assert!(store.facts().writable);
    assert_eq!(folder.fatal.load(Ordering::SeqCst), 0);
    drop((world, store));
    assert_eq!(verify_ledger(&folder.path(), None).unwrap().count, before + 2);
}

#[tokio::test]
async fn what_was_acknowledged_before_the_disk_was_full_is_there() {
    let folder = Folder::new();
    let (world, store) = world(&folder, folder.options()).await;
    store.fill_disk();
    let mut acknowledged = 0;
    let refused = loop {
        match store.append(line("/until-full")).await {
            Ok(seq) => acknowledged = seq.0,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, JournalError::Unwritable);
    let insert = Write::InsertConnector { connector: connector(world.here, 1, "source"), sealed: sealed(1) };
    assert_eq!(world.write(insert).await, Err(StoreError::Unwritable));
    drop((world, store));
    assert!(verify_ledger(&folder.path(), None).unwrap().count >= acknowledged);
    let again = folder.open();
    assert!(again.append(line("/again")).await.is_ok());
}

#[tokio::test]
async fn from_the_reserve_only_what_takes_power_away_is_written() {
    let folder = Folder::new();
    let (world, store) = world(&folder, folder.options()).await;
    let grant = binding(world.here, 5, world.owner, Role::Auditor);
    world.write(Write::InsertBinding(grant.clone())).await.unwrap();
    store.fill_disk();
    assert_eq!(store.append(big_line()).await, Err(JournalError::Unwritable));
    // Something that is not the reserve is in its place: it cannot be taken.
    std::fs::create_dir(folder.file(".reserve")).unwrap();
    store.empty_disk();
    assert_eq!(store.append(line("/mint")).await, Err(JournalError::Unwritable));
    let insert = Write::InsertStack(stack(world.here, 1, "s", Vec::new()));
    assert_eq!(world.write(insert.clone()).await, Err(StoreError::Unwritable));
    world.write(Write::DeleteBinding { project: world.here, id: grant.id }).await.unwrap();
    std::fs::remove_dir(folder.file(".reserve")).unwrap();
    world.write(insert).await.unwrap();
    assert!(folder.file(".reserve").exists());
}

#[tokio::test]
async fn after_an_error_that_is_final_nothing_is_written_and_the_daemon_is_told_once() {
    let folder = Folder::new();
    let (_world, store) = world(&folder, folder.options()).await;
    let last = store.last_seq().await.unwrap().0;
    // Somebody else writes the line that was ours to write.
    let copy = "INSERT INTO ledger SELECT ?1, at, project, principal, connector, outcome, body, previous, hash \
                FROM ledger WHERE seq = 1";
    plain(&folder.path()).execute(copy, [i64::try_from(last + 1).unwrap()]).unwrap();
    assert_eq!(store.append(line("/m")).await, Err(JournalError::Stopped));
    for _ in 0..3 {
        assert_eq!(store.append(line("/m")).await, Err(JournalError::Stopped));
    }
    assert!(!store.facts().writable);
    assert!(store.last_seq().await.is_ok());
    store.close();
    assert_eq!(folder.fatal.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_full_queue_is_said_at_once_and_what_it_holds_is_written() {
    let folder = Folder::new();
    let options = SqliteOptions { write_queue_max: 2, batch_max: 1, ..folder.options() };
    let (_world, store) = world(&folder, options).await;
    let before = store.last_seq().await.unwrap().0;
    let holder = plain(&folder.path());
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = Arc::clone(&store);
        waiting.spawn(async move { store.append(line("/m")).await });
    }
    // Reads have a queue of their own.
    store.last_seq().await.unwrap();
    let mut full = 0;
    while full < 7 {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), Err(JournalError::Full));
        full += 1;
    }
    holder.execute_batch("COMMIT").unwrap();
    let ends = waiting.join_all().await;
    let written = ends.iter().filter(|end| end.is_ok()).count() as u64;
    assert!(written >= 2);
    assert_eq!(store.last_seq().await.unwrap().0, before + written);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = Folder::new();
    let (world, store) = world(&folder, folder.options()).await;
    store.close();
    assert_eq!(store.append(line("/m")).await, Err(JournalError::Stopped));
    assert_eq!(store.commit(Tx::with_line(line("/m"))).await, Err(StoreError::Stopped));
    assert_eq!(store.stack(world.here, stack(world.here, 1, "s", Vec::new()).id).await, Err(StoreError::Stopped));
}

#[tokio::test]
async fn a_project_has_so_many_records_and_no_more() {
    let folder = Folder::new();
    let options = SqliteOptions { records_max: 3, ..folder.options() };
    let (world, _store) = world(&folder, options).await;
    let insert = |project: ProjectId, number: u64| {
        Write::InsertStack(stack(project, number, &format!("s-{number}"), Vec::new()))
    };
    for number in 1..=3 {
        world.write(insert(world.here, number)).await.unwrap();
    }
    assert_eq!(world.write(insert(world.here, 4)).await, Err(StoreError::TooMany { limit: 3 }));
    world.write(insert(world.there, 4)).await.unwrap();
    let gone = stack(world.here, 1, "s-1", Vec::new());
    let delete = Write::DeleteStack { project: world.here, id: gone.id, expected: gone.version };
    world.write(delete).await.unwrap();
    world.write(insert(world.here, 4)).await.unwrap();
    assert_eq!(world.write(insert(world.here, 5)).await, Err(StoreError::TooMany { limit: 3 }));
}

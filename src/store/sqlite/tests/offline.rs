//! Somebody with the file alters the ledger: the first bad line is named.

use super::{Folder, plain};
use crate::audit::{BadLine, ExpectedHead, Fault, Hash, Journal, LineFilter, Seq};
use crate::domain::{PageAsk, ProjectId, RunId};
use crate::store::conformance::line;
use crate::store::sqlite::{OfflineError, verify_ledger};
use crate::store::{AuditLines, Transactions, Tx};

const LINES: u64 = 600;
/// Lines 1, 101, 201 and so on are of it.
const RUN: RunId = RunId::from_bytes([3; 16]);

/// A ledger, and its triggers out of the way.
async fn ledger() -> Folder {
    let folder = Folder::new();
    let store = folder.create();
    let numbered = |number: &u64| {
        let mut line = line(&format!("/m{number}"));
        line.project = Some(ProjectId::from_bytes([1; 16]));
        line.run = number.is_multiple_of(100).then_some(RUN);
        line
    };
    for some in (0..LINES).collect::<Vec<_>>().chunks(200) {
        let lines = some.iter().map(numbered).collect();
        store.commit(Tx { lines, ..Tx::default() }).await.unwrap();
    }
    drop(store);
    let drop_triggers = "DROP TRIGGER ledger_is_never_updated; DROP TRIGGER ledger_is_never_deleted;";
    plain(&folder.path()).execute_batch(drop_triggers).unwrap();
    folder
}

fn bad(folder: &Folder, expected: Option<ExpectedHead>) -> BadLine {
    match verify_ledger(&folder.path(), expected) {
        Err(OfflineError::Bad(bad)) => bad,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sound_ledger_is_verified_beside_a_running_daemon() {
    let folder = Folder::new();
    let store = folder.create();
    for _ in 0..10 {
        store.append(line("/m")).await.unwrap();
    }
    let verified = verify_ledger(&folder.path(), None).unwrap();
    assert_eq!((verified.count, verified.intents_open), (10, 0));
    let head = ExpectedHead { seq: Seq(10), hash: verified.head };
    store.append(line("/m")).await.unwrap();
    assert_eq!(verify_ledger(&folder.path(), Some(head)).unwrap().count, 11);
    drop(store);
    assert_eq!(verify_ledger(&folder.path(), Some(head)).unwrap().count, 11);
}

#[tokio::test]
async fn an_index_from_before_there_was_one_of_runs_is_sound_and_hides_none() {
    let folder = ledger().await;
    plain(&folder.path()).execute_batch("UPDATE ledger_blocks SET filter = substr(filter, 1, 1024)").unwrap();
    verify_ledger(&folder.path(), None).unwrap();
    let trigger = |what: &str| {
        format!(
            "CREATE TRIGGER ledger_is_never_{what} BEFORE {}\nBEGIN\n    \
             SELECT raise(ABORT, 'the ledger is append-only');\nEND;",
            if what == "updated" { "UPDATE ON ledger" } else { "DELETE ON ledger" }
        )
    };
    plain(&folder.path()).execute_batch(&(trigger("updated") + &trigger("deleted"))).unwrap();
    let store = folder.open();
    let filter = LineFilter { run: Some(RUN), ..LineFilter::default() };
    let found = store.lines(&filter, &PageAsk { size: 1000, after: None }).await.unwrap();
    assert_eq!(found.items.iter().map(|line| line.seq.0).collect::<Vec<_>>(), [501, 401, 301, 201, 101, 1]);
}

#[tokio::test]
async fn altered_rows_are_named() {
    let cases = [
        ("DELETE FROM ledger WHERE seq = 300", 300, Fault::Gap),
        ("DELETE FROM ledger WHERE seq = 1", 1, Fault::Gap),
        (
            "UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'm299', 'mXX') AS BLOB) WHERE seq = 300",
            300,
            Fault::HashDiffers,
        ),
        ("UPDATE ledger SET outcome = 'denied' WHERE seq = 300", 300, Fault::ColumnsDiffer),
        ("UPDATE ledger_blocks SET filter = zeroblob(1024) WHERE block = 1", 512, Fault::IndexDiffers),
        (
            "UPDATE ledger_blocks SET filter = CAST(substr(filter, 1, 1024) || zeroblob(512) AS BLOB)",
            256,
            Fault::IndexDiffers,
        ),
        ("UPDATE ledger_blocks SET filter = substr(filter, 1, 1025)", 256, Fault::IndexDiffers),
        ("DELETE FROM ledger_blocks WHERE block = 0", 256, Fault::IndexDiffers),
        ("UPDATE ledger_blocks SET at_max = 0 WHERE block = 0", 256, Fault::IndexDiffers),
        ("UPDATE ledger SET project = NULL WHERE seq = 300", 300, Fault::ColumnsDiffer),
        ("UPDATE ledger SET project = x'01' WHERE seq = 300", 300, Fault::Unreadable),
        ("UPDATE ledger SET hash = zeroblob(32) WHERE seq = 300", 300, Fault::HashDiffers),
        ("UPDATE ledger SET previous = zeroblob(32) WHERE seq = 300", 300, Fault::PreviousDiffers),
        (
            "UPDATE ledger SET seq = -1 WHERE seq = 300; UPDATE ledger SET seq = 300 WHERE seq = 301; \
             UPDATE ledger SET seq = 301 WHERE seq = -1",
            300,
            Fault::PreviousDiffers,
        ),
        (
            "UPDATE ledger SET seq = -seq - 1 WHERE seq >= 300; UPDATE ledger SET seq = -seq WHERE seq < 0; \
             INSERT INTO ledger SELECT 300, at, project, principal, connector, outcome, body, previous, hash \
             FROM ledger WHERE seq = 299",
            300,
            Fault::PreviousDiffers,
        ),
    ];
    for (alteration, seq, fault) in cases {
        let folder = ledger().await;
        plain(&folder.path()).execute_batch(alteration).unwrap();
        assert_eq!(bad(&folder, None), BadLine { seq: Seq(seq), fault }, "{alteration}");
    }
}

#[tokio::test]
async fn a_cut_tail_is_seen_with_an_outside_head_only() {
    let folder = ledger().await;
    let verified = verify_ledger(&folder.path(), None).unwrap();
    let head = ExpectedHead { seq: Seq(LINES), hash: verified.head };
    plain(&folder.path()).execute_batch("DELETE FROM ledger WHERE seq > 500").unwrap();
    assert_eq!(verify_ledger(&folder.path(), None).unwrap().count, 500);
    assert_eq!(bad(&folder, Some(head)), BadLine { seq: Seq(501), fault: Fault::TailMissing });
    let other = ExpectedHead { seq: Seq(400), hash: Hash([9; 32]) };
    assert_eq!(bad(&folder, Some(other)), BadLine { seq: Seq(400), fault: Fault::HeadDiffers });
}

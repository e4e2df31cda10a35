//! The ledger inside the store.

use std::sync::Arc;

use crate::audit::{Hash, Journal, JournalError, Ledger, Line, LineFilter, LineKind, Outcome, Reason, Seq};
use crate::domain::Clock;
use crate::store::{StoreError, Tx, Write, close_open_intents};

use super::fixtures::{NOW, World, first, line, rich_line, stack};

/// Without what a store with seals adds.
pub(super) fn as_handed_in(line: &Line) -> Line {
    Line { store_revision: None, ..line.clone() }
}

pub(super) async fn a_change_and_its_line_commit_together(world: World) {
    let last = world.store.last_seq().await.unwrap();
    let rich = rich_line();
    let tx = Tx { lines: vec![rich.clone(), line("/second")], ..Tx::default() };
    let done = world.store.commit(tx.write(Write::InsertStack(stack(world.here, 1, "s", Vec::new())))).await.unwrap();
    assert_eq!(done.lines, [Seq(last.0 + 1), Seq(last.0 + 2)]);
    let stored = world.store.lines_after(None, last, 10).await.unwrap();
    assert_eq!(as_handed_in(&stored[0].line), rich);
    assert_eq!(as_handed_in(&stored[1].line), line("/second"));
    assert_eq!(world.store.last_seq().await, Ok(Seq(last.0 + 2)));
}

pub(super) async fn lines_are_gapless_and_chained(world: World) {
    for number in 0..50 {
        world.store.append(line(&format!("/m{number}"))).await.unwrap();
        // One that fails in between takes no place.
        let nothing = Write::DeleteStack {
            project: world.here,
            id: stack(world.here, 9, "s", Vec::new()).id,
            expected: crate::domain::Version(1),
        };
        assert_eq!(world.write(nothing).await, Err(StoreError::NotFound));
    }
    let stored = world.store.lines_after(None, Seq(0), 1000).await.unwrap();
    let mut previous = Hash::GENESIS;
    for (at, line) in stored.iter().enumerate() {
        assert_eq!(line.seq.0, at as u64 + 1);
        assert_eq!(line.previous, previous);
        let body = serde_json::to_vec(&line.line).unwrap();
        assert_eq!(line.hash, Hash::of(line.seq, &previous, &body));
        previous = line.hash;
    }
    assert!(stored.len() > 50);
}

fn ledger(world: &World) -> Ledger {
    let journal: Arc<dyn Journal> = world.store.clone();
    let clock: Arc<dyn Clock> = world.clock.clone();
    Ledger::new(journal, clock)
}

pub(super) async fn an_intent_is_open_until_its_one_result(world: World) {
    let ledger = ledger(&world);
    let entry = ledger.open(line("/mint")).await.unwrap();
    let open = world.store.open_intents(10).await.unwrap();
    assert_eq!(open.iter().map(|line| line.seq).collect::<Vec<_>>(), [entry.seq()]);
    let result = entry.result(Outcome::Ok, Reason::default());
    // In a transaction that fails, the intent stays open.
    let failing = Tx::with_line(result.clone())
        .write(Write::DeleteToken { project: world.here, id: crate::domain::TokenId("nobody".to_owned()) });
    assert_eq!(world.store.commit(failing).await, Err(StoreError::NotFound));
    assert_eq!(world.store.open_intents(10).await.unwrap().len(), 1);
    world.store.commit(Tx::with_line(result.clone())).await.unwrap();
    assert!(world.store.open_intents(10).await.unwrap().is_empty());
    // A second result, and one of nothing, are refused.
    let again = world.store.commit(Tx::with_line(result.clone())).await;
    assert_eq!(again, Err(StoreError::Corrupt { what: "a result whose intent is not open" }));
    assert_eq!(world.store.append(result).await, Err(JournalError::Unwritable));
    let mut stray = line("/mint");
    stray.kind = LineKind::Result(Seq(9999));
    assert_eq!(world.store.append(stray).await, Err(JournalError::Unwritable));
}

pub(super) async fn open_intents_are_closed_as_unknown_in_batches(world: World) {
    let ledger = ledger(&world);
    for _ in 0..300 {
        let mut intent = line("/mint");
        intent.project = Some(world.here);
        drop(ledger.open(intent).await.unwrap());
    }
    assert_eq!(close_open_intents(world.store.as_ref(), &ledger).await, Ok(300));
    assert!(world.store.open_intents(10).await.unwrap().is_empty());
    let filter = LineFilter { project: Some(world.here), outcome: Some(Outcome::Unknown), ..LineFilter::default() };
    let closed = world.store.lines(&filter, &first(1000)).await.unwrap().items;
    assert_eq!(closed.len(), 300);
    assert!(closed.iter().all(|stored| stored.line.reason.as_str() == "DAEMON_STOPPED" && stored.line.at == NOW));
    assert_eq!(close_open_intents(world.store.as_ref(), &ledger).await, Ok(0));
}

pub(super) async fn a_follower_sees_every_line_of_its_project_once(world: World) {
    let numbered = |number: &u64| {
        let mut line = line(&format!("/m{number}"));
        line.project = Some(if number.is_multiple_of(3) { world.there } else { world.here });
        line
    };
    for some in (0..700).collect::<Vec<_>>().chunks(100) {
        let lines = some.iter().map(numbered).collect();
        world.store.commit(Tx { lines, ..Tx::default() }).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after = Seq(0);
    loop {
        let some = world.store.lines_after(Some(world.there), after, 50).await.unwrap();
        assert!(some.len() <= 50);
        let Some(last) = some.last() else { break };
        after = last.seq;
        seen.extend(some);
    }
    assert_eq!(seen.len(), 234);
    assert!(seen.is_sorted_by(|older, newer| older.seq < newer.seq));
    assert_eq!(world.store.lines_after(None, Seq(0), 5000).await.unwrap().len(), 706);
}

pub(super) async fn watchers_see_lines_and_revisions_before_the_answer(world: World) {
    let (lines, revisions) = (world.store.watch_lines(), world.store.watch_revision());
    let done = world.write(Write::InsertStack(stack(world.here, 1, "s", Vec::new()))).await.unwrap();
    assert_eq!(*lines.borrow(), done.lines[0]);
    assert_eq!(*revisions.borrow(), done.revision);
    let seq = world.store.append(line("/m")).await.unwrap();
    assert_eq!(*lines.borrow(), seq);
    assert_eq!(*revisions.borrow(), done.revision);
}

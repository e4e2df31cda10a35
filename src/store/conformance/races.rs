//! Many at once: one wins, once is once, and order is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::{Connector, Version};
use crate::store::{Revision, StoreError, Tx, Write};

use super::fixtures::{World, connector, line, principal, request, stack};

pub(super) async fn of_two_updates_one_wins(world: World) {
    let record = connector(world.here, 1, "source");
    world.add_connector(&record).await;
    let mut race = JoinSet::new();
    for number in 0..16 {
        let updated = Connector { version: Version(2), description: format!("{number}"), ..record.clone() };
        let update = Write::UpdateConnector { connector: updated, expected: Version(1), sealed: None };
        let (store, tx) = (Arc::clone(&world.store), Tx::with_line(line("/update")).write(update));
        race.spawn(async move { store.commit(tx).await.map(|_| number) });
    }
    let ends = race.join_all().await;
    let winners: Vec<i32> = ends.iter().filter_map(|end| end.clone().ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(ends.iter().filter(|end| **end == Err(StoreError::Stale)).count(), 15);
    let stored = world.store.connector(world.here, record.id).await.unwrap();
    assert_eq!((stored.description, stored.version), (winners[0].to_string(), Version(2)));
}

pub(super) async fn one_request_id_is_done_once_of_a_hundred(world: World) {
    let mut race = JoinSet::new();
    for number in 0..100_u8 {
        let insert = Write::InsertStack(stack(world.here, number.into(), &format!("s-{number}"), Vec::new()));
        let tx = Tx::with_line(line("/once")).write(insert).remember(Some(world.answer(1, number)));
        let store = Arc::clone(&world.store);
        race.spawn(async move { store.commit(tx).await.map(|_| number) });
    }
    let ends = race.join_all().await;
    let winners: Vec<u8> = ends.iter().filter_map(|end| end.clone().ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(ends.iter().filter(|end| **end == Err(StoreError::RequestIdUsed)).count(), 99);
    let recalled = world.store.recall(world.here, world.owner, request(1)).await.unwrap().unwrap();
    assert_eq!(recalled, world.answer(1, winners[0]));
    let listed = world.store.stacks(world.here, &Default::default(), &super::fixtures::first(100)).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}

pub(super) async fn an_answer_is_kept_for_a_day(world: World) {
    let tx = |body| Tx::with_line(line("/m")).remember(Some(world.answer(1, body)));
    world.store.commit(tx(1)).await.unwrap();
    let recall = async || world.store.recall(world.here, world.owner, request(1)).await.unwrap();
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert!(recall().await.is_some());
    assert_eq!(world.store.commit(tx(2)).await, Err(StoreError::RequestIdUsed));
    // Another's request with the same id is another request.
    let other = principal(world.here, 5, "x").id;
    assert_eq!(world.store.recall(world.here, other, request(1)).await, Ok(None));
    assert_eq!(world.store.recall(world.there, world.owner, request(1)).await, Ok(None));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(recall().await, None);
    let mut again = tx(2);
    again.remember = again
        .remember
        .map(|answer| crate::store::Remembered { at: crate::domain::Clock::now(&*world.clock), ..answer });
    world.store.commit(again).await.unwrap();
    assert_eq!(recall().await.unwrap().response, [2]);
}

pub(super) async fn the_feed_orders_every_change(world: World) {
    let start = *world.store.watch_revision().borrow();
    let made = world.furnish(world.here).await;
    let delete = Write::DeleteToken { project: world.here, id: made.token.id.clone() };
    world.write(delete).await.unwrap();
    // A line or an issuance alone is no change.
    world.store.append(line("/m")).await.unwrap();
    let told = world.store.changes_after(start, 100).await.unwrap();
    let nouns: Vec<_> = told.iter().map(|change| (change.revision.0 - start.0, change.noun.as_str())).collect();
    let wanted = [
        (1, "connector"),
        (2, "component"),
        (3, "stack"),
        (4, "principal"),
        (5, "token"),
        (6, "binding"),
        (7, "token"),
    ];
    assert_eq!(nouns, wanted);
    assert_eq!(told[0].id, made.connector.id.to_string());
    assert_eq!(told[4].id, made.token.id.0);
    assert!(told.iter().all(|change| change.project == world.here));
    assert_eq!(world.store.watch_revision().borrow().0, start.0 + 7);
    assert!(world.store.changes_after(Revision(start.0 + 7), 100).await.unwrap().is_empty());
}

pub(super) async fn the_feed_hands_out_whole_revisions(world: World) {
    let start = *world.store.watch_revision().borrow();
    for batch in 0..4_u64 {
        let writes = (0..5).map(|at| {
            let number = batch * 5 + at + 100;
            Write::InsertPrincipal(principal(world.here, number, &format!("p-{number}")))
        });
        world.store.commit(Tx { writes: writes.collect(), lines: vec![line("/m")], ..Tx::default() }).await.unwrap();
    }
    let count = async |after: u64, limit| {
        let told = world.store.changes_after(Revision(start.0 + after), limit).await.unwrap();
        (told.len(), told.last().unwrap().revision.0 - start.0)
    };
    assert_eq!(count(0, 7).await, (5, 1));
    assert_eq!(count(0, 10).await, (10, 2));
    assert_eq!(count(0, 3).await, (5, 1));
    assert_eq!(count(3, 100).await, (5, 4));
}

pub(super) async fn a_caller_that_goes_away_changes_nothing(world: World) {
    for number in 0..50 {
        let insert = Write::InsertStack(stack(world.here, number, &format!("s-{number}"), Vec::new()));
        let store = Arc::clone(&world.store);
        let task = tokio::task::unconstrained(async move {
            let commit = store.commit(Tx::with_line(line("/gone")).write(insert));
            // Polled once: it is accepted, and then nobody waits for it.
            tokio::select! {
                biased;
                _ = commit => {}
                () = std::future::ready(()) => {}
            }
        });
        task.await;
    }
    // What comes after is written after.
    world.store.append(line("/after")).await.unwrap();
    let listed = world.store.stacks(world.here, &Default::default(), &super::fixtures::first(100)).await.unwrap();
    assert_eq!(listed.items.len(), 50);
}

pub(super) async fn many_at_once_are_all_written(world: World) {
    let before = world.store.last_seq().await.unwrap().0;
    let mut race = JoinSet::new();
    for number in 0..500_u64 {
        let store = Arc::clone(&world.store);
        let here = world.here;
        race.spawn(async move {
            // One of five is refused, and takes nobody along.
            let named = if number % 5 == 0 { "same".to_owned() } else { format!("s-{number}") };
            let insert = Write::InsertStack(stack(here, number, &named, Vec::new()));
            store.commit(Tx::with_line(line("/m")).write(insert)).await.map(|done| done.lines[0].0)
        });
    }
    let ends = race.join_all().await;
    let mut places: Vec<u64> = ends.iter().filter_map(|end| end.clone().ok()).collect();
    places.sort_unstable();
    assert_eq!(places, (before + 1..=before + 401).collect::<Vec<_>>());
    assert_eq!(ends.iter().filter(|end| **end == Err(StoreError::NameTaken)).count(), 99);
}

//! The line of a hand-out: with the result for the one who leads, by itself
//! for everybody else, and none for a caller who has gone.

use std::sync::atomic::Ordering;

use crate::audit::{LineFilter, LineKind, Outcome, StoredLine};
use crate::connectors::paper::Cloud;
use crate::domain::{BindingTarget, IssuanceId, PageAsk, Role};
use crate::store::{AuditLines as _, Transactions as _, Tx, Write};

use super::super::fixture::House;
use super::tests::{ask, code, house_at, mint};

/// The lines about one issuance, in order: what kind, what became of it, why.
async fn story(house: &House, issuance: IssuanceId) -> Vec<(u64, &'static str, String)> {
    let page = PageAsk { size: 1000, after: None };
    let mut lines = house.store.lines(&LineFilter::default(), &page).await.unwrap().items;
    lines.retain(|stored| stored.line.issuance == Some(issuance));
    lines.sort_by_key(|stored| stored.seq);
    lines
        .into_iter()
        .map(|StoredLine { seq, line, .. }| (seq.0, kind(line.kind), line.reason.as_str().to_owned()))
        .collect()
}

const fn kind(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Intent => "intent",
        LineKind::Result(_) => "result",
        LineKind::Single => "single",
    }
}

/// Without the places.
fn words<'a>(story: &'a [(u64, &'static str, String)]) -> Vec<(&'static str, &'a str)> {
    story.iter().map(|(_, kind, reason)| (*kind, reason.as_str())).collect()
}

#[tokio::test]
async fn the_one_who_leads_is_handed_out_to_in_the_commit_of_the_result_and_later_ones_by_themselves() {
    let (house, _) = house_at("hand-out", |_| {}).await;
    let before = *house.store.watch_lines().borrow();
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    let told = story(&house, first).await;
    assert_eq!(words(&told), [("intent", ""), ("result", ""), ("single", "HANDED_OUT")]);
    let places: Vec<u64> = told.iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(places, [before.0 + 1, before.0 + 2, before.0 + 3], "nothing else is written for it");
    let again = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    assert_eq!(again, first);
    assert_eq!(words(&story(&house, first).await)[3..], [("single", "HANDED_OUT")]);
}

#[tokio::test]
async fn everybody_who_waited_for_a_flight_has_one_line() {
    let (house, _) = house_at("gate-everybody", |_| {}).await;
    let cloud = Cloud::of("gate-everybody");
    let calls =
        [house.call(&house.scientist).await, house.call(&house.scientist).await, house.call(&house.scientist).await];
    let asked = ask();
    let open = async {
        while cloud.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        cloud.gate.as_ref().unwrap().add_permits(1);
    };
    let (first, second, third, ()) = tokio::join!(
        house.broker.mint_credential(&calls[0], &asked),
        house.broker.mint_credential(&calls[1], &asked),
        house.broker.mint_credential(&calls[2], &asked),
        open
    );
    let issuance = first.ok().unwrap().issuance();
    assert_eq!([second.ok().unwrap().issuance(), third.ok().unwrap().issuance()], [issuance; 2]);
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 1);
    let told = story(&house, issuance).await;
    assert_eq!(words(&told)[..2], [("intent", ""), ("result", "")]);
    assert_eq!(words(&told)[2..], [("single", "HANDED_OUT"); 3]);
    assert!(calls.iter().all(|call| call.record.lined()));
}

#[tokio::test]
async fn a_caller_who_hung_up_before_the_result_was_handed_nothing_and_no_line_says_so() {
    let (house, _) = house_at("gate-gone", |_| {}).await;
    let cloud = Cloud::of("gate-gone");
    let call = house.call(&house.scientist).await;
    let asked = ask();
    {
        let flight = house.broker.mint_credential(&call, &asked);
        tokio::pin!(flight);
        while cloud.asked.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                _ = &mut flight => panic!("the gate is closed"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    cloud.gate.as_ref().unwrap().add_permits(1);
    let later = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 1);
    let told = story(&house, later).await;
    assert_eq!(words(&told), [("intent", ""), ("result", ""), ("single", "HANDED_OUT")], "one: to the later caller");
}

#[tokio::test]
async fn a_hand_out_to_the_one_who_leads_that_is_withheld_says_so() {
    let (house, _) = house_at("gate-withheld", |_| {}).await;
    let binding = house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    let cloud = Cloud::of("gate-withheld");
    let call = house.call(&house.runner).await;
    let asked = ask();
    let unbind = async {
        while cloud.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let write = Write::DeleteBinding { project: house.home.id, id: binding };
        house.store.commit(Tx::with_line(call.line(Outcome::Ok, "")).write(write)).await.unwrap();
        cloud.gate.as_ref().unwrap().add_permits(1);
    };
    let (answer, ()) = tokio::join!(house.broker.mint_credential(&call, &asked), unbind);
    assert_eq!(code(answer), "GRANT_MISSING");
    let page = PageAsk { size: 1000, after: None };
    let lines = house.store.lines(&LineFilter::default(), &page).await.unwrap().items;
    let handed_out = lines.iter().find(|stored| stored.line.reason.as_str() == "HANDED_OUT").unwrap();
    let told = story(&house, handed_out.line.issuance.unwrap()).await;
    let expected = [("intent", ""), ("result", ""), ("single", "HANDED_OUT"), ("single", "WITHHELD")];
    assert_eq!(words(&told), expected);
}

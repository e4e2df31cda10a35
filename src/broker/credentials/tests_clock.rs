//! G6 in the broker: a clock that jumps stops minting and revives nothing.

use std::time::Duration;

use super::super::fixture::{House, once};
use super::super::{BrokerError, NewRun, NewToken};
use super::tests::{ask, code, house_at, lines, mint};
use crate::audit::Outcome;
use crate::domain::Ttl;

const DAY: i64 = 24 * 3600;

async fn accept(house: &House, who: &super::super::fixture::Person) -> Result<(), BrokerError> {
    house.broker.accept_clock(&house.call(who).await, None).await.map(drop)
}

#[tokio::test]
async fn g6_nothing_is_minted_by_a_clock_that_went_back_nor_handed_out_from_memory() {
    let (house, _) = house_at("clock-back", |_| {}).await;
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
    house.clock.jump(-DAY);
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "CLOCK_JUMPED", "not what is kept, either");
    assert_eq!(lines(&house, Outcome::Failed, "CLOCK_JUMPED").await, 1, "the refusal is in the ledger");
    house.clock.jump(DAY);
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK", "set back it is believed again");
}

#[tokio::test]
async fn g6_a_clock_that_went_back_revives_no_token() {
    let (house, _) = house_at("clock-revives", |_| {}).await;
    let call = house.call(&house.owner).await;
    let short = NewToken { ttl_seconds: Some(60), ..NewToken::default() };
    let made = house.broker.create_token(&call, short, None).await.ok().unwrap();
    let header = format!("Bearer {}", made.secret.as_ref().unwrap().reveal()).into_bytes();
    assert!(house.broker.authenticate(&header).await.is_ok());
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(code(house.broker.authenticate(&header).await), "UNAUTHENTICATED");
    house.clock.jump(-DAY);
    let again = house.broker.authenticate(&header).await;
    assert_eq!(code(again), "UNAUTHENTICATED", "by the time that has passed it is over");
}

#[tokio::test]
async fn g6_no_token_and_no_run_is_made_while_their_end_could_not_be_judged() {
    let (house, _) = house_at("clock-tokens", |_| {}).await;
    house.clock.jump(DAY);
    let call = house.call(&house.owner).await;
    assert_eq!(code(house.broker.create_token(&call, NewToken::default(), None).await), "CLOCK_JUMPED");
    let ask = NewRun { stack: "none".to_owned(), name: None, duration: Some(Ttl::seconds(600)), token_ttl: None };
    let call = house.call(&house.scientist).await;
    assert_ne!(code(house.broker.start_run(&call, ask, None).await), "OK");
}

#[tokio::test]
async fn g6_an_owner_accepts_the_clock_and_nobody_else_does() {
    let (house, _) = house_at("clock-accepted", |_| {}).await;
    assert_eq!(code(accept(&house, &house.owner).await), "CLOCK_NOT_IN_DOUBT");
    house.clock.jump(DAY);
    for who in [&house.engineer, &house.scientist, &house.auditor, &house.runner] {
        assert_eq!(code(accept(&house, who).await), "GRANT_MISSING", "{}", who.name);
    }
    let call = house.call(&house.owner).await;
    let jump = house.broker.daemon_status(&call).await.unwrap().clock.unwrap();
    assert_eq!(jump.shown.seconds() - jump.expected.seconds(), DAY);
    accept(&house, &house.owner).await.unwrap();
    assert_eq!(lines(&house, Outcome::Ok, "CLOCK_ACCEPTED").await, 1);
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
    assert!(house.broker.daemon_status(&call).await.unwrap().clock.is_none());
}

/// Case I5. The answer is kept by the clock that was accepted, whichever way it went.
#[tokio::test]
async fn i5_a_clock_is_accepted_once_under_one_request_id() {
    for jump in [2 * DAY, -2 * DAY] {
        let (house, _) = house_at("clock-once", |_| {}).await;
        let call = house.call(&house.owner).await;
        house.clock.jump(jump);
        let doubt = house.broker.daemon_status(&call).await.unwrap().clock.unwrap();
        assert_eq!(house.broker.accept_clock(&call, Some(&once(7, 1))).await.unwrap(), doubt);
        let call = house.call(&house.owner).await;
        assert_eq!(house.broker.accept_clock(&call, Some(&once(7, 1))).await.unwrap(), doubt, "the answer of before");
        assert_eq!(code(house.broker.accept_clock(&call, Some(&once(7, 2))).await), "REQUEST_ID_REUSED");
        assert_eq!(code(house.broker.accept_clock(&call, Some(&once(8, 1))).await), "CLOCK_NOT_IN_DOUBT");
        house.clock.jump(jump / 48);
        assert_eq!(house.broker.accept_clock(&call, Some(&once(7, 1))).await.unwrap(), doubt, "not the next jump");
        assert!(house.broker.daemon_status(&call).await.unwrap().clock.is_some(), "that one is in doubt");
        assert_eq!(lines(&house, Outcome::Ok, "CLOCK_ACCEPTED").await, 1);
    }
}

//! A cloud of paper that asks to slow down, and what is asked of it then.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::connectors::UpstreamError;
use crate::connectors::paper::Cloud;
use crate::domain::{ConnectorId, Timestamp};

use super::super::fixture::no_change;
use super::super::{BrokerError, MintAsk, MintSource, Update};
use super::breaker::{Breakers, PAUSE_MAX, PAUSED_MAX};
use super::tests::{ask, code, house_at, mint};

const NOW: Timestamp = Timestamp::from_seconds(1_000);
const ONE: ConnectorId = ConnectorId::from_bytes([1; 16]);
const OTHER: ConnectorId = ConnectorId::from_bytes([2; 16]);

fn throttled(seconds: Option<u64>) -> BrokerError {
    UpstreamError::Throttled { retry_after: seconds.map(Duration::from_secs) }.into()
}

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// One ask that the cloud answers so.
fn asked(breakers: &Breakers, connector: ConnectorId, answer: BrokerError, now: Timestamp) {
    breakers.pass(connector, now).ok().unwrap().landed(&Err(answer), now);
}

/// How long an ask is told to wait, in seconds.
fn wait(breakers: &Breakers, connector: ConnectorId, now: Timestamp) -> Option<u64> {
    match breakers.pass(connector, now).err() {
        Some(BrokerError::Upstream(UpstreamError::Throttled { retry_after })) => retry_after.map(|left| left.as_secs()),
        _ => None,
    }
}

#[test]
fn a_throttled_connector_is_told_what_is_left_and_another_is_not() {
    let breakers = Breakers::default();
    asked(&breakers, ONE, throttled(Some(30)), NOW);
    assert_eq!([0, 12, 29].map(|later| wait(&breakers, ONE, after(later))), [Some(30), Some(18), Some(1)]);
    assert_eq!(wait(&breakers, OTHER, NOW), None);
    assert_eq!(wait(&breakers, ONE, after(30)), None, "its time is over");
}

#[test]
fn one_asks_when_the_time_is_over_and_what_it_comes_to_is_for_all() {
    let breakers = Breakers::default();
    asked(&breakers, ONE, throttled(Some(5)), NOW);
    let probe = breakers.pass(ONE, after(5)).ok().unwrap();
    assert_eq!(wait(&breakers, ONE, after(5)), Some(1), "one at a time");
    probe.landed(&Err(throttled(Some(7))), after(6));
    assert_eq!(wait(&breakers, ONE, after(6)), Some(7));
    // One that ends without an answer leaves its place to the next.
    drop(breakers.pass(ONE, after(13)).ok().unwrap());
    asked(&breakers, ONE, UpstreamError::Unavailable { what: "test" }.into(), after(14));
    let both = (breakers.pass(ONE, after(14)), breakers.pass(ONE, after(14)));
    assert!(both.0.is_ok() && both.1.is_ok(), "another answer than that ends the pause");
}

#[test]
fn a_cloud_that_does_not_say_how_long_is_left_alone_twice_as_long_each_time() {
    let breakers = Breakers::default();
    let mut now = NOW;
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        asked(&breakers, ONE, throttled(None), now);
        assert_eq!(wait(&breakers, ONE, now), Some(seconds));
        now = now.plus(Duration::from_secs(seconds));
    }
    asked(&breakers, OTHER, throttled(Some(86_400)), NOW);
    assert_eq!(wait(&breakers, OTHER, NOW), Some(PAUSE_MAX.as_secs()), "but for a minute at most");
}

#[test]
fn asks_that_were_under_way_are_one_answer_and_do_not_end_a_pause() {
    let breakers = Breakers::default();
    let [first, second, third] = [(); 3].map(|()| breakers.pass(ONE, NOW).ok().unwrap());
    first.landed(&Err(throttled(None)), NOW);
    second.landed(&Err(throttled(None)), after(1));
    assert_eq!(wait(&breakers, ONE, after(1)), Some(2), "not twice as long");
    third.landed(&Err(UpstreamError::DeadlineExceeded.into()), after(1));
    assert_eq!(wait(&breakers, ONE, after(1)), Some(2), "it was asked before");
    breakers.forget(ONE);
    assert_eq!(wait(&breakers, ONE, after(1)), None, "a connector that was changed is another");
}

#[test]
fn what_is_known_of_clouds_is_bounded_and_what_is_over_makes_room() {
    let breakers = Breakers::default();
    let connector = |number: usize| {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        ConnectorId::from_bytes(id)
    };
    for number in 0..PAUSED_MAX {
        asked(&breakers, connector(number), throttled(Some(10)), NOW);
    }
    asked(&breakers, ONE, throttled(Some(10)), NOW);
    assert_eq!(wait(&breakers, ONE, NOW), None, "there is no room to know it");
    asked(&breakers, ONE, throttled(Some(10)), after(10));
    assert_eq!(wait(&breakers, ONE, after(10)), Some(10));
}

/// Case F8.
#[tokio::test]
async fn f8_a_throttling_cloud_is_left_alone_whatever_is_asked_for_and_what_is_kept_serves() {
    let (house, _) = house_at("slow", |_| {}).await;
    house.connector_at(&house.home.clone(), "elsewhere", "not-slow", |_| {}).await;
    let cloud = Cloud::of("slow");
    let of = |resource: &str| MintAsk { resource: Some(resource.to_owned()), ..ask() };
    let first = mint(&house, &house.scientist, &of("paper://a")).await.ok().unwrap();
    *cloud.slow.lock().unwrap() = Some(Some(Duration::from_secs(30)));
    assert_eq!(code(mint(&house, &house.scientist, &of("paper://b")).await), "UPSTREAM_THROTTLED");
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 2);
    house.clock.advance(Duration::from_secs(12));
    for resource in ["paper://b", "paper://c", "paper://d"] {
        let refused = mint(&house, &house.scientist, &of(resource)).await.err();
        assert_eq!(refused, Some(throttled(Some(18))), "{resource}: what is left");
    }
    let kept = mint(&house, &house.scientist, &of("paper://a")).await.ok().unwrap();
    assert_eq!(kept.issuance(), first.issuance());
    let other = MintAsk { source: MintSource::Connector("elsewhere".to_owned()), ..ask() };
    assert_eq!(code(mint(&house, &house.scientist, &other).await), "OK", "another connector's cloud is asked");
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 2, "nobody asked");
    *cloud.slow.lock().unwrap() = None;
    house.clock.advance(Duration::from_secs(18));
    for resource in ["paper://c", "paper://b", "paper://d"] {
        assert_eq!(code(mint(&house, &house.scientist, &of(resource)).await), "OK", "{resource}");
    }
}

/// The manual says so of every change, and it is tried with what was refused already.
#[tokio::test]
async fn a_change_of_the_connector_ends_the_pause() {
    let (house, connector) = house_at("slow-changed", |_| {}).await;
    let cloud = Cloud::of("slow-changed");
    *cloud.slow.lock().unwrap() = Some(Some(Duration::from_secs(30)));
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "UPSTREAM_THROTTLED");
    *cloud.slow.lock().unwrap() = None;
    let update = Update {
        description: Some("asked to be let in again".to_owned()),
        ..no_change(&connector.name.to_string(), connector.version)
    };
    house.broker.update_connector(&house.call(&house.engineer).await, update).await.unwrap();
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
}

#[tokio::test]
async fn what_is_kept_survives_a_throttling_cloud_beyond_its_refresh() {
    let (house, _) = house_at("slow-refresh", |_| {}).await;
    let cloud = Cloud::of("slow-refresh");
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    *cloud.slow.lock().unwrap() = Some(None);
    // A bearer token of an hour: floor 8 minutes; 6 minutes are left.
    house.clock.advance(Duration::from_secs(54 * 60));
    for _ in 0..50 {
        let kept = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
        assert_eq!(kept.issuance(), first.issuance());
    }
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 2, "one ask found out");
}

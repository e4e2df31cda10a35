//! Watching with a slow reader, and with more streams than a principal's
//! share.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::audit::Outcome;
use crate::connectors::paper::Cloud;
use crate::domain::{PageAsk, Role};
use crate::store::{IssuanceFilter, Issuances as _};

use super::super::Revoke;
use super::tests::{ask, house_at, lines, until};
use super::watch::WATCHES_MAX;

/// What waits for a slow reader when it is withdrawn is never read.
#[tokio::test]
async fn a_credential_withdrawn_while_its_reader_was_slow_is_replaced_before_it_is_read() {
    let (house, _) = house_at("watch-withdrawn", |_| {}).await;
    let cloud = Cloud::of("watch-withdrawn");
    let call = house.call(&house.scientist).await;
    let mut pushed = house.broker.watch_credential(&call, ask()).unwrap();
    until(|| !pushed.is_empty()).await;
    // The first one is not read, so the second one waits for its room.
    house.clock.advance(Duration::from_secs(45 * 60));
    until(|| cloud.asked.load(Ordering::SeqCst) == 2).await;
    while lines(&house, Outcome::Ok, "HANDED_OUT").await < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let page = PageAsk { size: 1, after: None };
    let newest = house.store.issuances(house.home.id, &IssuanceFilter::default(), &page).await.unwrap();
    let second = newest.items[0].id;
    let revoke = Revoke { issuances: vec![second.to_string()], ..Revoke::default() };
    house.broker.revoke_issuances(&house.call(&house.engineer).await, &revoke).await.unwrap();
    let first = pushed.recv().await.unwrap().ok().unwrap();
    assert_ne!(first.issuance(), second);
    let next = pushed.recv().await.unwrap().ok().unwrap();
    assert_ne!(next.issuance(), second, "the withdrawn one is read by nobody");
    assert_ne!(next.issuance(), first.issuance());
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 3);
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 3, "the one in its place has a line of its own");
}

#[tokio::test]
async fn a_principal_watches_its_share_and_others_still_watch() {
    let (house, _) = house_at("watch-share", |_| {}).await;
    let other = house.person(&house.home.clone(), "siri", Some(Role::DataScientist)).await;
    let call = house.call(&house.scientist).await;
    let places = &house.broker.watches;
    let held: Vec<_> = (1..WATCHES_MAX / 4).map(|_| places.take(call.principal().id).ok().unwrap()).collect();
    let last = house.broker.watch_credential(&call, ask()).unwrap();
    let refused = house.broker.watch_credential(&call, ask()).err().unwrap();
    assert_eq!(refused.code(), "PRINCIPAL_WATCHES");
    assert!(refused.to_string().contains("1024") && refused.to_string().contains("limits.principal_share"));
    let theirs = house.broker.watch_credential(&house.call(&other).await, ask());
    assert!(theirs.is_ok());
    drop((last, theirs, held));
    until(|| places.taken() == 0).await;
    assert!(house.broker.watch_credential(&call, ask()).is_ok());
}

//! Revoking where a credential was minted, and nowhere else.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::connectors::find;
use crate::connectors::paper::Cloud;
use crate::domain::{IssuanceState, SecretFieldName};
use crate::sealing::{Plaintext, SourceCredential};
use crate::store::{Connectors as _, Issuances as _};

use super::super::Update;
use super::super::fixture::{House, no_change};
use super::revoke::leads_there_still;
use super::tests::{ask, house_at, mint};
use super::{Revoke, Revoked};

/// Points the connector at another cloud, with the secret handed in again.
async fn point_at(house: &House, endpoint: &str) {
    let call = house.call(&house.engineer).await;
    let now = house.broker.describe_connector(&call, "vault").await.unwrap().connector;
    let stamp = (SecretFieldName::parse("stamp").unwrap(), Plaintext::new(b"canary-stamp".to_vec()));
    let update = Update {
        settings: Some(format!(r#"{{"endpoint":"{endpoint}"}}"#)),
        secret: SourceCredential::new([stamp].into()),
        ..no_change("vault", now.version)
    };
    house.broker.update_connector(&call, update).await.unwrap();
}

async fn revoke(house: &House, issuance: impl ToString) -> Revoked {
    let call = house.call(&house.engineer).await;
    let revoke = Revoke { issuances: vec![issuance.to_string()], ..Revoke::default() };
    house.broker.revoke_issuances(&call, &revoke).await.unwrap().remove(0)
}

fn ended(endpoint: &str) -> u32 {
    Cloud::of(endpoint).ended.load(Ordering::SeqCst)
}

/// A cloud that knows nothing of a credential says that it is gone.
#[tokio::test]
async fn a_cloud_that_did_not_mint_it_is_not_asked_to_end_it() {
    let (house, _) = house_at("ends-here", |_| {}).await;
    let minted = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    point_at(&house, "ends-elsewhere").await;
    let told = revoke(&house, minted).await;
    assert_eq!(told.issuance.state, IssuanceState::Withdrawn);
    assert!(told.note.contains("honours it until") && told.note.contains("leads elsewhere by now"), "{}", told.note);
    assert_eq!((ended("ends-here"), ended("ends-elsewhere")), (0, 0));
    // What was minted there is ended there.
    let theirs = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    assert_eq!(revoke(&house, theirs).await.issuance.state, IssuanceState::Revoked);
    // Pointed there again, the first one is, too.
    point_at(&house, "ends-here").await;
    assert_eq!(revoke(&house, minted).await.issuance.state, IssuanceState::Revoked);
    assert_eq!((ended("ends-here"), ended("ends-elsewhere")), (1, 1));
}

/// Records from before it was recorded where they were minted.
#[tokio::test]
async fn a_record_that_does_not_say_where_is_ended_only_by_a_connector_that_has_not_changed() {
    let (house, _) = house_at("ends-old", |_| {}).await;
    let minted = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    let mut record = house.store.issuance(house.home.id, minted).await.unwrap();
    assert!(record.destination.take().is_some());
    let connector = house.store.connector(house.home.id, record.connector).await.unwrap();
    assert!(leads_there_still(&connector, &record));
    house.clock.advance(Duration::from_secs(1));
    point_at(&house, "ends-old").await;
    let connector = house.store.connector(house.home.id, record.connector).await.unwrap();
    assert!(!leads_there_still(&connector, &record));
}

/// What helps with one cloud is wrong advice about another.
#[tokio::test]
async fn what_ends_only_with_all_the_others_is_told_in_the_words_of_its_cloud() {
    let (house, _) = house_at("wide", |_| {}).await;
    let minted = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    let told = revoke(&house, minted).await;
    assert_eq!((told.issuance.state, ended("wide")), (IssuanceState::Withdrawn, 0));
    assert!(told.note.ends_with("; to end all letters sooner, burn the shelf"), "{}", told.note);
    for (kind, words) in [("aws", "aws:TokenIssueTime"), ("azure", "revoke-delegation-keys")] {
        assert!(find(kind).unwrap().description().ends_widely.unwrap().contains(words), "{kind}");
    }
}

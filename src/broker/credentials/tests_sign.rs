//! Signatures on behalf of a session, with a cloud of paper that lends them:
//! to whom, for how long, and what a change in mid-flight does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::audit::Outcome;
use crate::connectors::Challenge;
use crate::connectors::paper::Cloud;
use crate::domain::{
    AccessLevel, BindingTarget, ComponentLink, Connector, IssuanceId, ResourceId, ResourceTypeName, Role,
};

use super::super::fixture::{House, Person};
use super::super::{BrokerError, Connect, Link, MintAsk, MintSource, Revoke, SignAsk};
use super::tests::{ask, code, house_at, lines, mint};

fn letter(issuance: IssuanceId) -> SignAsk {
    SignAsk { issuance, challenge: Challenge { data: b"a letter".to_vec(), flags: 0, binding: None } }
}

async fn sign(house: &House, who: &Person, issuance: IssuanceId) -> Result<Vec<u8>, BrokerError> {
    house.broker.sign_challenge(&house.call(who).await, letter(issuance)).await
}

async fn session(house: &House, who: &Person) -> IssuanceId {
    mint(house, who, &ask()).await.ok().unwrap().issuance()
}

async fn revoke(house: &House, issuance: IssuanceId) {
    let ask = Revoke { issuances: vec![issuance.to_string()], ..Revoke::default() };
    house.broker.revoke_issuances(&house.call(&house.engineer).await, &ask).await.unwrap();
}

fn asked(endpoint: &str) -> u32 {
    Cloud::of(endpoint).asked.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_session_signs_for_its_holder_until_it_ends_and_for_nobody_else() {
    let (house, _) = house_at("signs", |connector| connector.policy.shared = true).await;
    let own = session(&house, &house.scientist).await;
    assert_eq!(sign(&house, &house.scientist, own).await, Ok(b"signed".to_vec()));
    assert_eq!(lines(&house, Outcome::Ok, "SIGNED").await, 1);
    // It is nobody else's, also where credentials of the connector are shared.
    let other = house.person(&house.home.clone(), "siri", Some(Role::DataScientist)).await;
    assert_ne!(session(&house, &other).await, own);
    let before = asked("signs");
    assert_eq!(code(sign(&house, &other, own).await), "NOT_FOUND");
    assert_eq!(code(sign(&house, &house.runner, own).await), "GRANT_MISSING");
    house.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(code(sign(&house, &house.scientist, own).await), "SESSION_ENDED");
    assert_eq!(asked("signs"), before, "nothing was asked for any of them");
    assert_eq!(lines(&house, Outcome::Denied, "SESSION_ENDED").await, 1);
}

#[tokio::test]
async fn what_a_session_may_not_sign_is_refused_and_its_entry_says_why() {
    let (house, _) = house_at("signs-letters", |_| {}).await;
    let own = session(&house, &house.scientist).await;
    let file = SignAsk { challenge: Challenge { data: b"a file".to_vec(), ..letter(own).challenge }, ..letter(own) };
    let call = house.call(&house.scientist).await;
    assert_eq!(code(house.broker.sign_challenge(&call, file).await), "SIGNATURE_REFUSED");
    assert_eq!(lines(&house, Outcome::Denied, "SIGNATURE_REFUSED").await, 1);
    assert_eq!(lines(&house, Outcome::Ok, "SIGNED").await, 0);
}

#[tokio::test]
async fn a_withdrawn_session_and_what_is_none_sign_nothing() {
    let (house, _) = house_at("signs-withdrawn", |_| {}).await;
    let own = session(&house, &house.scientist).await;
    revoke(&house, own).await;
    let before = asked("signs-withdrawn");
    assert_eq!(code(sign(&house, &house.scientist, own).await), "SESSION_ENDED");
    assert_eq!(asked("signs-withdrawn"), before);
    // A credential of another shape is no session, whoever holds it.
    let (house, _) = house_at("no-signatures", |_| {}).await;
    let bearer = session(&house, &house.scientist).await;
    let refused = sign(&house, &house.scientist, bearer).await.unwrap_err();
    assert_eq!((refused.code(), refused.to_string().contains("no signing session")), ("SESSION_ENDED", true));
}

#[tokio::test]
async fn a_session_that_is_withdrawn_while_it_signs_hands_no_signature_out() {
    let (house, _) = house_at("gate-signs", |_| {}).await;
    let cloud = Cloud::of("gate-signs");
    cloud.gate.as_ref().unwrap().add_permits(1);
    let own = session(&house, &house.scientist).await;
    let call = house.call(&house.scientist).await;
    let withdraw = async {
        while cloud.asked.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        revoke(&house, own).await;
        cloud.gate.as_ref().unwrap().add_permits(1);
    };
    let broker = Arc::clone(&house.broker);
    let (answer, ()) = tokio::join!(broker.sign_challenge(&call, letter(own)), withdraw);
    assert_eq!(code(answer), "SESSION_ENDED");
}

fn link(connector: &Connector, resource: &str) -> ComponentLink {
    ComponentLink {
        connector: connector.id,
        resource_type: ResourceTypeName::parse("paper-shelf").unwrap(),
        resource_id: ResourceId::canonical(resource).unwrap(),
        access_max: AccessLevel::Read,
    }
}

#[tokio::test]
async fn a_session_through_a_component_that_is_linked_elsewhere_signs_nothing_more() {
    let (house, connector) = house_at("signs-linked", |_| {}).await;
    let home = house.home.clone();
    house.connector_at(&home, "other", "signs-other", |_| {}).await;
    let component = house.component(&home, "desk", Some(link(&connector, "paper://shelf"))).await;
    let through = MintAsk { source: MintSource::Component("desk".to_owned()), resource: None, ..ask() };
    let elsewhere = |connector: &str, resource: &str| Connect {
        component: "desk".to_owned(),
        link: Some(Link {
            connector: connector.to_owned(),
            resource: Some(resource.to_owned()),
            access_max: AccessLevel::Read,
        }),
        expected: None,
    };
    let engineer = house.call(&house.engineer).await;
    for (connector, resource, due) in
        [("other", "paper://shelf", "SESSION_ENDED"), ("other", "paper://desk", "INVALID_FIELD")]
    {
        let own = mint(&house, &house.scientist, &through).await.ok().unwrap().issuance();
        assert_eq!(code(sign(&house, &house.scientist, own).await), "OK");
        house.broker.connect_component(&engineer, elsewhere(connector, resource), None).await.unwrap();
        assert_eq!(code(sign(&house, &house.scientist, own).await), due, "{resource} of {connector}");
    }
    // Who holds this component only learns of no session of others, and is told so.
    house.bind(&house.runner, Role::DataScientist, BindingTarget::Component(component.id)).await;
    let theirs = mint(&house, &house.scientist, &through).await.ok().unwrap().issuance();
    assert_eq!(code(sign(&house, &house.runner, theirs).await), "NOT_FOUND");
}

//! A right that goes takes with it what was minted by it: dropped, and so
//! wiped, before the change is acknowledged; also what is still on its way.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::connectors::paper::Cloud;
use crate::domain::{AccessLevel, BindingTarget, ComponentLink, ResourceId, ResourceTypeName, Role, SecretFieldName};
use crate::sealing::{Plaintext, SourceCredential};

use super::super::fixture::{House, Person, no_change};
use super::super::{Connect, Link, MintAsk, MintSource, Rotate, Update};
use super::cache::Kept;
use super::tests::{ask, code, house_at, mint};

/// What is kept of this ask, without keeping it.
async fn kept(house: &House, who: &Person, ask: &MintAsk) -> Weak<Kept> {
    drop(mint(house, who, ask).await.ok().unwrap());
    found(house, who, ask).await.unwrap()
}

async fn found(house: &House, who: &Person, ask: &MintAsk) -> Option<Weak<Kept>> {
    let plan = house.broker.plan(&house.call(who).await, ask).await.unwrap();
    house.broker.cache.find(&plan.key).map(|kept| Arc::downgrade(&kept))
}

fn wiped(kept: &Weak<Kept>) -> bool {
    kept.upgrade().is_none()
}

fn through(component: &str) -> MintAsk {
    MintAsk { source: MintSource::Component(component.to_owned()), resource: None, ..ask() }
}

#[tokio::test]
async fn a_role_taken_away_wipes_what_its_holder_had_minted_wherever_it_held() {
    let (house, connector) = house_at("touched-binding", |_| {}).await;
    let owner = house.call(&house.owner).await;
    let neighbour = kept(&house, &house.scientist, &ask()).await;
    for target in [BindingTarget::Project, BindingTarget::Connector(connector.id)] {
        let binding = house.bind(&house.runner, Role::DataScientist, target).await;
        let minted = kept(&house, &house.runner, &ask()).await;
        house.broker.delete_binding(&owner, &binding.to_string(), None).await.unwrap();
        assert!(wiped(&minted), "{target:?}");
        assert_eq!(code(mint(&house, &house.runner, &ask()).await), "GRANT_MISSING");
    }
    assert!(!wiped(&neighbour), "what somebody else had minted stays");
}

#[tokio::test]
async fn a_shared_credential_goes_with_the_right_of_whoever_had_it_minted() {
    let (house, _) = house_at("touched-shared", |connector| connector.policy.shared = true).await;
    let binding = house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    let minted = kept(&house, &house.runner, &ask()).await;
    let owner = house.call(&house.owner).await;
    house.broker.delete_binding(&owner, &binding.to_string(), None).await.unwrap();
    assert!(wiped(&minted));
    let minted = kept(&house, &house.scientist, &ask()).await;
    house.broker.delete_principal(&owner, house.runner.name.as_str(), None).await.unwrap();
    assert!(!wiped(&minted), "somebody else had this one minted");
}

#[tokio::test]
async fn a_deleted_principal_and_a_revoked_token_leave_nothing_behind() {
    let (house, _) = house_at("touched-principal", |_| {}).await;
    let owner = house.call(&house.owner).await;
    let minted = kept(&house, &house.scientist, &ask()).await;
    house.broker.revoke_token(&owner, &house.scientist.token.0, None).await.unwrap();
    assert!(wiped(&minted), "a token revoked");
    house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    let minted = kept(&house, &house.runner, &ask()).await;
    house.broker.delete_principal(&owner, house.runner.name.as_str(), None).await.unwrap();
    assert!(wiped(&minted), "a principal deleted");
}

#[tokio::test]
async fn a_component_linked_elsewhere_unlinked_or_deleted_wipes_what_was_minted_through_it() {
    let (house, connector) = house_at("touched-component", |_| {}).await;
    let home = house.home.clone();
    let link = ComponentLink {
        connector: connector.id,
        resource_type: ResourceTypeName::parse("paper-shelf").unwrap(),
        resource_id: ResourceId::canonical("paper://shelf").unwrap(),
        access_max: AccessLevel::Read,
    };
    house.component(&home, "store", Some(link)).await;
    let engineer = house.call(&house.engineer).await;
    let direct = kept(&house, &house.scientist, &ask()).await;
    let linked = |resource: Option<&str>| Connect {
        component: "store".to_owned(),
        link: resource.map(|resource| Link {
            connector: "vault".to_owned(),
            resource: Some(resource.to_owned()),
            access_max: AccessLevel::Read,
        }),
        expected: None,
    };
    for resource in [Some("paper://other"), None] {
        let minted = kept(&house, &house.scientist, &through("store")).await;
        house.broker.connect_component(&engineer, linked(resource), None).await.unwrap();
        assert!(wiped(&minted), "{resource:?}");
    }
    house.broker.connect_component(&engineer, linked(Some("paper://shelf")), None).await.unwrap();
    let minted = kept(&house, &house.scientist, &through("store")).await;
    house.broker.delete_component(&engineer, "store", None, None).await.unwrap();
    assert!(wiped(&minted), "deleted");
    assert!(!wiped(&direct), "what was minted by the connector itself stays");
}

#[tokio::test]
async fn a_connector_that_is_rotated_changed_or_deleted_leaves_nothing_of_what_it_minted() {
    let (house, connector) = house_at("touched-connector", |_| {}).await;
    let engineer = house.call(&house.engineer).await;
    let stamp = || {
        let field = SecretFieldName::parse("stamp").unwrap();
        SourceCredential::new([(field, Plaintext::new(b"another-stamp".to_vec()))].into())
    };
    let minted = kept(&house, &house.scientist, &ask()).await;
    let rotate = Rotate {
        connector: "vault".to_owned(),
        secret: stamp(),
        expected: None,
        secret_expires_at: None,
        skip_verify: true,
        validate_only: false,
        once: None,
    };
    let rotated = house.broker.rotate_connector_secret(&engineer, rotate).await.unwrap();
    assert!(wiped(&minted), "rotated");
    let minted = kept(&house, &house.scientist, &ask()).await;
    let update = Update { secret: stamp(), skip_verify: true, ..no_change(&connector.id.to_string(), rotated.version) };
    house.broker.update_connector(&engineer, update).await.unwrap();
    assert!(wiped(&minted), "changed");
    let minted = kept(&house, &house.scientist, &ask()).await;
    house.broker.delete_connector(&engineer, "vault", None, None).await.unwrap();
    assert!(wiped(&minted), "deleted");
}

#[tokio::test]
async fn a_mint_in_flight_puts_nothing_back_of_what_a_change_took() {
    let (house, connector) = house_at("gate-touched", |_| {}).await;
    let cloud = Cloud::of("gate-touched");
    // Two grants: the mint goes on by the one that stays.
    let binding = house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    house.bind(&house.runner, Role::DataScientist, BindingTarget::Connector(connector.id)).await;
    let (call, owner) = (house.call(&house.runner).await, house.call(&house.owner).await);
    let asked = ask();
    let flight = house.broker.mint_credential(&call, &asked);
    let unbind = async {
        while cloud.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        house.broker.delete_binding(&owner, &binding.to_string(), None).await.unwrap();
        cloud.gate.as_ref().unwrap().add_permits(1);
    };
    let (out, ()) = tokio::join!(flight, unbind);
    let first = out.ok().unwrap().issuance();
    assert!(found(&house, &house.runner, &ask()).await.is_none(), "it was handed out and is not kept");
    cloud.gate.as_ref().unwrap().add_permits(1);
    let next = mint(&house, &house.runner, &ask()).await.ok().unwrap();
    assert_ne!(next.issuance(), first);
    assert!(found(&house, &house.runner, &ask()).await.is_some(), "the next one, which knows of the change, is");
}

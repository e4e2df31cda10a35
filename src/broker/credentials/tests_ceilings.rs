//! Each ceiling counts, the nearest end counts, and what a cloud hands over
//! is looked at before it is believed.

use std::time::Duration;

use crate::authz::Limits;
use crate::domain::{
    AccessLevel, BindingTarget, ComponentLink, Conditions, Connector, Downscope, EnforcedScope, Minted, MintedShape,
    ResourceId, ResourceTypeName, Revocable, Role, SecretText, Timestamp, Ttl,
};

use super::super::fixture::House;
use super::super::{BrokerError, MintAsk, MintSource};
use super::outliving::HardEnd;
use super::tests::{ask, code, house_at, mint};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn of_several_hard_ends_the_nearest_counts_and_a_minute_more_is_nothing() {
    let now = Timestamp::from_seconds(1_000_000);
    let limits = |ttl: Option<u32>, end: Option<u64>| Limits {
        access_max: AccessLevel::Read,
        ttl_max: ttl.map(Ttl::seconds),
        not_after: end.map(|end| now.plus(seconds(end))),
    };
    for (end, nearest) in [
        (HardEnd::new(Some(Ttl::seconds(600)), &limits(Some(900), Some(1_200)), None), 600),
        (HardEnd::new(Some(Ttl::seconds(1_200)), &limits(Some(600), Some(900)), None), 600),
        (HardEnd::new(Some(Ttl::seconds(900)), &limits(Some(1_200), Some(600)), None), 600),
        (HardEnd::new(None, &limits(None, Some(700)), Some(now.plus(seconds(700)))), 700),
    ] {
        assert_eq!(end.check(now.plus(seconds(nearest + 60)), now), Ok(()), "{end:?}");
        let beyond = end.check(Timestamp::from_millis(now.plus(seconds(nearest + 60)).millis() + 1), now);
        assert_eq!(beyond.unwrap_err().code(), "OUTLIVES_CEILING", "{end:?}");
    }
    assert_eq!(HardEnd::new(None, &limits(None, None), None).check(now.plus(seconds(1 << 40)), now), Ok(()));
}

async fn linked(house: &House, connector: &Connector, access_max: AccessLevel) {
    let link = ComponentLink {
        connector: connector.id,
        resource_type: ResourceTypeName::parse("paper-shelf").unwrap(),
        resource_id: ResourceId::canonical("paper://shelf").unwrap(),
        access_max,
    };
    house.component(&house.home.clone(), access_max.as_str(), Some(link)).await;
}

fn through(component: AccessLevel, access: AccessLevel) -> MintAsk {
    let source = MintSource::Component(component.as_str().to_owned());
    MintAsk { source, resource_type: None, resource: None, access, ..ask() }
}

#[tokio::test]
async fn a_link_and_its_connector_each_bound_what_is_minted_through_it() {
    let (house, connector) = house_at("link-ceiling", |_| {}).await;
    for access in [AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin] {
        linked(&house, &connector, access).await;
    }
    for (component, access, due) in [
        (AccessLevel::Read, AccessLevel::Read, "OK"),
        (AccessLevel::Read, AccessLevel::Write, "ACCESS_BEYOND_CEILING"),
        (AccessLevel::Write, AccessLevel::Write, "OK"),
        (AccessLevel::Admin, AccessLevel::Write, "OK"),
        (AccessLevel::Admin, AccessLevel::Admin, "ACCESS_BEYOND_CEILING"),
    ] {
        let answer = mint(&house, &house.scientist, &through(component, access)).await;
        assert_eq!(code(answer), due, "{access} through {component}");
    }
    // Bound to another type, though the connector serves it.
    let ream = Some(ResourceTypeName::parse("paper-ream").unwrap());
    let other = MintAsk { resource_type: ream, ..through(AccessLevel::Read, AccessLevel::Read) };
    let Err(BrokerError::Invalid(errors)) = mint(&house, &house.scientist, &other).await else {
        panic!("it was taken")
    };
    assert_eq!(errors.0[0].field, "resource_type");
}

#[tokio::test]
async fn asks_for_other_lives_are_other_credentials() {
    let (house, _) = house_at("lives", |_| {}).await;
    let wishing = |seconds| MintAsk { ttl: Some(Ttl::seconds(seconds)), ..ask() };
    let hour = mint(&house, &house.scientist, &wishing(3600)).await.ok().unwrap();
    let quarter = mint(&house, &house.scientist, &wishing(900)).await.ok().unwrap();
    assert_ne!(hour.issuance(), quarter.issuance());
    assert_eq!(quarter.minted().expires_at, house.broker.now().plus(seconds(900)));
}

#[tokio::test]
async fn the_life_is_cut_by_each_end_and_ceiling() {
    let now = House::new().await.broker.now();
    let ends = |end: u64| Some(now.plus(seconds(end)));
    // (ttl_max of the connector, of the binding, end of the binding, of the source), and what is left.
    for (at, (policy, binding, grant, source), left) in [
        ("cut-policy", (Some(600), Some(900), None, None), 600),
        ("cut-binding", (Some(900), Some(600), None, None), 600),
        ("cut-grant", (None, None, ends(600), ends(900)), 600),
        ("cut-source", (None, None, ends(900), ends(600)), 600),
    ] {
        let (house, _) = house_at(at, |c| {
            c.policy.ttl_max = policy.map(Ttl::seconds);
            c.secret.expires_at = source;
        })
        .await;
        let with = Conditions { ttl_max: binding.map(Ttl::seconds), expires_at: grant, ..Conditions::default() };
        house.bind_with(&house.runner, Role::DataScientist, BindingTarget::Project, with).await;
        let minted = mint(&house, &house.runner, &ask()).await.ok().unwrap();
        assert_eq!(minted.minted().expires_at, now.plus(seconds(left)), "{at}");
    }
}

#[tokio::test]
async fn three_quarters_of_what_is_granted_can_be_asked_to_remain_and_no_more() {
    let (house, _) = house_at("remaining", |_| {}).await;
    let remaining = |seconds| MintAsk { ttl: Some(Ttl::seconds(600)), min_remaining: Some(seconds), ..ask() };
    assert_eq!(code(mint(&house, &house.scientist, &remaining(450)).await), "OK");
    let refused = mint(&house, &house.scientist, &remaining(451)).await;
    let Err(BrokerError::Invalid(errors)) = refused else { panic!("it was taken") };
    assert_eq!(errors.0[0].field, "min_remaining_seconds");
}

fn handed_over(expires_at: Timestamp, passthrough: bool) -> Minted {
    let token = SecretText::new("t".to_owned());
    Minted {
        shape: MintedShape::Bearer { token, endpoint: None, certificate_authority: None },
        expires_at,
        enforced: EnforcedScope { words: String::new(), downscope: Downscope::None },
        revocable: Revocable::No,
        attribution: String::new(),
        passthrough,
    }
}

#[tokio::test]
async fn what_a_type_hands_over_against_the_decision_does_not_leave() {
    let (house, _) = house_at("handed-over", |_| {}).await;
    let plan = house.broker.plan(&house.call(&house.scientist).await, &ask()).await.unwrap();
    let now = house.broker.now();
    let soon = now.plus(seconds(1));
    assert!(!house.broker.checked(&plan, handed_over(soon, false)).unwrap().passthrough);
    let what = |minted: Minted| house.broker.checked(&plan, minted).err().unwrap();
    let url = MintedShape::SignedUrl { url: SecretText::new("u".to_owned()) };
    let other = Minted { shape: url, ..handed_over(soon, false) };
    assert_eq!(what(other), BrokerError::Internal { what: "a credential of another shape than was decided on" });
    assert_eq!(what(handed_over(now, false)).code(), "UPSTREAM_BAD_ANSWER", "it is over already");
    let secret = BrokerError::Internal { what: "a long-lived secret was about to leave" };
    assert_eq!(what(handed_over(soon, true)), secret);

    let (house, _) = house_at("bare-handed-over", |c| c.policy.allow_passthrough = true).await;
    let plan = house.broker.plan(&house.call(&house.scientist).await, &ask()).await.unwrap();
    let marked = house.broker.checked(&plan, handed_over(soon, false)).unwrap();
    assert!(marked.passthrough, "what was decided to be one is marked as one, whatever the type says");
}

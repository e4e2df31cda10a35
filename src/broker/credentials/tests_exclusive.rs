//! Connectors whose source credential each use replaces: one turn at a time,
//! the successor before the credential, and the truth when it is lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::audit::Outcome;
use crate::connectors::paper::{Cloud, Manner};
use crate::domain::{
    AccessLevel, AuthMethodName, BindingTarget, Connector, ConnectorTypeName, Labels, MintPolicy, Pattern, Role,
    SecretFieldName, VerificationState,
};
use crate::sealing::{Plaintext, SourceCredential};

use super::super::fixture::{House, name, no_change};
use super::super::{BrokerError, MintAsk, Register, ResourcesAsk, Rotate, Update};
use super::tests::{ask, code, house_at, lines, mint};

fn stamp(text: &str) -> SourceCredential {
    SourceCredential::new([(SecretFieldName::parse("stamp").unwrap(), Plaintext::new(text.into()))].into())
}

fn of(shelf: &str) -> MintAsk {
    MintAsk { resource: Some(format!("paper://{shelf}")), ..ask() }
}

async fn stored(house: &House) -> Connector {
    let call = house.call(&house.engineer).await;
    house.broker.describe_connector(&call, "vault").await.unwrap().connector
}

async fn update(house: &House, change: impl FnOnce(&mut Update)) -> Result<Connector, BrokerError> {
    let mut ask = Update { skip_verify: true, ..no_change("vault", stored(house).await.version) };
    change(&mut ask);
    house.broker.update_connector(&house.call(&house.engineer).await, ask).await
}

async fn rotate(house: &House, text: &str) -> Result<Connector, BrokerError> {
    house.broker.rotate_connector_secret(&house.call(&house.engineer).await, rotation(text)).await
}

fn rotation(text: &str) -> Rotate {
    Rotate {
        connector: "vault".to_owned(),
        secret: stamp(text),
        expected: None,
        secret_expires_at: None,
        skip_verify: true,
        validate_only: false,
        once: None,
    }
}

/// Waits until the cloud was asked this often.
async fn asked(cloud: &Cloud, times: u32) {
    while cloud.asked.load(Ordering::SeqCst) < times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn mints_go_one_at_a_time_each_with_what_the_last_one_left() {
    let (house, _) = house_at("once-many", |_| {}).await;
    let asks: Vec<MintAsk> = ["a", "b", "c", "d", "e", "f"].map(of).into();
    let all = async {
        let flights = asks.iter().map(|ask| mint(&house, &house.scientist, ask));
        let mut minted = Vec::new();
        let mut waiting: Vec<_> = flights.map(Box::pin).collect();
        // Polled together: each starts before any has landed.
        std::future::poll_fn(|context| {
            waiting.retain_mut(|flight| match flight.as_mut().poll(context) {
                std::task::Poll::Ready(landed) => {
                    minted.push(landed);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        minted
    };
    for landed in all.await {
        assert_eq!(code(landed), "OK");
    }
    assert_eq!(Cloud::of("once-many").asked.load(Ordering::SeqCst), 6);
    let connector = stored(&house).await;
    assert_eq!((connector.secret.version, connector.secret.lineage), (7, 1));
    assert_ne!(connector.secret.fingerprint, "0".repeat(16), "the facts are the successor's");
}

#[tokio::test]
async fn what_was_minted_before_stays_good_after_the_cloud_replaced_the_secret() {
    let (house, _) = house_at("once-cache", |_| {}).await;
    let first = mint(&house, &house.scientist, &of("a")).await.ok().unwrap();
    assert_eq!(code(mint(&house, &house.scientist, &of("b")).await), "OK");
    let again = mint(&house, &house.scientist, &of("a")).await.ok().unwrap();
    assert_eq!(first.issuance(), again.issuance());
    // A person's new secret ends them.
    *Cloud::of("once-cache").stamp.lock().unwrap() = "fresh".to_owned();
    rotate(&house, "fresh").await.unwrap();
    let next = mint(&house, &house.scientist, &of("a")).await.ok().unwrap();
    assert_ne!(first.issuance(), next.issuance());
}

#[tokio::test]
async fn a_successor_is_kept_though_the_answer_is_of_no_use() {
    let (house, _) = house_at("once-unusable", |_| {}).await;
    *Cloud::of("once-unusable").manner.lock().unwrap() = Manner::Unusable;
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "UPSTREAM_BAD_ANSWER");
    assert_eq!(lines(&house, Outcome::Failed, "UPSTREAM_BAD_ANSWER").await, 1);
    assert_eq!(stored(&house).await.secret.version, 2);
    *Cloud::of("once-unusable").manner.lock().unwrap() = Manner::Sound;
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
}

#[tokio::test]
async fn a_successor_that_cannot_be_stored_is_said_to_be_lost() {
    let (house, _) = house_at("once-garbage", |_| {}).await;
    *Cloud::of("once-garbage").manner.lock().unwrap() = Manner::Garbage;
    let error = mint(&house, &house.scientist, &ask()).await.err().unwrap();
    assert_eq!(error.code(), "SUCCESSOR_LOST");
    assert!(error.to_string().contains("could not be stored"), "{error}");
    assert_eq!(lines(&house, Outcome::Failed, "SUCCESSOR_LOST").await, 1);
    // The old one is refused from now on, and the connector says so.
    *Cloud::of("once-garbage").manner.lock().unwrap() = Manner::Sound;
    let error = mint(&house, &house.scientist, &ask()).await.err().unwrap();
    assert_eq!(error.code(), "SOURCE_CREDENTIAL_USED_UP");
    assert!(error.to_string().contains("rotate-secret"), "{error}");
    let connector = stored(&house).await;
    assert_eq!(connector.verification.state, VerificationState::Failing);
    assert!(connector.verification.reason.contains("rotate-secret"), "{}", connector.verification.reason);
    // A new one from a person mends it.
    *Cloud::of("once-garbage").stamp.lock().unwrap() = "fresh".to_owned();
    rotate(&house, "fresh").await.unwrap();
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
}

#[tokio::test]
async fn a_change_in_mid_flight_does_not_lose_the_successor() {
    let (house, _) = house_at("gate-once-change", |_| {}).await;
    let cloud = Cloud::of("gate-once-change");
    let gate = cloud.gate.as_ref().unwrap();
    let (usual, other) = (ask(), of("other"));
    // A new description changes nothing that was decided on.
    let (landed, ()) = tokio::join!(mint(&house, &house.scientist, &usual), async {
        asked(&cloud, 1).await;
        update(&house, |ask| ask.description = Some("another".to_owned())).await.unwrap();
        gate.add_permits(1);
    });
    assert_eq!(code(landed), "OK");
    let connector = stored(&house).await;
    assert_eq!((connector.description.as_str(), connector.secret.version), ("another", 2));
    // A narrower ceiling does: nothing leaves, and the successor stays.
    let (landed, ()) = tokio::join!(mint(&house, &house.scientist, &other), async {
        asked(&cloud, 2).await;
        let patterns = vec![Pattern::parse("paper://shelf/**").unwrap()];
        let policy = MintPolicy { resource_patterns: patterns, ..MintPolicy::default() };
        update(&house, |ask| ask.policy = Some(policy)).await.unwrap();
        gate.add_permits(1);
    });
    assert_eq!(code(landed), "CHANGED_MEANWHILE");
    assert_eq!(stored(&house).await.secret.version, 3);
    gate.add_permits(1);
    let ask = MintAsk { access: AccessLevel::Write, ..ask() };
    assert_eq!(code(mint(&house, &house.scientist, &ask).await), "OK", "with what was left");
}

#[tokio::test]
async fn what_was_minted_before_an_answer_was_lost_serves_on_and_the_connector_says_so() {
    let (house, _) = house_at("once-unheard", |_| {}).await;
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    *Cloud::of("once-unheard").manner.lock().unwrap() = Manner::Unheard;
    // Below its floor of eight minutes, and above half of that.
    house.clock.advance(Duration::from_secs(3600 - 400));
    assert_eq!(mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance(), first);
    assert_eq!(stored(&house).await.verification.state, VerificationState::Failing);
    assert_eq!(lines(&house, Outcome::Failed, "SOURCE_CREDENTIAL_IN_DOUBT").await, 1);
    assert_eq!(code(mint(&house, &house.scientist, &of("other")).await), "SOURCE_CREDENTIAL_IN_DOUBT");
}

/// What the cloud has replaced by then would be lost with its answer.
#[tokio::test(start_paused = true)]
async fn a_slow_cloud_that_uses_the_source_credential_up_is_waited_for_longer_than_another() {
    for (endpoint, answer, version) in [("gate-once-slow", "OK", 2), ("gate-slow", "UPSTREAM_DEADLINE_EXCEEDED", 1)] {
        let (house, _) = house_at(endpoint, |_| {}).await;
        let (cloud, usual) = (Cloud::of(endpoint), ask());
        let (landed, ()) = tokio::join!(mint(&house, &house.scientist, &usual), async {
            asked(&cloud, 1).await;
            tokio::time::sleep(Duration::from_secs(18)).await;
            cloud.gate.as_ref().unwrap().add_permits(1);
        });
        assert_eq!((code(landed), stored(&house).await.secret.version), (answer, version), "{endpoint}");
    }
}

#[tokio::test]
async fn a_secret_that_a_person_hands_in_meanwhile_is_not_replaced() {
    let (house, _) = house_at("gate-once-rotate", |_| {}).await;
    let cloud = Cloud::of("gate-once-rotate");
    let gate = cloud.gate.as_ref().unwrap();
    let usual = ask();
    let (landed, ()) = tokio::join!(mint(&house, &house.scientist, &usual), async {
        asked(&cloud, 1).await;
        rotate(&house, "fresh").await.unwrap();
        gate.add_permits(1);
    });
    assert_eq!(code(landed), "CHANGED_MEANWHILE");
    *cloud.stamp.lock().unwrap() = "fresh".to_owned();
    gate.add_permits(1);
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
}

#[tokio::test]
async fn verifying_keeps_the_successor_and_listing_uses_nothing_up() {
    let (house, _) = house_at("once-verify", |connector| {
        connector.resource_type = Some(crate::domain::ResourceTypeName::parse("paper-shelf").unwrap());
        connector.resource_id = Some(crate::domain::ResourceId::canonical("paper://shelf").unwrap());
    })
    .await;
    let call = house.call(&house.engineer).await;
    let verified = house.broker.verify_connector(&call, "vault").await.unwrap();
    assert_eq!(verified.verification.state, VerificationState::Verified);
    assert_eq!(stored(&house).await.secret.version, 2);
    let list = ResourcesAsk { connector: "vault".to_owned(), resource_type: None, limit: 10, page: None };
    house.broker.list_connector_resources(&house.call(&house.engineer).await, list).await.unwrap();
    assert_eq!(Cloud::of("once-verify").asked.load(Ordering::SeqCst), 1);
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
    // Refused is an answer, and stands on the connector.
    *Cloud::of("once-verify").stamp.lock().unwrap() = "elsewhere".to_owned();
    let call = house.call(&house.engineer).await;
    let failing = house.broker.verify_connector(&call, "vault").await.unwrap();
    assert_eq!(failing.verification.state, VerificationState::Failing);
}

fn register(named: &str, endpoint: &str) -> Register {
    Register {
        name: name(named),
        connector_type: ConnectorTypeName::parse("paper").unwrap(),
        auth_method: AuthMethodName::parse("stamp").unwrap(),
        resource_type: Some(crate::domain::ResourceTypeName::parse("paper-shelf").unwrap()),
        resource_id: Some("paper://shelf".to_owned()),
        settings: format!(r#"{{"endpoint":"{endpoint}"}}"#),
        secret: stamp("canary-stamp"),
        secret_expires_at: None,
        secret_skew_tolerance: 0,
        description: String::new(),
        labels: Labels::default(),
        policy: MintPolicy::default(),
        skip_verify: false,
        validate_only: false,
        once: None,
    }
}

/// Clients repeat a call that says that nothing was spent.
#[tokio::test]
async fn a_credential_that_its_check_used_up_is_said_to_be_when_it_could_not_be_stored() {
    for verb in ["register", "rotate", "update"] {
        let endpoint = format!("gate-once-spent-{verb}");
        let (house, _) = house_at(&endpoint, |connector| {
            connector.resource_type = Some(crate::domain::ResourceTypeName::parse("paper-shelf").unwrap());
            connector.resource_id = Some(crate::domain::ResourceId::canonical("paper://shelf").unwrap());
        })
        .await;
        let cloud = Cloud::of(&endpoint);
        let binding = house.bind(&house.engineer, Role::Auditor, BindingTarget::Project).await.to_string();
        let (call, before) = (house.call(&house.engineer).await, stored(&house).await);
        let changed = async {
            let secret = stamp("canary-stamp");
            match verb {
                "register" => house.broker.register_connector(&call, register("second", &endpoint)).await,
                "rotate" => {
                    let ask = Rotate { skip_verify: false, ..rotation("canary-stamp") };
                    house.broker.rotate_connector_secret(&call, ask).await
                }
                _ => update(&house, |ask| (ask.secret, ask.skip_verify) = (secret, false)).await,
            }
        };
        let meanwhile = async {
            asked(&cloud, 1).await;
            let owner = house.call(&house.owner).await;
            house.broker.delete_binding(&owner, &binding, None).await.unwrap();
            cloud.gate.as_ref().unwrap().add_permits(1);
        };
        let both = async { tokio::join!(changed, meanwhile) };
        let (landed, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the cloud is asked");
        let error = landed.err().unwrap();
        assert_eq!((error.code(), error.nothing_spent()), ("SUCCESSOR_LOST", false), "{verb}: {error}");
        assert_eq!(stored(&house).await, before, "{verb}");
    }
}

#[tokio::test]
async fn registering_verifies_by_a_mint_and_seals_what_it_left() {
    let (house, _) = house_at("once-first", |_| {}).await;
    let register = |named: &str, validate_only| Register { validate_only, ..register(named, "once-register") };
    let cloud = Cloud::of("once-register");
    let call = house.call(&house.engineer).await;
    house.broker.register_connector(&call, register("dry", true)).await.unwrap();
    let call = house.call(&house.engineer).await;
    assert_eq!(code(house.broker.register_connector(&call, register("vault", false)).await), "NAME_TAKEN");
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 0, "neither used the secret up");
    let call = house.call(&house.engineer).await;
    let made = house.broker.register_connector(&call, register("second", false)).await.unwrap();
    assert_eq!(made.verification.state, VerificationState::Verified);
    assert_eq!((made.secret.version, cloud.asked.load(Ordering::SeqCst)), (1, 1));
    let ask = MintAsk { source: super::super::MintSource::Connector("second".to_owned()), ..ask() };
    let ask = MintAsk { resource: None, ..ask };
    assert_eq!(code(mint(&house, &house.scientist, &ask).await), "OK");
}

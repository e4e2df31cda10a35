//! The end of a source credential: what it says of itself, what an engineer
//! says, and how long before it nothing is minted any more.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::audit::Outcome;
use crate::domain::{
    AuthMethodName, Clock as _, Connector, ConnectorTypeName, Labels, MintPolicy, SecretFieldName, Timestamp, Ttl,
};
use crate::sealing::{Plaintext, SourceCredential};

use super::super::fixture::{House, name, no_change};
use super::super::{BrokerError, MintAsk, Register, Rotate, Update};
use super::tests::{ask, code, house_at, lines, mint};

const HOUR: Duration = Duration::from_secs(3600);

fn stamp(text: &str) -> SourceCredential {
    SourceCredential::new([(SecretFieldName::parse("stamp").unwrap(), Plaintext::new(text.into()))].into())
}

/// A stamp that says when it ends.
fn ending(at: Timestamp) -> SourceCredential {
    let claims = format!(r#"{{"exp":{}}}"#, at.seconds());
    stamp(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
}

fn of(secret: SourceCredential, said: Option<Timestamp>) -> Register {
    Register {
        name: name("mail"),
        connector_type: ConnectorTypeName::parse("paper").unwrap(),
        auth_method: AuthMethodName::parse("stamp").unwrap(),
        resource_type: None,
        resource_id: None,
        settings: r#"{"endpoint":"ends"}"#.to_owned(),
        secret,
        secret_expires_at: said,
        secret_skew_tolerance: 0,
        description: String::new(),
        labels: Labels::default(),
        policy: MintPolicy::default(),
        skip_verify: true,
        validate_only: true,
        once: None,
    }
}

async fn register(house: &House, ask: Register) -> Result<Connector, BrokerError> {
    house.broker.register_connector(&house.call(&house.engineer).await, ask).await
}

async fn update(house: &House, change: impl FnOnce(&mut Update)) -> Result<Connector, BrokerError> {
    let call = house.call(&house.engineer).await;
    let stored = house.broker.describe_connector(&call, "mail").await.unwrap().connector;
    let mut ask = Update { skip_verify: true, ..no_change("mail", stored.version) };
    change(&mut ask);
    house.broker.update_connector(&house.call(&house.engineer).await, ask).await
}

fn field<T>(answer: Result<T, BrokerError>) -> String {
    let refused = answer.err().unwrap();
    let BrokerError::Invalid(errors) = refused else { panic!("{}", refused.code()) };
    errors.0[0].field.clone()
}

#[tokio::test]
async fn the_earlier_of_its_own_end_and_what_was_said_is_kept() {
    let house = House::new().await;
    let now = house.clock.now();
    let (soon, late) = (now.plus(HOUR), now.plus(HOUR * 24));
    let kept = async |secret, said| register(&house, of(secret, said)).await.unwrap().secret.expires_at;
    assert_eq!(kept(ending(soon), None).await, Some(soon), "nobody had to type it");
    assert_eq!(kept(ending(soon), Some(late)).await, Some(soon), "nobody makes it last longer");
    assert_eq!(kept(ending(late), Some(soon)).await, Some(soon));
    assert_eq!(kept(stamp("opaque"), Some(soon)).await, Some(soon));
    assert_eq!(kept(stamp("opaque"), None).await, None);
}

#[tokio::test]
async fn what_has_expired_by_its_own_word_is_refused_by_its_field() {
    let house = House::new().await;
    let now = house.clock.now();
    for said in [None, Some(now.plus(HOUR))] {
        assert_eq!(field(register(&house, of(ending(now), said)).await), "secrets.stamp");
    }
    let last = Timestamp::from_seconds(now.seconds() + 1);
    assert!(register(&house, of(ending(last), None)).await.is_ok(), "a second is left");
    assert_eq!(field(register(&house, of(ending(last), Some(now))).await), "secret_expires_at");
    register(&house, Register { validate_only: false, ..of(stamp("opaque"), None) }).await.unwrap();
    assert_eq!(field(rotate(&house, ending(now), None).await), "secrets.stamp");
}

async fn rotate(house: &House, secret: SourceCredential, said: Option<Timestamp>) -> Result<Connector, BrokerError> {
    let ask = Rotate {
        connector: "mail".to_owned(),
        secret,
        expected: None,
        secret_expires_at: said,
        skip_verify: true,
        validate_only: false,
        once: None,
    };
    house.broker.rotate_connector_secret(&house.call(&house.engineer).await, ask).await
}

#[tokio::test]
async fn its_own_end_stays_with_it_whatever_is_said_later_and_goes_with_it() {
    let house = House::new().await;
    let now = house.clock.now();
    let (soon, late) = (now.plus(HOUR), now.plus(HOUR * 24));
    register(&house, Register { validate_only: false, ..of(ending(soon), None) }).await.unwrap();
    let end = |connector: Connector| connector.secret.expires_at;
    let half = now.plus(HOUR / 2);
    for (said, kept) in [(Some(late), soon), (Some(half), half), (None, soon)] {
        assert_eq!(end(update(&house, |ask| ask.secret_expires_at = Some(said)).await.unwrap()), Some(kept));
    }
    assert_eq!(end(update(&house, |ask| ask.description = Some("x".to_owned())).await.unwrap()), Some(soon));
    // Handed in again with an update: what was said stays, its own end is new.
    update(&house, |ask| ask.secret_expires_at = Some(Some(half))).await.unwrap();
    assert_eq!(end(update(&house, |ask| ask.secret = ending(late)).await.unwrap()), Some(half));
    assert_eq!(end(update(&house, |ask| ask.secret_expires_at = Some(None)).await.unwrap()), Some(late));
    assert_eq!(end(rotate(&house, ending(soon), None).await.unwrap()), Some(soon));
    assert_eq!(end(rotate(&house, stamp("opaque"), None).await.unwrap()), None);
    assert_eq!(end(rotate(&house, ending(soon), Some(late)).await.unwrap()), Some(soon));
}

#[tokio::test]
async fn a_successors_own_end_replaces_the_old_ones_and_what_was_said_stays() {
    for (endpoint, said) in [("once-ends", false), ("once-said", true)] {
        let mut end = None;
        let (house, _) = house_at(endpoint, |connector| {
            let own = connector.created_at.plus(HOUR * 24);
            end = Some(connector.created_at.plus(HOUR * 12)).filter(|_| said);
            connector.secret.end_by(end, Some(own));
        })
        .await;
        assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
        let call = house.call(&house.engineer).await;
        let facts = house.broker.describe_connector(&call, "vault").await.unwrap().connector.secret;
        assert_eq!((facts.version, facts.own_end, facts.expires_at), (2, None, end), "its stamp is opaque");
    }
}

#[tokio::test]
async fn nothing_is_minted_within_the_skew_tolerance_of_the_end() {
    let (house, connector) = house_at("skew", |connector| {
        connector.secret.expires_at = Some(connector.created_at.plus(HOUR));
        connector.secret.skew_tolerance = 600;
    })
    .await;
    let usable_until = connector.created_at.plus(HOUR - Duration::from_secs(600));
    let minted = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    assert_eq!(minted.minted().expires_at, usable_until, "not a second is advertised beyond it");
    house.clock.advance(HOUR - Duration::from_secs(600 + 60));
    let short = MintAsk { ttl: Some(Ttl::seconds(60)), ..ask() };
    assert_eq!(code(mint(&house, &house.scientist, &short).await), "OK", "the neighbour: the last minute before");
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(code(mint(&house, &house.scientist, &short).await), "SOURCE_CREDENTIAL_EXPIRED");
    assert_eq!(lines(&house, Outcome::Denied, "SOURCE_CREDENTIAL_EXPIRED").await, 1, "and the ledger has it");
    let asked = crate::connectors::paper::Cloud::of("skew").asked.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(asked, 2, "the cloud is not asked");
    let call = house.call(&house.engineer).await;
    let said = house.broker.describe_connector(&call, "vault").await.unwrap().warnings;
    assert!(said.iter().any(|one| one.starts_with("EXPIRED: ")), "{said:?}");
}

#[tokio::test]
async fn a_tolerance_is_kept_changed_and_refused_where_it_leaves_nothing() {
    let house = House::new().await;
    let soon = Some(house.clock.now().plus(HOUR));
    let with = |seconds, validate_only| Register {
        secret_skew_tolerance: seconds,
        validate_only,
        ..of(stamp("opaque"), soon)
    };
    assert_eq!(field(register(&house, with(3600, true)).await), "secret_skew_tolerance_seconds");
    assert_eq!(register(&house, with(3599, false)).await.unwrap().secret.skew_tolerance, 3599);
    let tolerance = |connector: Connector| connector.secret.skew_tolerance;
    let changed = async |seconds| update(&house, |ask| ask.secret_skew_tolerance = Some(seconds)).await;
    assert_eq!(tolerance(changed(60).await.unwrap()), 60);
    assert_eq!(field(changed(7200).await), "secret_skew_tolerance_seconds");
    assert_eq!(tolerance(rotate(&house, stamp("other"), soon).await.unwrap()), 60, "it is the connector's");
    assert_eq!(tolerance(changed(0).await.unwrap()), 0);
}

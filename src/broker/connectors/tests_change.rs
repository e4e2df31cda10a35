//! What a change of a connector must not do: for who mints by a grant of its
//! own, beyond a bound, without the secret where it is needed, or for show.

use std::time::Duration;

use crate::audit::Outcome;
use crate::connectors::paper::{Cloud, Fault};
use crate::domain::{
    AccessLevel, AuthMethodName, BindingTarget, ComponentLink, Conditions, Connector, ConnectorTypeName, Labels,
    MintPolicy, ResourceId, ResourceTypeName, Role, SecretFieldName, Ttl, VerificationState,
};
use crate::sealing::{Plaintext, SourceCredential};
use crate::store::{AuditLines as _, Connectors as _, Guard, StoreError};

use super::super::credentials::tests::{ask, code, house_at, lines, mint};
use super::super::fixture::{House, name, no_change, once};
use super::super::{BrokerError, Call};
use super::{Register, Rotate, Update};

/// Names and values.
type Fields<'a> = &'a [(&'a str, &'a [u8])];

fn secret(fields: Fields<'_>) -> SourceCredential {
    let field = |(name, value): &(&str, &[u8])| (SecretFieldName::parse(name).unwrap(), Plaintext::new(value.to_vec()));
    SourceCredential::new(fields.iter().map(field).collect())
}

fn stamp() -> SourceCredential {
    secret(&[("stamp", b"another-stamp")])
}

fn nothing(connector: &Connector) -> Update {
    Update { skip_verify: true, ..no_change(&connector.id.to_string(), connector.version) }
}

fn lower(connector: &Connector) -> Update {
    let policy = MintPolicy { access_max: AccessLevel::Read, ..connector.policy.clone() };
    Update { policy: Some(policy), ..nothing(connector) }
}

async fn update(house: &House, ask: Update) -> Result<Connector, BrokerError> {
    house.broker.update_connector(&house.call(&house.engineer).await, ask).await
}

fn of(secret: SourceCredential) -> Register {
    Register {
        name: name("mail"),
        connector_type: ConnectorTypeName::parse("paper").unwrap(),
        auth_method: AuthMethodName::parse("stamp").unwrap(),
        resource_type: None,
        resource_id: None,
        settings: r#"{"endpoint":"mail"}"#.to_owned(),
        secret,
        secret_expires_at: None,
        secret_skew_tolerance: 0,
        description: String::new(),
        labels: Labels::default(),
        policy: MintPolicy::default(),
        skip_verify: true,
        validate_only: false,
        once: None,
    }
}

async fn register(house: &House, ask: Register) -> Result<Connector, BrokerError> {
    house.broker.register_connector(&house.call(&house.engineer).await, ask).await
}

fn rotation(connector: &Connector) -> Rotate {
    Rotate {
        connector: connector.id.to_string(),
        secret: stamp(),
        expected: None,
        secret_expires_at: None,
        skip_verify: true,
        validate_only: false,
        once: None,
    }
}

async fn rotate(house: &House, ask: Rotate) -> Result<Connector, BrokerError> {
    house.broker.rotate_connector_secret(&house.call(&house.engineer).await, ask).await
}

/// The field that was refused.
fn field<T>(answer: Result<T, BrokerError>) -> String {
    match answer.err() {
        Some(BrokerError::Invalid(errors)) => errors.0[0].field.clone(),
        Some(other) => panic!("{other}"),
        None => panic!("it was taken"),
    }
}

async fn stored(house: &House, connector: &Connector) -> Connector {
    house.store.connector(connector.project, connector.id).await.unwrap()
}

fn link(connector: &Connector) -> Option<ComponentLink> {
    Some(ComponentLink {
        connector: connector.id,
        resource_type: ResourceTypeName::parse("paper-shelf").unwrap(),
        resource_id: ResourceId::canonical("paper://shelf").unwrap(),
        access_max: AccessLevel::Write,
    })
}

#[tokio::test]
async fn who_mints_from_a_connector_by_a_grant_of_its_own_widens_nothing_of_it() {
    let (house, connector) = house_at("own-grant", |_| {}).await;
    house.bind(&house.engineer, Role::DataScientist, BindingTarget::Connector(connector.id)).await;
    assert_eq!(code(update(&house, lower(&connector)).await), "SELF_GRANT");
    let settings = Some(r#"{"endpoint":"own-grant-elsewhere"}"#.to_owned());
    let moved = Update { settings, secret: stamp(), ..nothing(&connector) };
    assert_eq!(code(update(&house, moved).await), "SELF_GRANT");
    assert_eq!(lines(&house, Outcome::Denied, "SELF_GRANT").await, 2, "each refusal is in the ledger");
    assert_eq!(stored(&house, &connector).await, connector);
    let told = Update { description: Some("for all".to_owned()), ..nothing(&connector) };
    assert_eq!(code(update(&house, told).await), "OK", "what says nothing of who mints what is no matter");
}

#[tokio::test]
async fn a_grant_on_any_component_linked_to_it_is_one_on_the_connector() {
    let (house, connector) = house_at("own-grant-through", |_| {}).await;
    let home = house.home.clone();
    let linked = house.component(&home, "linked", link(&connector)).await;
    let other = house.component(&home, "other", None).await;
    // The one that counts is not the last.
    house.bind(&house.engineer, Role::DataScientist, BindingTarget::Component(other.id)).await;
    assert_eq!(code(update(&house, lower(&connector)).await), "OK");
    let now = stored(&house, &connector).await;
    let higher = Update { policy: Some(MintPolicy::default()), ..nothing(&now) };
    house.clock.advance(Duration::from_secs(1));
    house.bind(&house.engineer, Role::DataScientist, BindingTarget::Component(linked.id)).await;
    house.clock.advance(Duration::from_secs(1));
    let last = house.component(&home, "last", None).await;
    house.bind(&house.engineer, Role::DataScientist, BindingTarget::Component(last.id)).await;
    assert_eq!(code(update(&house, higher).await), "SELF_GRANT");
}

#[tokio::test]
async fn what_gives_no_mint_or_has_ended_is_no_grant_of_ones_own() {
    let (house, connector) = house_at("own-grant-none", |_| {}).await;
    let on = BindingTarget::Connector(connector.id);
    house.bind(&house.engineer, Role::Auditor, on).await;
    let end = house.broker.now().plus(Duration::from_secs(60));
    let ends = Conditions { expires_at: Some(end), ..Conditions::default() };
    house.bind_with(&house.engineer, Role::DataScientist, on, ends).await;
    house.clock.advance(Duration::from_secs(59));
    assert_eq!(code(update(&house, lower(&connector)).await), "SELF_GRANT");
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(code(update(&house, lower(&connector)).await), "OK", "it ended at its end");
}

#[tokio::test]
async fn a_grant_that_is_given_meanwhile_stops_the_change() {
    let (house, connector) = house_at("own-grant-late", |_| {}).await;
    let component = house.component(&house.home.clone(), "late", None).await;
    house.bind(&house.engineer, Role::DataScientist, BindingTarget::Component(component.id)).await;
    let before: Call = house.call(&house.engineer).await;
    let guards = house.broker.no_own_grant_on(&before, connector.id).await.unwrap();
    let bindings = before.caller.subject.bindings.iter().map(|binding| binding.id).collect();
    let (project, principal) = (house.home.id, house.engineer.id);
    let components = vec![component.id];
    let due = [
        Guard::HoldsNoMore { project, principal, bindings },
        Guard::NotLinked { project, connector: connector.id, components },
    ];
    assert_eq!(guards, due);
    house.bind(&house.engineer, Role::DataScientist, BindingTarget::Connector(connector.id)).await;
    let late = house.broker.update_connector(&before, lower(&connector)).await;
    assert_eq!(code(late), "CHANGED_MEANWHILE");
    assert_eq!(stored(&house, &connector).await, connector);
}

#[tokio::test]
async fn a_ceiling_below_the_shortest_life_is_refused_and_one_at_it_is_not() {
    let (house, connector) = house_at("shortest", |_| {}).await;
    let ceiling = |seconds| MintPolicy { ttl_max: Some(Ttl::seconds(seconds)), ..MintPolicy::default() };
    for (seconds, fits) in [(59, false), (60, true)] {
        let registered = register(&house, Register { policy: ceiling(seconds), ..of(stamp()) }).await;
        let updated = update(&house, Update { policy: Some(ceiling(seconds)), ..nothing(&connector) }).await;
        for answer in [registered, updated] {
            match fits {
                true => assert_eq!(code(answer), "OK"),
                false => assert_eq!(field(answer), "mint_policy.ttl_max_seconds"),
            }
        }
    }
}

#[tokio::test]
async fn a_source_credential_has_the_fields_of_its_method_and_no_others() {
    let (house, connector) = house_at("fields", |_| {}).await;
    let large = [b'x'; 64 * 1024 + 1];
    let wrongs: [(Fields<'_>, &str); 4] = [
        (&[("stamp", b"s"), ("password", b"p")], "secrets.password"),
        (&[("stamp", b"")], "secrets.stamp"),
        (&[("stamp", &large)], "secrets.stamp"),
        (&[], "secrets.stamp"),
    ];
    for (fields, due) in wrongs {
        assert_eq!(field(register(&house, of(secret(fields))).await), due);
        assert_eq!(field(rotate(&house, Rotate { secret: secret(fields), ..rotation(&connector) }).await), due);
    }
    assert_eq!(code(register(&house, of(secret(&[("stamp", &large[1..])]))).await), "OK");
}

#[tokio::test]
async fn a_registration_that_fails_at_the_cloud_stores_nothing_and_closes_its_entry() {
    let house = House::new().await;
    Cloud::of("mail-refused").faults.lock().unwrap().insert(Fault::VerifyRefused);
    let settings = r#"{"endpoint":"mail-refused"}"#.to_owned();
    let refused = register(&house, Register { settings, skip_verify: false, ..of(stamp()) }).await;
    assert_eq!(code(refused), "SOURCE_CREDENTIAL_REFUSED");
    assert_eq!(lines(&house, Outcome::Failed, "SOURCE_CREDENTIAL_REFUSED").await, 1);
    assert!(house.store.open_intents(10).await.unwrap().is_empty());
    assert_eq!(house.store.resolve_connector(house.home.id, "mail").await.err(), Some(StoreError::NotFound));
}

#[tokio::test]
async fn another_secret_under_a_used_request_id_is_another_request() {
    let house = House::new().await;
    let first = register(&house, Register { once: Some(once(1, 1)), ..of(stamp()) }).await.unwrap();
    let again = register(&house, Register { once: Some(once(1, 1)), ..of(stamp()) }).await.unwrap();
    assert_eq!(first, again);
    let other = Register { once: Some(once(1, 1)), ..of(secret(&[("stamp", b"a third stamp")])) };
    assert_eq!(code(register(&house, other).await), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn what_is_only_validated_changes_nothing() {
    let (house, connector) = house_at("validated", |_| {}).await;
    let minted = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    let looked = rotate(&house, Rotate { validate_only: true, ..rotation(&connector) }).await.unwrap();
    assert_eq!(looked.secret.version, 2, "what it would be");
    let looked = update(&house, Update { validate_only: true, ..lower(&connector) }).await.unwrap();
    assert_eq!(looked.policy.access_max, AccessLevel::Read);
    assert_eq!(register(&house, Register { validate_only: true, ..of(stamp()) }).await.unwrap().name, name("mail"));
    assert_eq!(stored(&house, &connector).await, connector);
    let gone = house.store.resolve_connector(house.home.id, "mail").await.err();
    assert_eq!(gone, Some(StoreError::NotFound));
    let next = mint(&house, &house.scientist, &ask()).await.ok().unwrap().issuance();
    assert_eq!(next, minted, "nor what is kept");
    assert_eq!(lines(&house, Outcome::Ok, "VALIDATED_ONLY").await, 3);
}

#[tokio::test]
async fn a_rotated_secret_is_another_lineage_has_its_own_end_and_is_looked_at_or_said_not_to_be() {
    let (house, connector) = house_at("rotated-by-hand", |c| {
        c.secret.expires_at = Some(c.created_at.plus(Duration::from_secs(3600)));
    })
    .await;
    let over = Rotate { secret_expires_at: Some(house.broker.now()), ..rotation(&connector) };
    assert_eq!(field(rotate(&house, over).await), "secret_expires_at");
    let new = rotate(&house, rotation(&connector)).await.unwrap();
    assert_eq!((new.secret.version, new.secret.lineage, new.secret.expires_at), (2, 2, None));
    assert_eq!(new.verification.state, VerificationState::Unverified);
    let stale = Rotate { expected: Some(connector.version), ..rotation(&connector) };
    assert_eq!(code(rotate(&house, stale).await), "STALE");
    let by_update = update(&house, Update { secret: stamp(), ..nothing(&new) }).await.unwrap();
    assert_eq!((by_update.secret.version, by_update.secret.lineage), (3, 3));
    assert_eq!(code(update(&house, nothing(&new)).await), "STALE");
}

#[tokio::test]
async fn a_secret_is_not_sent_elsewhere_without_being_handed_in_again() {
    let (house, connector) = house_at("destination", |_| {}).await;
    let settings = Some(r#"{"endpoint":"a-thief"}"#.to_owned());
    let moved = Update { settings: settings.clone(), ..nothing(&connector) };
    assert_eq!(code(update(&house, moved).await), "SECRET_NEEDED_AGAIN");
    let whole = Update { settings, secret: stamp(), ..nothing(&connector) };
    assert_eq!(code(update(&house, whole).await), "OK");
}

//! A change is of a caller who still stands when it commits, and goes with
//! what hangs on what it takes away.

use std::time::Duration;

use crate::audit::Outcome;
use crate::domain::{BindingTarget, Conditions, PrincipalKind, Role};
use crate::store::{Guard, Tx};

use super::super::credentials::tests::{code, house_at, lines};
use super::super::fixture::{House, Person, name};
use super::*;

fn user(named: &str) -> NewPrincipal {
    NewPrincipal { name: name(named), kind: PrincipalKind::User, description: String::new() }
}

#[tokio::test]
async fn a_caller_whose_role_or_token_went_meanwhile_changes_nothing() {
    let house = House::new().await;
    let second = house.person(&house.home.clone(), "otto", None).await;
    let binding = house.bind(&second, Role::Owner, BindingTarget::Project).await;
    let before = house.call(&second).await;
    let owner = house.call(&house.owner).await;
    house.broker.delete_binding(&owner, &binding.to_string(), None).await.unwrap();
    assert_eq!(code(house.broker.create_principal(&before, user("nora"), None).await), "CHANGED_MEANWHILE");
    house.bind(&second, Role::Owner, BindingTarget::Project).await;
    let before = house.call(&second).await;
    house.broker.revoke_token(&owner, &second.token.0, None).await.unwrap();
    assert_eq!(code(house.broker.create_principal(&before, user("nora"), None).await), "UNAUTHENTICATED");
    assert_eq!(code(house.broker.create_principal(&owner, user("nora"), None).await), "OK", "nobody had made her");
}

#[tokio::test]
async fn a_binding_that_has_ended_by_itself_is_no_reason_to_refuse_a_change() {
    let house = House::new().await;
    let end = house.broker.now().plus(Duration::from_secs(60));
    let ends = Conditions { expires_at: Some(end), ..Conditions::default() };
    house.bind_with(&house.owner, Role::Auditor, BindingTarget::Project, ends).await;
    let call = house.call(&house.owner).await;
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(code(house.broker.create_principal(&call, user("nora"), None).await), "OK");
}

#[tokio::test]
async fn a_token_lives_a_second_at_least() {
    let house = House::new().await;
    let call = house.call(&house.scientist).await;
    let none = NewToken { ttl_seconds: Some(0), ..NewToken::default() };
    assert_eq!(code(house.broker.create_token(&call, none, None).await), "INVALID_FIELD");
    let least = NewToken { ttl_seconds: Some(1), ..NewToken::default() };
    assert_eq!(code(house.broker.create_token(&call, least, None).await), "OK");
}

#[tokio::test]
async fn one_address_is_one_source_however_it_is_written() {
    let house = House::new().await;
    let source = |text: &str| house.broker.source_digest(text.parse().unwrap());
    assert_eq!(source("192.0.2.7"), source("::ffff:192.0.2.7"));
    assert_ne!(source("192.0.2.7"), source("192.0.2.8"));
}

async fn bound(house: &House, count: usize, target: BindingTarget) -> Vec<Person> {
    let home = house.home.clone();
    let mut people = Vec::new();
    for number in 0..count {
        let person = house.person(&home, &format!("user-{number}"), None).await;
        house.bind(&person, Role::DataScientist, target).await;
        people.push(person);
    }
    people
}

#[tokio::test]
async fn bindings_go_with_their_connector_each_with_a_line_and_two_hundred_at_most() {
    let (house, connector) = house_at("gone-with", |_| {}).await;
    let target = BindingTarget::Connector(connector.id);
    let people = bound(&house, 201, target).await;
    let engineer = house.call(&house.engineer).await;
    assert_eq!(code(house.broker.delete_connector(&engineer, "vault", None, None).await), "STILL_BOUND");
    let owner = house.call(&house.owner).await;
    house.broker.delete_principal(&owner, people[0].name.as_str(), None).await.unwrap();
    let tx = Tx::with_line(engineer.line(Outcome::Ok, ""));
    let (count, tx) = house.broker.gone_with(&engineer, target, "GONE_WITH_CONNECTOR", tx).await.unwrap();
    let [Guard::BoundBy { project, target: guarded, bindings }] = tx.guards.as_slice() else {
        panic!("{:?}", tx.guards)
    };
    assert_eq!((*project, *guarded, bindings.len()), (house.home.id, target, 200));
    assert_eq!((count, tx.lines.len()), (200, 201));
    let deleted = house.broker.delete_connector(&engineer, "vault", None, None).await.unwrap();
    assert_eq!(deleted.removed_bindings, 200);
    assert_eq!(lines(&house, Outcome::Ok, "GONE_WITH_CONNECTOR").await, 200);
}

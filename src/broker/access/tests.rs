//! People and roles against the real store: who may do what to whom, and that
//! a change holds from the very next call on.

use std::time::Duration;

use crate::audit::{LineFilter, Outcome, StoredLine, Subject};
use crate::domain::page::PAGE_SIZE_DEFAULT;
use crate::domain::{AccessLevel, BindingTarget, ComponentLink, Conditions, PageAsk, Pattern, PrincipalKind, Role};
use crate::store::{AuditLines, Bindings, Principals, StoreError};

use super::super::fixture::{House, Person, name, once};
use super::super::{BrokerError, Call};
use super::*;

const FIRST_PAGE: PageAsk = PageAsk { size: PAGE_SIZE_DEFAULT, after: None };

fn new_user(named: &str) -> NewPrincipal {
    NewPrincipal { name: name(named), kind: PrincipalKind::User, description: String::new() }
}

fn grant(to: &Person, role: Role) -> NewBinding {
    let principal = to.name.to_string();
    NewBinding { principal, role, target: WishedTarget::Project, conditions: Conditions::default() }
}

async fn lines_of(house: &House, call: &Call) -> Vec<StoredLine> {
    let filter = LineFilter { project: Some(call.project()), ..LineFilter::default() };
    house.store.lines(&filter, &FIRST_PAGE).await.unwrap().items
}

fn code<T>(answer: Result<T, BrokerError>) -> &'static str {
    answer.err().map_or("OK", |error| error.code())
}

#[tokio::test]
async fn who_am_i_says_what_the_caller_holds() {
    let house = House::new().await;
    let me = house.broker.who_am_i(&house.call(&house.scientist).await).await.unwrap();
    assert_eq!(me.subject.principal.name, house.scientist.name);
    assert_eq!(me.subject.bindings.iter().map(|b| b.role).collect::<Vec<_>>(), [Role::DataScientist]);
}

/// Case B4.
#[tokio::test]
async fn nobody_grants_to_themselves_and_engineers_grant_to_nobody() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let denied = house.broker.create_binding(&owner, grant(&house.owner, Role::DataScientist), None).await;
    assert_eq!(code(denied), "SELF_GRANT");
    let last = lines_of(&house, &owner).await.remove(0).line;
    assert_eq!((last.outcome, last.reason.as_str()), (Outcome::Denied, "SELF_GRANT"));
    assert_eq!(last.subject, Some(Subject::Principal(house.owner.id)));
    assert!(owner.record.lined());

    let engineer = house.call(&house.engineer).await;
    for role in [Role::Owner, Role::DataScientist] {
        let denied = house.broker.create_binding(&engineer, grant(&house.engineer, role), None).await;
        assert_eq!(code(denied), "GRANT_MISSING");
    }
    let denied = house.broker.create_binding(&engineer, grant(&house.scientist, Role::Owner), None).await;
    assert_eq!(code(denied), "GRANT_MISSING");
    assert_eq!(code(house.broker.create_principal(&engineer, new_user("eve"), None).await), "GRANT_MISSING");
    let token = NewToken { principal: Some("sam".to_owned()), ..NewToken::default() };
    assert_eq!(code(house.broker.create_token(&engineer, token, None).await), "GRANT_MISSING");
    assert_eq!(house.store.bindings_of(house.home.id, house.engineer.id).await.unwrap().len(), 1);
}

/// Owners give roles and write no connectors; the store's suite tries every
/// pair of places, and both at once.
#[tokio::test]
async fn nobody_is_made_owner_and_engineer() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    house.connector(&house.home, "prod").await;
    house.component(&house.home, "store", None).await;
    let second = house.person(&house.home, "otto", Some(Role::Owner)).await;
    for (who, role, held) in [(&house.engineer, Role::Owner, "engineer"), (&second, Role::PlatformEngineer, "owner")] {
        for target in [
            WishedTarget::Project,
            WishedTarget::Connector("prod".to_owned()),
            WishedTarget::Component("store".to_owned()),
        ] {
            let refused = house.broker.create_binding(&owner, NewBinding { target, ..grant(who, role) }, None).await;
            let Err(BrokerError::Invalid(errors)) = refused else { panic!("{role} was given to an {held}") };
            assert_eq!(errors.0[0].field, "role");
            assert!(errors.0[0].problem.contains(held) && errors.0[0].problem.contains("take that binding away"));
        }
        for role in [Role::DataScientist, Role::Auditor, house_role(who, &house)] {
            assert_eq!(code(house.broker.create_binding(&owner, grant(who, role), None).await), "OK", "{role}");
        }
    }
    // The remedy works: the role goes, and the other may come.
    for binding in house.store.bindings_of(house.home.id, second.id).await.unwrap() {
        house.broker.delete_binding(&owner, &binding.id.to_string(), None).await.unwrap();
    }
    let engineer = grant(&second, Role::PlatformEngineer);
    assert_eq!(code(house.broker.create_binding(&owner, engineer, None).await), "OK");
}

fn house_role(who: &Person, house: &House) -> Role {
    if who.id == house.engineer.id { Role::PlatformEngineer } else { Role::Owner }
}

#[tokio::test]
async fn a_role_holds_from_the_next_call_on_and_ends_with_its_binding() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let asks = |call: Call| {
        let broker = house.broker.clone();
        async move { code(broker.list_components(&call, &Default::default(), &FIRST_PAGE).await) }
    };
    assert_eq!(asks(house.call(&house.runner).await).await, "GRANT_MISSING");
    let given = house.broker.create_binding(&owner, grant(&house.runner, Role::DataScientist), None).await.unwrap();
    assert_eq!(asks(house.call(&house.runner).await).await, "OK");
    // Case B14's kin: unbinding is felt at once.
    house.broker.delete_binding(&owner, &given.id.to_string(), None).await.unwrap();
    assert_eq!(asks(house.call(&house.runner).await).await, "GRANT_MISSING");
}

#[tokio::test]
async fn a_binding_that_ends_stops_to_hold_at_its_end() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let ends = house.broker.now().plus(Duration::from_secs(60));
    let conditions = Conditions { expires_at: Some(ends), ..Conditions::default() };
    let ask = NewBinding { conditions, ..grant(&house.runner, Role::DataScientist) };
    house.broker.create_binding(&owner, ask.clone(), None).await.unwrap();
    let call = house.call(&house.runner).await;
    assert_eq!(code(house.broker.list_roles(&call).await), "OK");
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(code(house.broker.list_roles(&call).await), "GRANT_EXPIRED");
    let Err(BrokerError::Invalid(errors)) = house.broker.create_binding(&owner, ask, None).await else { panic!() };
    assert_eq!(errors.0[0].field, "conditions.expires_at");
}

#[tokio::test]
async fn a_runner_is_bound_to_a_component_and_to_nothing_wider() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let component = house.component(&house.home, "store", None).await;
    let connector = house.connector(&house.home, "prod").await;
    for target in [WishedTarget::Project, WishedTarget::Connector(connector.name.to_string())] {
        let ask = NewBinding { target, ..grant(&house.runner, Role::Runner) };
        assert_eq!(code(house.broker.create_binding(&owner, ask, None).await), "INVALID_FIELD");
    }
    let target = WishedTarget::Component("store".to_owned());
    let ask = NewBinding { target, ..grant(&house.runner, Role::Runner) };
    let given = house.broker.create_binding(&owner, ask, None).await.unwrap();
    assert_eq!(given.target, BindingTarget::Component(component.id));
}

/// Case B5.
#[tokio::test]
async fn what_is_of_another_project_is_not_found_wherever_it_is_named() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let foreign_connector = house.connector(&house.abroad, "secret").await;
    let foreign_component = house.component(&house.abroad, "secret", None).await;
    let foreign = house.foreigner.id.to_string();
    let random = "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned();
    for id in [&foreign, &random] {
        assert_eq!(code(house.broker.delete_principal(&owner, id, None).await), "NOT_FOUND");
        assert_eq!(code(house.broker.list_tokens(&owner, Some(id)).await), "NOT_FOUND");
        assert_eq!(code(house.broker.list_bindings(&owner, Some(id), &FIRST_PAGE).await), "NOT_FOUND");
        let token = NewToken { principal: Some(id.clone()), ..NewToken::default() };
        assert_eq!(code(house.broker.create_token(&owner, token, None).await), "NOT_FOUND");
        let ask = NewBinding { principal: id.clone(), ..grant(&house.runner, Role::Auditor) };
        assert_eq!(code(house.broker.create_binding(&owner, ask, None).await), "NOT_FOUND");
    }
    for target in [
        WishedTarget::Connector(foreign_connector.id.to_string()),
        WishedTarget::Component(foreign_component.id.to_string()),
        WishedTarget::Connector(random.clone()),
        WishedTarget::Component(random),
    ] {
        let ask = NewBinding { target, ..grant(&house.runner, Role::DataScientist) };
        assert_eq!(code(house.broker.create_binding(&owner, ask, None).await), "NOT_FOUND");
    }
    assert_eq!(code(house.broker.revoke_token(&owner, &house.foreigner.token.0, None).await), "NOT_FOUND");
    let theirs = house.store.bindings_of(house.abroad.id, house.foreigner.id).await.unwrap().remove(0);
    assert_eq!(code(house.broker.delete_binding(&owner, &theirs.id.to_string(), None).await), "NOT_FOUND");
}

#[tokio::test]
async fn the_last_owner_stays_however_one_tries() {
    let house = House::new().await;
    let second = house.person(&house.home, "otto", Some(Role::Owner)).await;
    let (olga, otto) = (house.call(&house.owner).await, house.call(&second).await);
    assert_eq!(code(house.broker.delete_principal(&olga, "olga", None).await), "SELF_DELETE");
    house.broker.delete_principal(&otto, "olga", None).await.unwrap();
    let own = house.store.bindings_of(house.home.id, second.id).await.unwrap().remove(0);
    let refused = house.broker.delete_binding(&otto, &own.id.to_string(), None).await;
    assert_eq!(code(refused), "LAST_OWNER");
    assert_eq!(code(house.broker.delete_principal(&otto, "otto", None).await), "SELF_DELETE");
    assert!(house.broker.authenticate(&second.header).await.is_ok());
}

/// Case A14.
#[tokio::test]
async fn a_deleted_principal_is_nobody_from_the_next_call_on() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    assert!(house.broker.authenticate(&house.scientist.header).await.is_ok());
    house.broker.delete_principal(&owner, "sam", None).await.unwrap();
    assert_eq!(code(house.broker.authenticate(&house.scientist.header).await), "UNAUTHENTICATED");
    assert!(house.store.bindings_of(house.home.id, house.scientist.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_shown_once_works_and_can_be_revoked_by_its_holder() {
    let house = House::new().await;
    let call = house.call(&house.scientist).await;
    let made = house.broker.create_token(&call, NewToken::default(), None).await.unwrap();
    assert_eq!(made.token.expires_at.since(made.token.created_at), Duration::from_secs(30 * 24 * 3600));
    let header = format!("Bearer {}", made.secret.as_ref().unwrap().reveal()).into_bytes();
    let known = house.broker.authenticate(&header).await.unwrap();
    assert_eq!(known.subject.principal.id, house.scientist.id);
    let listed = house.broker.list_tokens(&call, None).await.unwrap();
    assert_eq!(listed.len(), 2);
    for line in lines_of(&house, &call).await {
        assert!(!serde_json::to_string(&line.line).unwrap().contains(made.secret.as_ref().unwrap().reveal()));
    }
    house.broker.revoke_token(&call, &made.token.id.0, None).await.unwrap();
    assert_eq!(code(house.broker.authenticate(&header).await), "UNAUTHENTICATED");
    assert!(house.broker.authenticate(&house.scientist.header).await.is_ok());
}

/// The secret is shown once; whoever lost it revokes the token by its id.
#[tokio::test]
async fn the_same_request_makes_one_token_and_shows_its_secret_once() {
    let house = House::new().await;
    let (call, request) = (house.call(&house.scientist).await, once(1, 1));
    let ask = NewToken { description: "laptop".to_owned(), ..NewToken::default() };
    let first = house.broker.create_token(&call, ask.clone(), Some(&request)).await.unwrap();
    house.clock.advance(Duration::from_secs(5));
    let again = house.broker.create_token(&call, ask.clone(), Some(&request)).await.unwrap();
    assert_eq!(first.token, again.token);
    assert!(first.secret.is_some() && again.secret.is_none());
    assert_eq!(house.broker.list_tokens(&call, None).await.unwrap().len(), 2);
    // Another body under its id, another id, no id, and another caller.
    assert_eq!(code(house.broker.create_token(&call, ask.clone(), Some(&once(1, 2))).await), "REQUEST_ID_REUSED");
    for other in [Some(&once(2, 1)), None] {
        let made = house.broker.create_token(&call, ask.clone(), other).await.unwrap();
        assert!(made.token.id != first.token.id && made.secret.is_some());
    }
    let owner = house.call(&house.owner).await;
    let made = house.broker.create_token(&owner, ask.clone(), Some(&request)).await.unwrap();
    assert!(made.token.id != first.token.id && made.secret.is_some());
    // For a day, and not of a token that was revoked meanwhile: it stays revoked.
    house.broker.revoke_token(&call, &first.token.id.0, None).await.unwrap();
    let again = house.broker.create_token(&call, ask, Some(&request)).await.unwrap();
    assert!(again.token == first.token && again.secret.is_none());
    assert_eq!(house.broker.list_tokens(&call, None).await.unwrap().len(), 3);
}

#[tokio::test]
async fn of_a_hundred_equal_requests_for_a_token_one_gets_it() {
    let house = House::new().await;
    let call = house.call(&house.scientist).await;
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (broker, call) = (house.broker.clone(), call.clone());
        set.spawn(async move { broker.create_token(&call, NewToken::default(), Some(&once(1, 1))).await.unwrap() });
    }
    let made = set.join_all().await;
    assert!(made.iter().all(|one| one.token == made[0].token));
    assert_eq!(made.iter().filter(|one| one.secret.is_some()).count(), 1);
    assert_eq!(house.broker.list_tokens(&call, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn tokens_of_others_are_for_owners_and_a_life_beyond_90_days_is_for_nobody() {
    let house = House::new().await;
    let (owner, scientist) = (house.call(&house.owner).await, house.call(&house.scientist).await);
    let for_robot = NewToken { principal: Some("robot".to_owned()), ..NewToken::default() };
    assert_eq!(code(house.broker.create_token(&scientist, for_robot.clone(), None).await), "GRANT_MISSING");
    assert_eq!(code(house.broker.list_tokens(&scientist, Some("robot")).await), "GRANT_MISSING");
    // Whether there is such a token or not: the same answer.
    assert_eq!(code(house.broker.revoke_token(&scientist, &house.runner.token.0, None).await), "GRANT_MISSING");
    assert_eq!(code(house.broker.revoke_token(&scientist, "0000000000000000000000", None).await), "GRANT_MISSING");
    let made = house.broker.create_token(&owner, for_robot, None).await.unwrap();
    assert!(made.secret.as_ref().unwrap().reveal().starts_with("vk1_s_"));
    assert_eq!(made.token.principal, house.runner.name);
    let days = |days: u32| NewToken { ttl_seconds: Some(days * 24 * 3600), ..NewToken::default() };
    assert_eq!(code(house.broker.create_token(&owner, days(90), None).await), "OK");
    assert_eq!(code(house.broker.create_token(&owner, days(91), None).await), "INVALID_FIELD");
}

#[tokio::test]
async fn a_token_of_ones_own_outlives_none_that_it_was_made_with_but_an_owners() {
    let house = House::new().await;
    let for_a_minute = NewToken { ttl_seconds: Some(60), ..NewToken::default() };
    for (who, manages) in [(&house.scientist, false), (&house.engineer, false), (&house.owner, true)] {
        let short = house.broker.create_token(&house.call(who).await, for_a_minute.clone(), None).await.unwrap();
        let found = Person {
            id: who.id,
            name: who.name.clone(),
            token: short.token.id.clone(),
            header: format!("Bearer {}", short.secret.as_ref().unwrap().reveal()).into_bytes(),
        };
        house.clock.advance(Duration::from_secs(10));
        let call = house.call(&found).await;
        let lasting = |seconds: u32| NewToken { ttl_seconds: Some(seconds), ..NewToken::default() };
        let more = house.broker.create_token(&call, lasting(51), None).await;
        assert_eq!(code(more), if manages { "OK" } else { "INVALID_FIELD" }, "{}", who.name);
        assert_eq!(code(house.broker.create_token(&call, lasting(50), None).await), "OK", "{}", who.name);
        let unsaid = house.broker.create_token(&call, NewToken::default(), None).await.unwrap().token.expires_at;
        assert_eq!(unsaid == short.token.expires_at, !manages, "{}", who.name);
    }
    // By name or by id it is one's own all the same.
    let own = NewToken { principal: Some("sam".to_owned()), ttl_seconds: Some(31 * 24 * 3600), ..NewToken::default() };
    assert_eq!(code(house.broker.create_token(&house.call(&house.scientist).await, own, None).await), "INVALID_FIELD");
}

/// Case I5.
#[tokio::test]
async fn the_same_request_is_done_once_and_another_body_under_its_id_is_refused() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let request = once(1, 1);
    let first = house.broker.create_principal(&owner, new_user("nora"), Some(&request)).await.unwrap();
    let again = house.broker.create_principal(&owner, new_user("nora"), Some(&request)).await.unwrap();
    assert_eq!(first, again);
    let other = house.broker.create_principal(&owner, new_user("nina"), Some(&once(1, 2))).await;
    assert_eq!(code(other), "REQUEST_ID_REUSED");
    assert_eq!(house.store.resolve_principal(house.home.id, "nina").await.err(), Some(StoreError::NotFound));
    // Without the id it is another request, and the name is taken.
    assert_eq!(code(house.broker.create_principal(&owner, new_user("nora"), None).await), "NAME_TAKEN");
    // Another caller's request with the same id is another request.
    let second = house.person(&house.home, "otto", Some(Role::Owner)).await;
    let theirs = house.broker.create_principal(&house.call(&second).await, new_user("nina"), Some(&request)).await;
    assert_eq!(code(theirs), "OK");
}

#[tokio::test]
async fn a_hundred_equal_requests_at_once_make_one_principal() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (broker, call) = (house.broker.clone(), owner.clone());
        set.spawn(async move { broker.create_principal(&call, new_user("nora"), Some(&once(1, 1))).await.unwrap().id });
    }
    let ids = set.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn a_repeated_deletion_answers_as_the_first_did() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    house.broker.delete_principal(&owner, "sam", Some(&once(1, 1))).await.unwrap();
    house.broker.delete_principal(&owner, "sam", Some(&once(1, 1))).await.unwrap();
    assert_eq!(code(house.broker.delete_principal(&owner, "sam", None).await), "NOT_FOUND");
}

#[tokio::test]
async fn a_page_token_opens_its_own_listing_and_no_other() {
    let house = House::new().await;
    let owner = house.call_to(&house.owner, "/list/principals").await;
    let pages = house.broker.pages();
    let ask = pages.parse(&owner, b"filters", 2, "").unwrap();
    let mut names = Vec::new();
    let first = house.broker.list_principals(&owner, None, &ask).await.unwrap();
    names.extend(first.items.iter().map(|p| p.name.to_string()));
    let token = pages.next(&owner, b"filters", first.next.as_deref());
    let mut ask = pages.parse(&owner, b"filters", 2, &token).unwrap();
    loop {
        let page = house.broker.list_principals(&owner, None, &ask).await.unwrap();
        names.extend(page.items.iter().map(|p| p.name.to_string()));
        if page.next.is_none() {
            break;
        }
        ask.after = page.next;
    }
    assert_eq!(names, ["anna", "emil", "olga", "robot", "sam"]);
    let other_method = house.call_to(&house.owner, "/list/bindings").await;
    let other_person = house.call_to(&house.engineer, "/list/principals").await;
    assert_eq!(pages.parse(&other_method, b"filters", 2, &token).unwrap_err().field, "page_token");
    assert_eq!(pages.parse(&other_person, b"filters", 2, &token).unwrap_err().field, "page_token");
    assert_eq!(pages.parse(&owner, b"other filters", 2, &token).unwrap_err().field, "page_token");
    assert_eq!(pages.parse(&owner, b"filters", -1, "").unwrap_err().field, "page_size");
}

#[tokio::test]
async fn bindings_of_one_principal_come_in_pages_that_leave_none_out() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    for _ in 0..5 {
        house.bind(&house.runner, Role::Auditor, BindingTarget::Project).await;
    }
    let mut seen = Vec::new();
    let mut page = PageAsk { size: 2, after: None };
    loop {
        let found = house.broker.list_bindings(&owner, Some("robot"), &page).await.unwrap();
        assert!(found.items.len() <= 2);
        seen.extend(found.items.into_iter().map(|b| b.id));
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    assert_eq!(
        code(house.broker.list_bindings(&house.call(&house.scientist).await, None, &page).await),
        "GRANT_MISSING"
    );
    assert_eq!(house.broker.list_bindings(&owner, None, &FIRST_PAGE).await.unwrap().items.len(), 9);
}

#[tokio::test]
async fn what_may_be_minted_is_what_bindings_and_ceilings_leave() {
    let house = House::new().await;
    let connector = house.connector(&house.home, "prod").await;
    let link = |connector| ComponentLink {
        connector,
        resource_type: crate::domain::ResourceTypeName::parse("paper-shelf").unwrap(),
        resource_id: crate::domain::ResourceId::canonical("paper://data").unwrap(),
        access_max: AccessLevel::Read,
    };
    let component = house.component(&house.home, "store", Some(link(connector.id))).await;
    house.component(&house.home, "other", Some(link(connector.id))).await;
    let patterns = vec![Pattern::parse("paper://data/**").unwrap()];
    let conditions = Conditions { resource_patterns: patterns, ..Conditions::default() };
    house.bind_with(&house.runner, Role::Runner, BindingTarget::Component(component.id), conditions).await;

    let runner = house.broker.list_mintable(&house.call(&house.runner).await, &FIRST_PAGE).await.unwrap().items;
    assert_eq!(runner.len(), 1);
    assert_eq!(runner[0].component.as_deref(), Some("store"));
    assert_eq!(runner[0].access_max, AccessLevel::Read);
    assert_eq!(runner[0].resources, ["paper://data/**"]);
    assert_eq!(runner[0].ttl_max.unwrap().as_seconds(), 7200);

    let scientist = house.broker.list_mintable(&house.call(&house.scientist).await, &FIRST_PAGE).await.unwrap().items;
    let ways: Vec<_> = scientist.iter().map(|m| m.component.as_deref().unwrap_or(&m.connector)).collect();
    assert_eq!(ways, ["other", "store", "prod"]);
    assert_eq!(scientist[1].command, "valetkey mint --component store");
    assert_eq!(scientist[2].command, "valetkey mint --connector prod --resource-type TYPE --resource ID");
    for nothing in [&house.owner, &house.engineer, &house.auditor, &house.foreigner] {
        assert_eq!(house.broker.list_mintable(&house.call(nothing).await, &FIRST_PAGE).await.unwrap().items, []);
    }
}

#[tokio::test]
async fn every_change_has_its_line_and_every_refusal_too() {
    let house = House::new().await;
    let owner = house.call_to(&house.owner, "/create").await;
    let made = house.broker.create_principal(&owner, new_user("nora"), None).await.unwrap();
    let line = lines_of(&house, &owner).await.remove(0).line;
    assert_eq!((line.method.as_str(), line.outcome), ("/create", Outcome::Ok));
    assert_eq!(line.subject, Some(Subject::Principal(made.id)));
    assert_eq!(line.principal, Some(house.owner.id));
    assert!(owner.record.lined());
    let auditor = house.call_to(&house.auditor, "/refused").await;
    assert_eq!(code(house.broker.create_principal(&auditor, new_user("eve"), None).await), "GRANT_MISSING");
    let line = lines_of(&house, &auditor).await.remove(0).line;
    assert_eq!((line.method.as_str(), line.outcome), ("/refused", Outcome::Denied));
}

//! Components against the real store: who sees them, who links them to what,
//! and that no link reaches beyond requirement, ceiling or grant.

use crate::audit::{LineFilter, Outcome};
use crate::domain::page::PAGE_SIZE_DEFAULT;
use crate::domain::{
    AccessLevel, BindingTarget, Component, ComponentLink, Conditions, ConnectorId, ConnectorTypeName, Labels, PageAsk,
    Pattern, Requirement, ResourceId, ResourceTypeName, Role, Version,
};
use crate::store::AuditLines;

use super::super::fixture::{House, Person, name, once};
use super::super::{BrokerError, NewStack};
use super::*;

const FIRST_PAGE: PageAsk = PageAsk { size: PAGE_SIZE_DEFAULT, after: None };

fn code<T>(answer: Result<T, BrokerError>) -> &'static str {
    answer.err().map_or("OK", |error| error.code())
}

/// The field that was refused.
fn field<T>(answer: Result<T, BrokerError>) -> String {
    match answer.err() {
        Some(BrokerError::Invalid(errors)) => errors.0[0].field.clone(),
        Some(other) => panic!("{other}"),
        None => panic!("it was taken"),
    }
}

fn shelf() -> ResourceTypeName {
    ResourceTypeName::parse("paper-shelf").unwrap()
}

fn linked(connector: ConnectorId, resource: &str) -> ComponentLink {
    ComponentLink {
        connector,
        resource_type: shelf(),
        resource_id: ResourceId::canonical(resource).unwrap(),
        access_max: AccessLevel::Read,
    }
}

fn new(named: &str, connector_type: Option<&str>, resource_id: Option<&str>) -> NewComponent {
    NewComponent {
        name: name(named),
        component_type: name("artifact-store"),
        flavor: None,
        requirement: Requirement {
            connector_type: connector_type.map(|text| ConnectorTypeName::parse(text).unwrap()),
            resource_type: shelf(),
            resource_id: resource_id.map(|text| ResourceId::canonical(text).unwrap()),
        },
        description: String::new(),
        labels: Labels::default(),
    }
}

fn link(component: &str, connector: &str, resource: Option<&str>, access_max: AccessLevel) -> Connect {
    let link = Link { connector: connector.to_owned(), resource: resource.map(str::to_owned), access_max };
    Connect { component: component.to_owned(), link: Some(link), expected: None }
}

fn unlink(component: &str) -> Connect {
    Connect { component: component.to_owned(), link: None, expected: None }
}

async fn connect(house: &House, who: &Person, ask: Connect) -> Result<Component, BrokerError> {
    house.broker.connect_component(&house.call(who).await, ask, None).await
}

async fn names(house: &House, who: &Person, filter: &ComponentFilter) -> Vec<String> {
    let found = house.broker.list_components(&house.call(who).await, filter, &FIRST_PAGE).await.unwrap();
    found.items.iter().map(|component| component.name.to_string()).collect()
}

#[tokio::test]
async fn a_component_is_registered_linked_unlinked_and_deleted() {
    let house = House::new().await;
    let connector = house.connector(&house.home, "prod").await;
    let call = house.call(&house.scientist).await;
    let made = house.broker.register_component(&call, new("store", Some("paper"), None), None).await.unwrap();
    let done = connect(&house, &house.scientist, link("store", "prod", Some("data/train/"), AccessLevel::Write)).await;
    let done = done.unwrap();
    assert_eq!(done.version, made.version.next());
    let found = done.link.unwrap();
    assert_eq!((found.connector, found.resource_id.as_str()), (connector.id, "paper://data/train"));
    let filter = LineFilter { project: Some(house.home.id), ..LineFilter::default() };
    let line = house.store.lines(&filter, &FIRST_PAGE).await.unwrap().items.remove(0).line;
    assert_eq!((line.outcome, line.component, line.connector), (Outcome::Ok, Some(made.id), Some(connector.id)));
    assert_eq!(line.resource.unwrap().as_str(), "paper://data/train");
    let done = connect(&house, &house.scientist, unlink("store")).await.unwrap();
    assert_eq!(done.link, None);
    house.broker.delete_component(&call, "store", None, None).await.unwrap();
    assert_eq!(code(house.broker.describe_component(&call, "store").await), "NOT_FOUND");
}

#[tokio::test]
async fn a_requirement_that_no_type_of_this_server_meets_is_refused() {
    let house = House::new().await;
    let call = house.call(&house.scientist).await;
    let refused = house.broker.register_component(&call, new("store", Some("stone"), None), None).await;
    assert_eq!(field(refused), "requirement.connector_type");
    for (connector_type, resource_type) in [(Some("paper"), "s3-bucket"), (None, "s3-bukket")] {
        let mut ask = new("store", connector_type, None);
        ask.requirement.resource_type = ResourceTypeName::parse(resource_type).unwrap();
        let refused = house.broker.register_component(&call, ask, None).await;
        assert_eq!(field(refused), "requirement.resource_type");
    }
}

#[tokio::test]
async fn a_link_must_meet_what_the_component_needs() {
    let house = House::new().await;
    house.connector(&house.home, "prod").await;
    house
        .connector_with(&house.home, "reams", |c| {
            c.resource_type = Some(ResourceTypeName::parse("paper-ream").unwrap())
        })
        .await;
    house.connector_with(&house.home, "stone", |c| c.connector_type = ConnectorTypeName::parse("stone").unwrap()).await;
    let call = house.call(&house.scientist).await;
    let ask = new("store", Some("paper"), Some("data"));
    house.broker.register_component(&call, ask, None).await.unwrap();
    let ask = |connector, resource| link("store", connector, resource, AccessLevel::Read);
    assert_eq!(field(connect(&house, &house.scientist, ask("stone", None)).await), "connector");
    assert_eq!(field(connect(&house, &house.scientist, ask("reams", None)).await), "connector");
    // Beside it, a longer name, above it, and no name of a shelf at all.
    for bad in ["other", "dataset", "data/../other", "DATA", "*"] {
        assert_eq!(field(connect(&house, &house.scientist, ask("prod", Some(bad))).await), "resource_id", "{bad}");
    }
    // What was required is taken when nothing is said, in canonical form.
    let done = connect(&house, &house.scientist, ask("prod", None)).await.unwrap();
    assert_eq!(done.link.unwrap().resource_id.as_str(), "paper://data");
    let done = connect(&house, &house.scientist, ask("prod", Some("data/train"))).await.unwrap();
    assert_eq!(done.link.unwrap().resource_id.as_str(), "paper://data/train");
}

#[tokio::test]
async fn a_link_stays_below_the_connectors_ceiling() {
    let house = House::new().await;
    house
        .connector_with(&house.home, "narrow", |c| {
            c.resource_type = Some(shelf());
            c.resource_id = Some(ResourceId::canonical("paper://data").unwrap());
            c.policy.resource_patterns = vec![Pattern::parse("paper://data/train/**").unwrap()];
            c.policy.access_max = AccessLevel::Read;
        })
        .await;
    house.component(&house.home, "store", None).await;
    let ask = |resource, access| link("store", "narrow", Some(resource), access);
    let read = AccessLevel::Read;
    assert_eq!(field(connect(&house, &house.scientist, ask("other", read)).await), "resource_id");
    assert_eq!(field(connect(&house, &house.scientist, ask("data", read)).await), "resource_id");
    assert_eq!(field(connect(&house, &house.scientist, ask("data/train/x", AccessLevel::Write)).await), "access_max");
    assert_eq!(code(connect(&house, &house.scientist, ask("data/train/x", read)).await), "OK");
    // The engineer writes the ceiling, and is held to it as well.
    assert_eq!(field(connect(&house, &house.engineer, ask("data", read)).await), "resource_id");
}

/// Whoever is bound to the component would mint what the linker may not.
#[tokio::test]
async fn nobody_links_what_they_may_not_mint_unless_they_write_the_connector() {
    let house = House::new().await;
    house.connector(&house.home, "prod").await;
    house.component(&house.home, "store", None).await;
    let narrow = house.person(&house.home, "nick", None).await;
    let conditions = Conditions {
        resource_patterns: vec![Pattern::parse("paper://data/**").unwrap()],
        access_max: Some(AccessLevel::Read),
        ..Conditions::default()
    };
    house.bind_with(&narrow, Role::DataScientist, BindingTarget::Project, conditions).await;
    let ask = |resource, access| link("store", "prod", Some(resource), access);
    let (read, write) = (AccessLevel::Read, AccessLevel::Write);
    assert_eq!(code(connect(&house, &narrow, ask("payroll", read)).await), "RESOURCE_OUTSIDE_GRANT");
    assert_eq!(code(connect(&house, &narrow, ask("data/train", write)).await), "ACCESS_ABOVE_GRANT");
    assert_eq!(code(connect(&house, &narrow, ask("data/train", read)).await), "OK");
    assert_eq!(code(connect(&house, &house.engineer, ask("payroll", write)).await), "OK");
}

/// Case B15.
#[tokio::test]
async fn a_connector_of_another_project_is_not_found_by_id_or_name() {
    let house = House::new().await;
    let foreign = house.connector(&house.abroad, "secret").await;
    let component = house.component(&house.home, "store", None).await;
    for text in [foreign.id.to_string(), "secret".to_owned(), "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11".to_owned()] {
        let refused = connect(&house, &house.scientist, link("store", &text, Some("data"), AccessLevel::Read)).await;
        assert_eq!(refused.unwrap_err(), BrokerError::NotFound { noun: "connector" });
    }
    let stranger = house.person(&house.abroad, "sabine", Some(Role::DataScientist)).await;
    let ask = link(&component.id.to_string(), "secret", Some("data"), AccessLevel::Read);
    assert_eq!(connect(&house, &stranger, ask).await.unwrap_err(), BrokerError::NotFound { noun: "component" });
    assert_eq!(names(&house, &stranger, &ComponentFilter::default()).await, Vec::<String>::new());
}

#[tokio::test]
async fn those_without_the_permission_register_link_and_delete_nothing() {
    let house = House::new().await;
    house.connector(&house.home, "prod").await;
    house.component(&house.home, "store", None).await;
    for who in [&house.owner, &house.auditor, &house.runner] {
        let call = house.call(who).await;
        let ask = new("another", None, None);
        assert_eq!(code(house.broker.register_component(&call, ask, None).await), "GRANT_MISSING");
        let ask = link("store", "prod", Some("data"), AccessLevel::Read);
        assert_eq!(code(connect(&house, who, ask).await), "GRANT_MISSING");
        assert_eq!(code(connect(&house, who, unlink("store")).await), "GRANT_MISSING");
        assert_eq!(code(house.broker.delete_component(&call, "store", None, None).await), "GRANT_MISSING");
    }
}

#[tokio::test]
async fn a_narrow_caller_sees_its_own_and_learns_of_nothing_else() {
    let house = House::new().await;
    let (prod, lab) = (house.connector(&house.home, "prod").await, house.connector(&house.home, "lab").await);
    let mine = house.component(&house.home, "mine", None).await;
    house.component(&house.home, "on-lab", Some(linked(lab.id, "paper://data"))).await;
    house.component(&house.home, "on-prod", Some(linked(prod.id, "paper://data"))).await;
    house.component(&house.home, "loose", None).await;
    let narrow = house.person(&house.home, "nick", None).await;
    house.bind(&narrow, Role::DataScientist, BindingTarget::Component(mine.id)).await;
    house.bind(&narrow, Role::DataScientist, BindingTarget::Connector(lab.id)).await;
    assert_eq!(names(&house, &narrow, &ComponentFilter::default()).await, ["mine", "on-lab"]);
    assert_eq!(
        names(&house, &house.scientist, &ComponentFilter::default()).await,
        ["loose", "mine", "on-lab", "on-prod"]
    );
    let on_lab = ComponentFilter { connector: Some("lab".to_owned()), ..ComponentFilter::default() };
    assert_eq!(names(&house, &narrow, &on_lab).await, ["on-lab"]);
    let call = house.call(&narrow).await;
    let page = PageAsk { size: 1, after: None };
    let first = house.broker.list_components(&call, &ComponentFilter::default(), &page).await.unwrap();
    assert_eq!((first.items.len(), first.next.as_deref()), (1, Some("mine")));
    assert_eq!(code(house.broker.describe_component(&call, "on-lab").await), "OK");
    // What is there and not to be seen is answered as what is not there.
    let hidden = house.broker.describe_component(&call, "on-prod").await.unwrap_err();
    let absent = house.broker.describe_component(&call, "no-such").await.unwrap_err();
    assert_eq!(hidden, absent);
    assert_eq!(hidden.code(), "GRANT_MISSING");
}

/// Whoever may link on one connector must not pull components over to it.
#[tokio::test]
async fn a_caller_bound_to_one_connector_moves_nothing_away_from_another() {
    let house = House::new().await;
    let (prod, lab) = (house.connector(&house.home, "prod").await, house.connector(&house.home, "lab").await);
    house.component(&house.home, "on-prod", Some(linked(prod.id, "paper://data"))).await;
    house.component(&house.home, "on-lab", Some(linked(lab.id, "paper://data"))).await;
    house.component(&house.home, "loose", None).await;
    let narrow = house.person(&house.home, "nick", None).await;
    house.bind(&narrow, Role::DataScientist, BindingTarget::Connector(lab.id)).await;
    let to_lab = |component| link(component, "lab", Some("other"), AccessLevel::Read);
    assert_eq!(code(connect(&house, &narrow, to_lab("on-prod")).await), "GRANT_MISSING");
    assert_eq!(code(connect(&house, &narrow, to_lab("loose")).await), "GRANT_MISSING");
    assert_eq!(code(connect(&house, &narrow, unlink("on-prod")).await), "GRANT_MISSING");
    assert_eq!(code(connect(&house, &narrow, to_lab("on-lab")).await), "OK");
    let to_prod = link("on-lab", "prod", Some("other"), AccessLevel::Read);
    assert_eq!(code(connect(&house, &narrow, to_prod).await), "GRANT_MISSING");
    // To see it is not enough.
    house.bind(&narrow, Role::Auditor, BindingTarget::Project).await;
    assert_eq!(code(connect(&house, &narrow, to_lab("on-prod")).await), "GRANT_MISSING");
}

/// Case I3, and that a repeated request answers as the first did.
#[tokio::test]
async fn of_two_changes_of_one_version_one_wins_and_a_replay_is_the_first() {
    let house = House::new().await;
    house.connector(&house.home, "prod").await;
    let old = house.component(&house.home, "store", None).await;
    let at = |resource, expected| Connect {
        expected: Some(expected),
        ..link("store", "prod", Some(resource), AccessLevel::Read)
    };
    let call = house.call(&house.scientist).await;
    let request = once(3, 1);
    let first = house.broker.connect_component(&call, at("data", old.version), Some(&request)).await.unwrap();
    assert_eq!(code(connect(&house, &house.scientist, at("other", old.version)).await), "STALE");
    assert_eq!(code(connect(&house, &house.scientist, at("other", Version(99))).await), "STALE");
    let again = house.broker.connect_component(&call, at("data", old.version), Some(&request)).await.unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_component_in_a_stack_is_not_deleted_and_the_stack_is_named() {
    let house = House::new().await;
    house.component(&house.home, "store", None).await;
    let call = house.call(&house.scientist).await;
    let stack = NewStack {
        name: name("training"),
        components: vec!["store".to_owned()],
        description: String::new(),
        labels: Labels::default(),
    };
    house.broker.register_stack(&call, stack, None).await.unwrap();
    let refused = house.broker.delete_component(&call, "store", None, None).await.unwrap_err();
    assert_eq!(refused.code(), "STILL_LINKED");
    assert!(refused.to_string().contains("training"));
    house.broker.delete_stack(&call, "training", None, None).await.unwrap();
    assert_eq!(code(house.broker.delete_component(&call, "store", None, Some(&once(1, 1))).await), "OK");
    assert_eq!(code(house.broker.delete_component(&call, "store", None, Some(&once(1, 1))).await), "OK");
}

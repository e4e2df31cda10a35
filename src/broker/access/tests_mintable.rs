//! What a caller may mint, page by page: every way once, none left out, also
//! beyond what one page holds.

use std::collections::BTreeSet;

use crate::audit::{Line, LineKind, Outcome};
use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{
    AccessLevel, BindingTarget, Component, ComponentId, ComponentLink, Conditions, Connector, Page, PageAsk,
    ResourceId, ResourceTypeName, Role, Ttl,
};
use crate::store::{Transactions as _, Tx, Write};

use super::super::ComponentFilter;
use super::super::fixture::{House, Person, name};
use super::*;

fn link(connector: &Connector) -> ComponentLink {
    ComponentLink {
        connector: connector.id,
        resource_type: ResourceTypeName::parse("paper-shelf").unwrap(),
        resource_id: ResourceId::canonical("paper://data").unwrap(),
        access_max: AccessLevel::Read,
    }
}

/// As many components like this one, `PREFIX-0000` and on.
async fn many(house: &House, like: &Component, prefix: &str, count: u32) {
    for begin in (0..count).step_by(250) {
        let one = |at: u32| {
            let mut id = *like.id.as_bytes();
            id[..4].copy_from_slice(&at.to_be_bytes());
            let (id, name) = (ComponentId::from_bytes(id), name(&format!("{prefix}-{at:04}")));
            Write::InsertComponent(Component { id, name, ..like.clone() })
        };
        let tx = Tx::with_line(Line::about("test/set-up", LineKind::Single, Outcome::Ok));
        let tx = (begin..count.min(begin + 250)).map(one).fold(tx, Tx::write);
        house.store.commit(tx).await.unwrap();
    }
}

async fn page(house: &House, who: &Person, size: u32, after: Option<String>) -> Page<Mintable> {
    house.broker.list_mintable(&house.call(who).await, &PageAsk { size, after }).await.unwrap()
}

/// All of it by pages of this size, none of which is longer, and how many pages.
async fn walk(house: &House, who: &Person, size: u32) -> (Vec<Mintable>, usize) {
    let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let found = page(house, who, size, after).await;
        assert!(found.items.len() <= size as usize);
        all.extend(found.items);
        pages += 1;
        after = found.next;
        if after.is_none() {
            return (all, pages);
        }
    }
}

fn ways(found: &[Mintable]) -> Vec<&str> {
    found.iter().map(|way| way.component.as_deref().unwrap_or(&way.connector)).collect()
}

#[tokio::test]
async fn more_than_a_page_holds_is_listed_whole_and_says_that_there_is_more() {
    let house = House::new().await;
    let connector = house.connector(&house.home, "prod").await;
    let first = house.component(&house.home, "a", Some(link(&connector))).await;
    // With the connector itself exactly what one page holds, and then one more.
    many(&house, &first, "b", PAGE_SIZE_MAX - 2).await;
    let whole = page(&house, &house.scientist, PAGE_SIZE_MAX, None).await;
    assert_eq!((whole.items.len(), whole.next), (1000, None));
    house.component(&house.home, "c", Some(link(&connector))).await;
    let first = page(&house, &house.scientist, PAGE_SIZE_MAX, None).await;
    assert!(first.items.len() == 1000 && first.next.is_some());
    let rest = page(&house, &house.scientist, PAGE_SIZE_MAX, first.next).await;
    assert_eq!((ways(&rest.items), rest.next), (vec!["prod"], None));
    let (all, pages) = walk(&house, &house.scientist, 200).await;
    assert_eq!((all.len(), pages), (1001, 6));
    assert_eq!(ways(&all).into_iter().collect::<BTreeSet<_>>().len(), 1001, "each once");
    // One who holds a role on the connector alone sees as much.
    house.bind(&house.runner, Role::DataScientist, BindingTarget::Connector(connector.id)).await;
    let (narrow, _) = walk(&house, &house.runner, 200).await;
    assert_eq!(ways(&narrow), ways(&all));
}

#[tokio::test]
async fn one_way_by_several_bindings_goes_on_where_the_page_ended() {
    let house = House::new().await;
    let connector = house.connector(&house.home, "prod").await;
    for named in ["store", "other"] {
        house.component(&house.home, named, Some(link(&connector))).await;
    }
    for seconds in [100, 200, 300] {
        let conditions = Conditions { ttl_max: Some(Ttl::seconds(seconds)), ..Conditions::default() };
        house.bind_with(&house.runner, Role::DataScientist, BindingTarget::Project, conditions).await;
    }
    let (whole, _) = walk(&house, &house.runner, 100).await;
    assert_eq!(ways(&whole), ["other", "other", "other", "store", "store", "store", "prod", "prod", "prod"]);
    for size in 1..=10 {
        assert_eq!(walk(&house, &house.runner, size).await.0, whole, "pages of {size}");
    }
    // What goes away in between takes nothing else along, and what comes is no second time.
    let begun = page(&house, &house.runner, 4, None).await;
    let owner = house.call(&house.scientist).await;
    house.broker.delete_component(&owner, "store", None, None).await.unwrap();
    house.component(&house.home, "aaa", Some(link(&connector))).await;
    let rest = page(&house, &house.runner, 100, begun.next).await;
    assert_eq!(ways(&rest.items), ["prod", "prod", "prod"]);
}

#[tokio::test]
async fn components_that_lead_nowhere_take_no_place_and_end_no_list() {
    let house = House::new().await;
    let connector = house.connector(&house.home, "prod").await;
    let loose = house.component(&house.home, "loose", None).await;
    many(&house, &loose, "a", 60).await;
    house.component(&house.home, "z", Some(link(&connector))).await;
    let (all, pages) = walk(&house, &house.scientist, 1).await;
    assert_eq!(ways(&all), ["z", "prod"]);
    assert!(pages < 10, "a page reads on over what it does not tell: {pages}");
    for nothing in [&house.owner, &house.engineer, &house.auditor, &house.foreigner] {
        assert_eq!(walk(&house, nothing, 1).await.0, []);
    }
}

/// The same pages as of the components themselves.
#[tokio::test]
async fn a_narrow_caller_goes_through_several_connectors_by_name() {
    let house = House::new().await;
    let (one, two) = (house.connector(&house.home, "one").await, house.connector(&house.home, "two").await);
    let hidden = house.connector(&house.home, "hidden").await;
    for (named, connector) in [("a", &one), ("b", &two), ("c", &hidden), ("d", &one), ("e", &hidden), ("f", &two)] {
        house.component(&house.home, named, Some(link(connector))).await;
    }
    let own = house.component(&house.home, "e-own", Some(link(&hidden))).await;
    for target in [BindingTarget::Connector(one.id), BindingTarget::Connector(two.id), BindingTarget::Component(own.id)]
    {
        house.bind(&house.runner, Role::DataScientist, target).await;
    }
    let call = house.call(&house.runner).await;
    for size in 1..=6 {
        let (found, _) = walk(&house, &house.runner, size).await;
        assert_eq!(ways(&found), ["a", "b", "d", "e-own", "f", "one", "two"], "pages of {size}");
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let ask = PageAsk { size, after };
            let listed = house.broker.list_components(&call, &ComponentFilter::default(), &ask).await.unwrap();
            seen.extend(listed.items.into_iter().map(|component| component.name.to_string()));
            after = listed.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "d", "e-own", "f"], "pages of {size}");
    }
}

#[tokio::test]
async fn a_place_that_is_none_of_ours_is_refused() {
    let house = House::new().await;
    for words in ["", "prod", "{}", r#"{"stage":"Elsewhere","after":null,"within":null}"#] {
        let ask = PageAsk { size: 1, after: Some(words.to_owned()) };
        let refused = house.broker.list_mintable(&house.call(&house.scientist).await, &ask).await;
        assert_eq!(refused.unwrap_err().code(), "INVALID_FIELD", "{words}");
    }
}

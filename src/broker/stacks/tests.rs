//! Stacks against the real store.

use crate::domain::page::PAGE_SIZE_DEFAULT;
use crate::domain::{BindingTarget, Labels, PageAsk, Role};

use super::super::BrokerError;
use super::super::fixture::{House, name, once};
use super::*;

const FIRST_PAGE: PageAsk = PageAsk { size: PAGE_SIZE_DEFAULT, after: None };

fn code<T>(answer: Result<T, BrokerError>) -> &'static str {
    answer.err().map_or("OK", |error| error.code())
}

fn stack(named: &str, components: &[&str]) -> NewStack {
    NewStack {
        name: name(named),
        components: components.iter().map(ToString::to_string).collect(),
        description: String::new(),
        labels: Labels::default(),
    }
}

#[tokio::test]
async fn a_stack_names_existing_components_each_once() {
    let house = House::new().await;
    let store = house.component(&house.home, "store", None).await;
    let foreign = house.component(&house.abroad, "foreign", None).await;
    let call = house.call(&house.scientist).await;
    let id = store.id.to_string();
    let twice = house.broker.register_stack(&call, stack("a", &["store", &id]), None).await;
    assert_eq!(code(twice), "INVALID_FIELD");
    for bad in ["no-such", &foreign.id.to_string(), "foreign"] {
        assert_eq!(code(house.broker.register_stack(&call, stack("a", &[bad]), None).await), "NOT_FOUND");
    }
    let many = vec!["store"; 65];
    assert_eq!(code(house.broker.register_stack(&call, stack("a", &many), None).await), "INVALID_FIELD");
    let made = house.broker.register_stack(&call, stack("a", &["store"]), None).await.unwrap();
    assert_eq!(made.components, [store.id]);
    assert_eq!(house.broker.stack_components(&call, &made).await.unwrap()[0].name, store.name);
}

#[tokio::test]
async fn a_stale_change_of_a_stack_is_refused_and_a_replay_answers_as_the_first() {
    let house = House::new().await;
    house.component(&house.home, "one", None).await;
    house.component(&house.home, "two", None).await;
    let call = house.call(&house.scientist).await;
    let made = house.broker.register_stack(&call, stack("a", &["one"]), Some(&once(1, 1))).await.unwrap();
    let list = ["two".to_owned(), "one".to_owned()];
    let changed = house.broker.update_stack(&call, "a", &list, Some(made.version), Some(&once(2, 1))).await.unwrap();
    assert_eq!((changed.components.len(), changed.version), (2, made.version.next()));
    assert_eq!(code(house.broker.update_stack(&call, "a", &[], Some(made.version), None).await), "STALE");
    let again = house.broker.update_stack(&call, "a", &list, Some(made.version), Some(&once(2, 1))).await.unwrap();
    assert_eq!(again, changed);
    assert_eq!(code(house.broker.delete_stack(&call, "a", Some(made.version), None).await), "STALE");
    assert_eq!(code(house.broker.delete_stack(&call, "a", Some(changed.version), Some(&once(3, 1))).await), "OK");
    assert_eq!(code(house.broker.delete_stack(&call, "a", Some(changed.version), Some(&once(3, 1))).await), "OK");
}

#[tokio::test]
async fn stacks_are_changed_by_those_who_may_and_seen_whole_or_not_at_all() {
    let house = House::new().await;
    let one = house.component(&house.home, "one", None).await;
    house.component(&house.home, "two", None).await;
    let call = house.call(&house.scientist).await;
    house.broker.register_stack(&call, stack("both", &["one", "two"]), None).await.unwrap();
    house.broker.register_stack(&call, stack("single", &["one"]), None).await.unwrap();
    let narrow = house.person(&house.home, "nick", None).await;
    house.bind(&narrow, Role::DataScientist, BindingTarget::Component(one.id)).await;
    let seen = house.call(&narrow).await;
    let page = house.broker.list_stacks(&seen, &Labels::default(), &FIRST_PAGE).await.unwrap();
    assert_eq!(page.items.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["single"]);
    let hidden = house.broker.describe_stack(&seen, "both").await.unwrap_err();
    assert_eq!(hidden, house.broker.describe_stack(&seen, "no-such").await.unwrap_err());
    assert_eq!(code(house.broker.describe_stack(&seen, "single").await), "OK");
    assert_eq!(code(house.broker.update_stack(&seen, "single", &[], None, None).await), "GRANT_MISSING");
    for who in [&house.owner, &house.auditor] {
        let call = house.call(who).await;
        assert_eq!(code(house.broker.describe_stack(&call, "both").await), "OK");
        assert_eq!(code(house.broker.register_stack(&call, stack("x", &[]), None).await), "GRANT_MISSING");
        assert_eq!(code(house.broker.update_stack(&call, "both", &[], None, None).await), "GRANT_MISSING");
        assert_eq!(code(house.broker.delete_stack(&call, "both", None, None).await), "GRANT_MISSING");
    }
    let stranger = house.call(&house.foreigner).await;
    assert_eq!(code(house.broker.describe_stack(&stranger, "both").await), "NOT_FOUND");
}

//! What a run's token does, and everything near it that it does not.

use std::sync::atomic::Ordering;

use crate::audit::{LineFilter, Outcome};
use crate::connectors::paper::Cloud;
use crate::domain::{BindingTarget, Conditions, PageAsk, PrincipalKind, Role, Timestamp};
use crate::store::{AuditLines as _, Issuances as _, Transactions as _, Tx, Write};

use super::super::super::fixture::name;
use super::super::super::{
    ComponentFilter, ConnectorFilter, IssuanceAsk, LineAsk, MintAsk, MintSource, NewBinding, NewPrincipal, NewToken,
    Revoke, WishedTarget,
};
use super::*;

const FIRST_PAGE: PageAsk = PageAsk { size: 100, after: None };

#[tokio::test]
async fn what_a_run_minted_through_a_component_goes_with_the_component_and_the_stack() {
    let works = Works::new("touched-stack").await;
    let (broker, scientist) = (&works.house.broker, &works.house.scientist);
    let (_, run) = works.start(scientist, on("prod")).await;
    for (who, component) in [(&run, "store"), (&run, "registry"), (scientist, "store")] {
        assert_eq!(code(works.mint(who, &through(component)).await), "OK");
    }
    // The link is the same, and so the two of the run are one.
    let call = works.house.call(scientist).await;
    broker.update_stack(&call, "prod", &["store".to_owned()], None, None).await.unwrap();
    assert_eq!(broker.cache.count(), 2, "nothing was minted through what went");
    broker.update_stack(&call, "prod", &["registry".to_owned()], None, None).await.unwrap();
    assert_eq!(broker.cache.count(), 1, "what its starter has outside of it stays");
    assert_eq!(code(works.mint(&run, &through("store")).await), "OUTSIDE_RUN");
    assert_eq!(code(works.mint(&run, &through("registry")).await), "OK");
    broker.delete_stack(&call, "prod", None, None).await.unwrap();
    assert_eq!(broker.cache.count(), 1, "the run reaches nothing any more");
}

/// Case B8.
#[tokio::test]
async fn b8_a_run_asks_for_another_component_connector_run_access_or_lifetime_and_is_refused() {
    let works = Works::new("b8").await;
    let scientist = &works.house.scientist;
    let (_, run) = works.start(scientist, lasting(1800)).await;
    let (second, _) = works.start(scientist, on("prod")).await;
    assert_eq!(code(works.mint(&run, &through("store")).await), "OK");
    // Its starter may, all of it.
    let direct = |text: &str| MintAsk {
        source: MintSource::Connector(text.to_owned()),
        resource_type: Some(ResourceTypeName::parse("paper-shelf").unwrap()),
        resource: Some("paper://shelf".to_owned()),
        ..through("")
    };
    for (ask, starters) in [
        (through("other"), "OK"),
        (through(&works.other.id.to_string()), "OK"),
        (direct("vault"), "OK"),
        (direct(&works.connector.id.to_string()), "OK"),
        (through("no-such"), "NOT_FOUND"),
        (direct("no-such"), "NOT_FOUND"),
    ] {
        assert_eq!(code(works.mint(scientist, &ask).await), starters, "{:?}", ask.source);
        let refused = works.mint(&run, &ask).await.err().unwrap();
        assert_eq!(refused.code(), "OUTSIDE_RUN", "{:?}", ask.source);
        assert!(matches!(&refused, BrokerError::Denied { hint, .. } if hint.contains("--component")), "{refused:?}");
    }
    let higher = MintAsk { access: AccessLevel::Admin, ..through("store") };
    assert_eq!(code(works.mint(&run, &higher).await), "ACCESS_BEYOND_CEILING");
    let elsewhere = MintAsk { resource: Some("paper://other".to_owned()), ..through("store") };
    assert_eq!(code(works.mint(&run, &elsewhere).await), "INVALID_FIELD", "the link fixes the resource");
    // Another run's id, name and prefix, whether it is there or not.
    let call = works.house.call(&run).await;
    let broker = &works.house.broker;
    let (id, made_up) = (second.id.to_string(), "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11");
    for text in [id.as_str(), &id[..8], second.name.as_str(), made_up, "no-such"] {
        let said = [
            code(broker.describe_run(&call, text).await),
            code(broker.renew_run(&call, text, None, None).await),
            code(broker.finish_run(&call, &finish(text, false)).await),
            code(
                broker
                    .list_issuances(
                        &call,
                        &IssuanceAsk { run: Some(text.to_owned()), ..IssuanceAsk::default() },
                        &FIRST_PAGE,
                    )
                    .await,
            ),
        ];
        assert_eq!(said, ["OUTSIDE_RUN"; 4], "{text}");
    }
    // A longer life than the run's is cut, and the reply says so.
    let longer = MintAsk { ttl: Some(Ttl::seconds(3600)), ..through("registry") };
    let cut = works.mint(&run, &longer).await.ok().unwrap();
    assert!(cut.ttl_note.unwrap().contains("the end of the run"));
    let until = broker.describe_run(&call, call.run().unwrap().to_string().as_str()).await.unwrap().ends_at;
    assert!(cut_end(&works, &run).await <= until);
}

async fn cut_end(works: &Works, run: &Person) -> Timestamp {
    works.mint(run, &through("registry")).await.ok().unwrap().minted().expires_at
}

#[tokio::test]
async fn a_run_calls_nothing_that_writes_gives_or_reads_of_others() {
    let works = Works::new("closed").await;
    // Of an owner and of an engineer, each scientist and auditor besides.
    for starter in [&works.house.owner, &works.house.engineer] {
        for role in [Role::DataScientist, Role::Auditor] {
            works.house.bind(starter, role, BindingTarget::Project).await;
        }
        works.house.bind(starter, Role::DataScientist, BindingTarget::Component(works.store.id)).await;
        works.house.bind(starter, Role::DataScientist, BindingTarget::Connector(works.connector.id)).await;
        a_run_of_somebody_calls_nothing_else(&works, starter).await;
    }
}

async fn a_run_of_somebody_calls_nothing_else(works: &Works, starter: &Person) {
    let house = &works.house;
    let (own, run) = works.start(starter, on("prod")).await;
    let (call, broker) = (house.call(&run).await, &house.broker);
    assert_eq!(code(works.mint(&run, &through("store")).await), "OK");
    let user = NewPrincipal { name: name("eve"), kind: PrincipalKind::User, description: String::new() };
    let grant = NewBinding {
        principal: "sam".to_owned(),
        role: Role::Owner,
        target: WishedTarget::Project,
        conditions: Conditions::default(),
    };
    let token = own.token.to_string();
    let said = [
        code(broker.create_token(&call, NewToken::default(), None).await),
        code(broker.list_tokens(&call, None).await),
        code(broker.revoke_token(&call, &token, None).await),
        code(broker.create_principal(&call, user, None).await),
        code(broker.create_binding(&call, grant, None).await),
        code(broker.start_run(&call, on("prod"), None).await),
        code(broker.register_stack(&call, stack_of("mine", &["store"]), None).await),
        code(broker.update_stack(&call, "prod", &["store".to_owned(), "other".to_owned()], None, None).await),
        code(broker.delete_stack(&call, "prod", None, None).await),
        code(broker.list_connectors(&call, &ConnectorFilter::default(), &FIRST_PAGE).await),
        code(broker.list_audit_lines(&call, &LineAsk::default(), &FIRST_PAGE).await),
        code(
            broker.revoke_issuances(&call, &Revoke { connector: Some("vault".to_owned()), ..Revoke::default() }).await,
        ),
    ];
    assert_eq!(said, ["OUTSIDE_RUN"; 12]);
    assert_eq!(code(broker.who_am_i(&call).await), "OK");
    let lines = LineFilter { outcome: Some(Outcome::Denied), ..LineFilter::default() };
    let denied = house.store.lines(&lines, &FIRST_PAGE).await.unwrap().items;
    assert!(denied.iter().filter(|stored| stored.line.run == Some(own.id)).count() >= 12);
    assert!(denied.iter().all(|stored| stored.line.run.is_some()));
}

#[tokio::test]
async fn a_run_sees_its_stack_itself_and_its_issuances_only() {
    let works = Works::new("sight").await;
    let (house, broker) = (&works.house, &works.house.broker);
    let scientist = house.call(&house.scientist).await;
    broker.register_stack(&scientist, stack_of("part", &["store"]), None).await.unwrap();
    broker.register_stack(&scientist, stack_of("wide", &["store", "other"]), None).await.unwrap();
    let (own, run) = works.start(&house.scientist, on("prod")).await;
    works.start(&house.scientist, on("prod")).await;
    works.mint(&house.scientist, &through("store")).await.ok().unwrap();
    let minted = works.mint(&run, &through("store")).await.ok().unwrap().issuance();
    let call = house.call(&run).await;
    let listed = broker.list_components(&call, &ComponentFilter::default(), &FIRST_PAGE).await.unwrap();
    assert_eq!(listed.items.iter().map(|c| c.id).collect::<Vec<_>>(), [works.registry.id, works.store.id]);
    assert_eq!(code(broker.describe_component(&call, "other").await), "OUTSIDE_RUN");
    assert_eq!(code(broker.describe_component(&call, "no-such").await), "OUTSIDE_RUN");
    let stacks = broker.list_stacks(&call, &Labels::default(), &FIRST_PAGE).await.unwrap();
    assert_eq!(stacks.items.iter().map(|s| s.id).collect::<Vec<_>>(), [works.stack.id]);
    for hidden in ["part", "wide", "no-such"] {
        assert_eq!(code(broker.describe_stack(&call, hidden).await), "OUTSIDE_RUN", "{hidden}");
    }
    let runs = broker.list_runs(&call, &RunAsk::default(), &FIRST_PAGE).await.unwrap();
    assert_eq!(runs.items.iter().map(|r| r.id).collect::<Vec<_>>(), [own.id]);
    let issuances = broker.list_issuances(&call, &IssuanceAsk::default(), &FIRST_PAGE).await.unwrap();
    assert_eq!(issuances.items.iter().map(|i| (i.id, i.run)).collect::<Vec<_>>(), [(minted, Some(own.id))]);
    let ways = broker.list_mintable(&call, &FIRST_PAGE).await.unwrap().items;
    let ways: Vec<_> = ways.iter().map(|way| way.component.as_deref()).collect();
    assert_eq!(ways, [Some("registry"), Some("store")], "and the connector not by itself");
}

#[tokio::test]
async fn the_runs_right_ends_with_its_starters_grant_the_component_in_the_stack_and_the_stack() {
    let works = Works::new("live").await;
    let house = &works.house;
    let robot = house.bind(&house.runner, Role::Runner, BindingTarget::Component(works.store.id)).await;
    house.bind(&house.runner, Role::Runner, BindingTarget::Component(works.registry.id)).await;
    let (_, run) = works.start(&house.runner, on("prod")).await;
    assert_eq!(code(works.mint(&run, &through("store")).await), "OK");
    let line = || house.broker_line();
    let unbind = Tx::with_line(line()).write(Write::DeleteBinding { project: house.home.id, id: robot });
    house.store.commit(unbind).await.unwrap();
    assert_eq!(code(works.mint(&run, &through("store")).await), "GRANT_MISSING", "also what is cached");
    assert_eq!(code(works.mint(&run, &through("registry")).await), "OK");
    let scientist = house.call(&house.scientist).await;
    house.broker.update_stack(&scientist, "prod", &["store".to_owned()], None, None).await.unwrap();
    assert_eq!(code(works.mint(&run, &through("registry")).await), "OUTSIDE_RUN");
    let (_, theirs) = works.start(&house.scientist, on("prod")).await;
    assert_eq!(code(works.mint(&theirs, &through("store")).await), "OK");
    house.broker.delete_stack(&scientist, "prod", None, None).await.unwrap();
    assert_eq!(code(works.mint(&theirs, &through("store")).await), "OUTSIDE_RUN");
    let gone = Write::DeletePrincipal { project: house.home.id, id: house.scientist.id };
    house.store.commit(Tx::with_line(line()).write(gone)).await.unwrap();
    assert!(works.is_nobody(&theirs).await, "without its starter there is no run");
}

#[tokio::test]
async fn what_a_run_minted_is_handed_to_no_other_run_and_not_to_its_starter() {
    let works = Works::new("apart").await;
    let scientist = &works.house.scientist;
    let (one, first) = works.start(scientist, on("prod")).await;
    let (two, second) = works.start(scientist, on("prod")).await;
    let mut issuances = Vec::new();
    for who in [&first, &second, scientist] {
        let minted = works.mint(who, &through("store")).await.ok().unwrap().issuance();
        assert_eq!(works.mint(who, &through("store")).await.ok().unwrap().issuance(), minted, "from the cache");
        issuances.push(works.house.store.issuance(works.house.home.id, minted).await.unwrap());
    }
    assert_eq!(issuances.iter().map(|i| i.run).collect::<Vec<_>>(), [Some(one.id), Some(two.id), None]);
    assert_eq!(Cloud::of("apart").asked.load(Ordering::SeqCst), 3);
    let works = Works::with("apart-shared", |connector| connector.policy.shared = true).await;
    let (_, run) = works.start(&works.house.scientist, on("prod")).await;
    let own = works.mint(&works.house.scientist, &through("store")).await.ok().unwrap().issuance();
    assert_eq!(works.mint(&run, &through("store")).await.ok().unwrap().issuance(), own, "unless it is shared");
}

#[tokio::test]
async fn a_shared_credential_that_would_outlive_the_run_is_not_handed_to_it() {
    let works = Works::with("outlive", |connector| connector.policy.shared = true).await;
    let (started, run) = works.start(&works.house.scientist, lasting(900)).await;
    works.mint(&works.house.scientist, &through("store")).await.ok().unwrap();
    let minted = works.mint(&run, &through("store")).await.ok().unwrap();
    assert!(minted.minted().expires_at <= started.ends_at);
}

#[tokio::test]
async fn issuances_ledger_and_session_name_the_run_beside_the_principal() {
    let works = Works::new("named").await;
    let house = &works.house;
    let (started, run) = works.start(&house.scientist, named("nightly")).await;
    let minted = works.mint(&run, &through("store")).await.ok().unwrap();
    let digits = started.id.to_string()[..8].to_owned();
    assert!(minted.minted().attribution.starts_with(&format!("vk-sam-{digits}-")), "{}", minted.minted().attribution);
    let lines = house.store.lines(&LineFilter::default(), &FIRST_PAGE).await.unwrap().items;
    let of_mint: Vec<_> = lines.iter().filter(|l| l.line.issuance == Some(minted.issuance())).collect();
    assert_eq!(of_mint.len(), 3, "intent, result, hand-out");
    for stored in of_mint {
        assert_eq!((stored.line.run, stored.line.principal), (Some(started.id), Some(house.scientist.id)));
    }
    let listed = |text: &str| IssuanceAsk { run: Some(text.to_owned()), ..IssuanceAsk::default() };
    works.mint(&house.scientist, &through("store")).await.ok().unwrap();
    for text in ["nightly", &digits, &started.id.to_string()] {
        for who in [&house.scientist, &house.auditor] {
            let found = house.broker.list_issuances(&house.call(who).await, &listed(text), &FIRST_PAGE).await;
            let found = found.unwrap().items;
            assert_eq!(found.iter().map(|i| i.id).collect::<Vec<_>>(), [minted.issuance()], "{} {text}", who.name);
        }
    }
}

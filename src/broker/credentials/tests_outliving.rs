//! Clouds that give the life that they choose: what would outlive a `ttl_max`,
//! the grant or the run is handed to nobody, and nothing is said to be cut that
//! was not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::audit::{LineFilter, Outcome};
use crate::connectors::paper::Cloud;
use crate::domain::{BindingTarget, Conditions, Connector, Issuance, IssuanceState, PageAsk, Role, Ttl};
use crate::store::{AuditLines as _, Transactions as _, Tx, Write};

use super::super::fixture::House;
use super::super::{BrokerError, IssuanceAsk, MintAsk};
use super::tests::{ask, code, house_at, lines, mint};

const HOUR: u32 = 3600;
const OUTLIVES: &str = "OUTLIVES_CEILING";

/// A house whose cloud gives an hour, whatever is asked.
async fn stubborn(endpoint: &str, change: impl FnOnce(&mut Connector)) -> House {
    Cloud::of(endpoint).life.store(HOUR, Ordering::SeqCst);
    house_at(endpoint, change).await.0
}

fn asked(endpoint: &str) -> u32 {
    Cloud::of(endpoint).asked.load(Ordering::SeqCst)
}

fn within(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wishing(seconds: u32) -> MintAsk {
    MintAsk { ttl: Some(Ttl::seconds(seconds)), ..ask() }
}

const PAGE: PageAsk = PageAsk { size: 100, after: None };

/// What was minted, newest first.
async fn issuances(house: &House) -> Vec<Issuance> {
    let call = house.call(&house.auditor).await;
    house.broker.list_issuances(&call, &IssuanceAsk::default(), &PAGE).await.unwrap().items
}

async fn bind_until(house: &House, seconds: u64) {
    let expires_at = Some(house.broker.now().plus(within(seconds)));
    let with = Conditions { expires_at, ..Conditions::default() };
    house.bind_with(&house.runner, Role::DataScientist, BindingTarget::Project, with).await;
}

#[track_caller]
fn said(error: &BrokerError, words: &[&str]) {
    let BrokerError::Precondition { code, message, hint } = error else { panic!("{error:?}") };
    assert_eq!(*code, OUTLIVES);
    let text = format!("{message} | {hint}");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn d9_what_outlives_a_connectors_ttl_max_is_handed_to_nobody_and_not_minted_again_and_again() {
    let twenty = |c: &mut Connector| c.policy.ttl_max = Some(Ttl::seconds(1200));
    let house = stubborn("outlives-ceiling", twenty).await;
    let error = mint(&house, &house.scientist, &ask()).await.err().unwrap();
    said(&error, &["3600 s", "the connector's ttl_max of 1200 s", "--ttl-max"]);
    assert_eq!(lines(&house, Outcome::Failed, OUTLIVES).await, 1);
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 0);
    // It is there, and the record says so.
    let there = issuances(&house).await;
    assert_eq!((there.len(), there[0].state), (1, IssuanceState::Withdrawn));
    assert_eq!(there[0].expires_at, house.broker.now().plus(within(3600)));
    let active = IssuanceAsk { active_only: true, ..IssuanceAsk::default() };
    let asked_for = house.broker.list_issuances(&house.call(&house.auditor).await, &active, &PAGE).await.unwrap();
    assert!(asked_for.items.is_empty(), "nobody has it");
    let ledger = house.store.lines(&LineFilter::default(), &PAGE).await.unwrap().items;
    let result = ledger.iter().find(|stored| stored.line.outcome == Outcome::Failed).unwrap();
    assert_eq!(result.line.issuance, Some(there[0].id));
    assert_eq!(result.line.expires_at, Some(there[0].expires_at));
    assert!(result.line.details["fate"].as_str().contains("handed to nobody"));
    // Nor for anybody else, whatever they wish for below the ceiling.
    let other = house.person(&house.home.clone(), "siri", Some(Role::DataScientist)).await;
    for who in [&house.scientist, &other] {
        for ask in [ask(), wishing(HOUR), wishing(600)] {
            assert_eq!(code(mint(&house, who, &ask).await), OUTLIVES);
        }
    }
    assert_eq!(asked("outlives-ceiling"), 1);
    assert_eq!(lines(&house, Outcome::Denied, OUTLIVES).await, 6, "each refusal is in the ledger");
    // A provider that was mended is seen to be.
    Cloud::of("outlives-ceiling").life.store(0, Ordering::SeqCst);
    house.clock.advance(within(301));
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
    assert_eq!(asked("outlives-ceiling"), 2);
}

#[tokio::test]
async fn a_role_bindings_ttl_max_is_a_hard_end_for_whom_it_binds_and_for_nobody_else() {
    let house = stubborn("outlives-binding", |c| c.policy.shared = true).await;
    let with = Conditions { ttl_max: Some(Ttl::seconds(1200)), ..Conditions::default() };
    house.bind_with(&house.runner, Role::DataScientist, BindingTarget::Project, with).await;
    let twenty = wishing(1200);
    assert_eq!(code(mint(&house, &house.scientist, &twenty).await), "OK");
    // What is kept for all of them is not for all of them.
    let error = mint(&house, &house.runner, &twenty).await.err().unwrap();
    said(&error, &["3600 s", "the role binding's ttl_max of 1200 s", "ask an owner"]);
    assert_eq!(code(mint(&house, &house.scientist, &twenty).await), "OK");
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 2);
    // With no more left than the binding allows it is as good as a short one.
    house.clock.advance(within(2400));
    assert_eq!(code(mint(&house, &house.runner, &twenty).await), "OK");
}

#[tokio::test]
async fn d9_what_outlives_the_grant_is_handed_to_nobody() {
    let house = stubborn("outlives-grant", |_| {}).await;
    bind_until(&house, 1800).await;
    for ask in [ask(), wishing(600)] {
        let error = mint(&house, &house.runner, &ask).await.err().unwrap();
        said(&error, &["3600 s", "past the end of the role binding", "lasts longer"]);
    }
    assert_eq!(asked("outlives-grant"), 1);
    // A grant that lasts is one, at once.
    bind_until(&house, 7200).await;
    assert_eq!(code(mint(&house, &house.runner, &ask()).await), "OK");
}

#[tokio::test]
async fn a_kept_credential_is_not_handed_out_past_the_end_of_a_newer_grant() {
    let house = stubborn("outlives-kept", |_| {}).await;
    let binding = house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    assert_eq!(code(mint(&house, &house.runner, &wishing(600)).await), "OK");
    let line = house.call(&house.runner).await.line(Outcome::Ok, "");
    let write = Write::DeleteBinding { project: house.home.id, id: binding };
    house.store.commit(Tx::with_line(line).write(write)).await.unwrap();
    bind_until(&house, 900).await;
    // The same key of the cache: ten minutes, which the grant outlasts.
    assert_eq!(code(mint(&house, &house.runner, &wishing(600)).await), OUTLIVES);
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 1);
}

#[tokio::test]
async fn what_is_kept_serves_on_when_the_next_one_would_live_too_long() {
    let house = stubborn("outlives-last", |_| {}).await;
    bind_until(&house, 4500).await;
    let first = mint(&house, &house.runner, &ask()).await.ok().unwrap();
    // Due, and then below its floor of eight minutes: ten and five are left.
    for seconds in [3000, 300] {
        house.clock.advance(within(seconds));
        let kept = mint(&house, &house.runner, &ask()).await.ok().unwrap();
        assert_eq!(kept.issuance(), first.issuance());
    }
    house.clock.advance(within(200));
    assert_eq!(code(mint(&house, &house.runner, &ask()).await), OUTLIVES, "below half of its floor");
}

#[tokio::test]
async fn an_ask_of_its_own_is_no_hard_end_and_nothing_is_said_to_be_cut() {
    let house = stubborn("outlives-ask", |_| {}).await;
    let out = mint(&house, &house.scientist, &wishing(600)).await.ok().unwrap();
    assert_eq!(out.minted().expires_at, house.broker.now().plus(within(3600)));
    let note = out.ttl_note.unwrap();
    assert!(note.contains("asked for 600 s") && note.contains("the provider decides"), "{note}");
    assert!(note.contains("3600 s") && !note.contains("cut"), "{note}");
    // A shorter life than was asked for is said, too.
    let note = mint(&house, &house.scientist, &wishing(7200)).await.ok().unwrap().ttl_note.unwrap();
    assert!(note.contains("gave 3600 s") && !note.contains("cut"), "{note}");
    // Nobody asked: the reply's end is all there is to say.
    assert_eq!(mint(&house, &house.scientist, &ask()).await.ok().unwrap().ttl_note, None);
}

#[tokio::test]
async fn lives_that_clouds_choose_are_served_by_default_and_a_minute_is_nothing() {
    // Google's second for the way, a rounded minute, and what Entra may give.
    for life in [3599, 3660, 5400] {
        let house = stubborn("outlives-default", |_| {}).await;
        Cloud::of("outlives-default").life.store(life, Ordering::SeqCst);
        assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK", "{life}");
    }
    let hour = |c: &mut Connector| c.policy.ttl_max = Some(Ttl::seconds(HOUR));
    for (life, answer) in [(3599, "OK"), (3660, "OK"), (3661, OUTLIVES)] {
        let house = stubborn("outlives-hour", hour).await;
        Cloud::of("outlives-hour").life.store(life, Ordering::SeqCst);
        assert_eq!(code(mint(&house, &house.scientist, &wishing(HOUR)).await), answer, "{life}");
    }
}

#[tokio::test]
async fn a_provider_that_can_end_a_single_one_is_made_to_and_the_record_says_what_is_so() {
    let twenty = |c: &mut Connector| c.policy.ttl_max = Some(Ttl::seconds(1200));
    let house = stubborn("ends-outliving", twenty).await;
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), OUTLIVES);
    assert_eq!(issuances(&house).await[0].state, IssuanceState::Revoked);
    assert_eq!(lines(&house, Outcome::Ok, "REVOKED").await, 1);
    assert!(house.store.open_intents(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_source_credential_that_was_used_up_for_it_is_replaced_all_the_same() {
    let twenty = |c: &mut Connector| c.policy.ttl_max = Some(Ttl::seconds(1200));
    let house = stubborn("once-outlives", twenty).await;
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), OUTLIVES);
    assert_eq!(issuances(&house).await[0].state, IssuanceState::Withdrawn);
    assert!(house.store.open_intents(10).await.unwrap().is_empty());
    Cloud::of("once-outlives").life.store(0, Ordering::SeqCst);
    house.clock.advance(within(301));
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK", "with what was left");
}

#[tokio::test]
async fn another_callers_hard_end_is_no_answer_to_who_waited_for_the_flight() {
    let endpoint = "gate-outlives";
    let house = stubborn(endpoint, |c| c.policy.shared = true).await;
    bind_until(&house, 1800).await;
    let (cloud, twenty) = (Cloud::of(endpoint), wishing(1200));
    let gate = cloud.gate.as_ref().unwrap();
    let leader = house.call(&house.runner).await;
    let follower = house.call(&house.scientist).await;
    let leads = house.broker.mint_credential(&leader, &twenty);
    let follows = async {
        while asked(endpoint) == 0 {
            tokio::task::yield_now().await;
        }
        house.broker.mint_credential(&follower, &twenty).await
    };
    let opens = async {
        while asked(endpoint) == 0 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
    };
    let (led, followed, ()) = tokio::join!(leads, follows, opens);
    assert_eq!((code(led), code(followed)), (OUTLIVES, "OK"));
}

#[tokio::test]
async fn a_watch_ends_with_the_reason() {
    let house = stubborn("outlives-watch", |_| {}).await;
    bind_until(&house, 1800).await;
    let call = house.call(&house.runner).await;
    let mut pushed = house.broker.watch_credential(&call, ask()).unwrap();
    assert_eq!(code(pushed.recv().await.unwrap()), OUTLIVES);
    assert!(pushed.recv().await.is_none(), "nothing follows");
}

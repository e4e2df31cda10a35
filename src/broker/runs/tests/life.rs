//! From the start of a run to its end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::audit::{Line, LineKind, Outcome};
use crate::connectors::paper::Cloud;
use crate::domain::run::{RUN_DURATION_DEFAULT, RUN_TOKEN_TTL_MAX};
use crate::domain::{BindingTarget, Issuance, IssuanceId, IssuanceState, PageAsk, Role, RunState};
use crate::store::{AuditLines as _, IssuanceFilter, Issuances as _, RUNS_MAX, Transactions as _, Tx, Write};

use super::super::super::fixture::once;
use super::*;

const FIRST_PAGE: PageAsk = PageAsk { size: 100, after: None };
const HOUR: Duration = Duration::from_secs(3600);

impl House {
    pub(super) fn broker_line(&self) -> Line {
        Line::about("test/change", LineKind::Single, Outcome::Ok)
    }
}

#[tokio::test]
async fn a_run_is_started_by_those_who_mint_on_a_stack_that_they_see_whole() {
    let works = Works::new("start").await;
    let house = &works.house;
    let start = async |who: &Person, ask: NewRun| {
        let call = house.call(who).await;
        house.broker.start_run(&call, ask, None).await.map(|started| started.run)
    };
    let run = start(&house.scientist, on("prod")).await.unwrap();
    assert_eq!(run.ends_at.since(run.started_at), RUN_DURATION_DEFAULT);
    assert_eq!(run.token_expires_at.since(run.started_at), RUN_TOKEN_TTL_MAX.as_duration());
    assert!(run.name.as_str().starts_with("run-"));
    assert_eq!(code(start(&house.scientist, on("no-such")).await), "NOT_FOUND");
    for who in [&house.owner, &house.engineer, &house.auditor, &house.runner] {
        assert_eq!(code(start(who, on("prod")).await), "GRANT_MISSING", "{}", who.name);
    }
    assert_eq!(code(start(&house.foreigner, on("prod")).await), "GRANT_MISSING");
    // A runner sees a stack when it is bound to all of it.
    house.bind(&house.runner, Role::Runner, BindingTarget::Component(works.store.id)).await;
    assert_eq!(code(start(&house.runner, on("prod")).await), "GRANT_MISSING");
    assert_eq!(code(start(&house.runner, on("no-such")).await), "GRANT_MISSING", "the same of none");
    house.bind(&house.runner, Role::Runner, BindingTarget::Component(works.registry.id)).await;
    assert_eq!(code(start(&house.runner, on("prod")).await), "OK");
    for (ask, wanted) in [
        (lasting(59), "INVALID_FIELD"),
        (lasting(60), "OK"),
        (lasting(7 * 24 * 3600), "OK"),
        (lasting(7 * 24 * 3600 + 1), "INVALID_FIELD"),
        (NewRun { token_ttl: Some(Ttl::seconds(3601)), ..on("prod") }, "INVALID_FIELD"),
        (NewRun { token_ttl: Some(Ttl::seconds(1)), ..on("prod") }, "OK"),
    ] {
        assert_eq!(code(start(&house.scientist, ask.clone()).await), wanted, "{ask:?}");
    }
    let short = start(&house.scientist, lasting(60)).await.unwrap();
    assert_eq!(short.token_expires_at, short.ends_at, "the token ends with the run");
}

/// A provider that gives an hour, whatever it is asked for.
#[tokio::test]
async fn a_credential_that_would_outlive_its_run_is_handed_to_nobody() {
    let works = Works::new("run-outlived").await;
    Cloud::of("run-outlived").life.store(3600, Ordering::SeqCst);
    let scientist = &works.house.scientist;
    let (_, short) = works.start(scientist, lasting(1800)).await;
    let error = works.mint(&short, &through("store")).await.err().unwrap();
    assert_eq!(error.code(), "OUTLIVES_CEILING");
    assert!(error.to_string().contains("3600 s: past the end of the run"), "{error}");
    assert!(matches!(&error, BrokerError::Precondition { hint, .. } if hint.contains("--max-duration")), "{error:?}");
    assert_eq!(
        code(works.mint(&short, &MintAsk { ttl: Some(Ttl::seconds(60)), ..through("store") }).await),
        error.code()
    );
    assert_eq!(Cloud::of("run-outlived").asked.load(Ordering::SeqCst), 1);
    // Its starter outside of it, and a run that lasts.
    assert_eq!(code(works.mint(scientist, &through("store")).await), "OK");
    let (_, long) = works.start(scientist, lasting(5400)).await;
    let kept = works.mint(&long, &through("store")).await.ok().unwrap();
    // Near its end what it has serves on; nothing that outlives it follows.
    works.house.clock.advance(Duration::from_secs(3000));
    assert_eq!(works.mint(&long, &through("store")).await.ok().unwrap().issuance(), kept.issuance());
    works.house.clock.advance(Duration::from_secs(500));
    assert_eq!(code(works.mint(&long, &through("store")).await), "OUTLIVES_CEILING");
}

#[tokio::test]
async fn the_same_start_twice_is_one_run_and_shows_its_token_once() {
    let works = Works::new("start-once").await;
    let (house, broker) = (&works.house, &works.house.broker);
    let call = house.call(&house.scientist).await;
    let first = broker.start_run(&call, on("prod"), Some(&once(1, 1))).await.ok().unwrap();
    let again = broker.start_run(&call, on("prod"), Some(&once(1, 1))).await.ok().unwrap();
    assert_eq!(first.run, again.run);
    assert!(first.secret.is_some() && again.secret.is_none());
    assert_eq!(code(broker.start_run(&call, on("prod"), Some(&once(1, 2))).await), "REQUEST_ID_REUSED");
    assert_eq!(broker.list_runs(&call, &RunAsk::default(), &FIRST_PAGE).await.unwrap().items.len(), 1);
    assert!(broker.list_tokens(&call, None).await.unwrap().iter().all(|token| token.id != first.run.token));
    let revoked = broker.revoke_token(&call, &first.run.token.to_string(), None).await;
    assert_eq!(code(revoked), "GRANT_MISSING", "it is finished, not revoked");
}

#[tokio::test]
async fn a_token_lives_an_hour_from_each_renewal_and_never_beyond_the_end() {
    let works = Works::new("renew").await;
    let (house, broker) = (&works.house, &works.house.broker);
    let (started, run) = works.start(&house.scientist, lasting(2 * 3600)).await;
    let id = started.id.to_string();
    house.clock.advance(HOUR / 2);
    let renewed = broker.renew_run(&house.call(&run).await, &id, None, None).await.unwrap();
    assert_eq!(renewed.token_expires_at, started.started_at.plus(HOUR + HOUR / 2));
    let longer = broker.renew_run(&house.call(&run).await, &id, Some(Ttl::seconds(3601)), None).await;
    assert_eq!(code(longer), "INVALID_FIELD");
    house.clock.advance(HOUR - Duration::from_secs(1));
    assert!(!works.is_nobody(&run).await);
    house.clock.advance(Duration::from_secs(1));
    assert!(works.is_nobody(&run).await, "a token that has ended renews nothing");
    // Its starter brings it back.
    let back = broker.renew_run(&house.call(&house.scientist).await, &id, None, None).await.unwrap();
    assert_eq!(back.token_expires_at, started.ends_at, "cut by the end");
    assert_eq!(code(works.mint(&run, &through("store")).await), "OK");
    house.clock.advance(HOUR / 2);
    assert!(works.is_nobody(&run).await);
    let late = broker.renew_run(&house.call(&house.scientist).await, &id, None, None).await;
    assert_eq!(code(late), "RUN_OVER");
    let seen = broker.describe_run(&house.call(&house.scientist).await, &id).await.unwrap();
    assert_eq!(seen.state_at(broker.now()), RunState::Expired);
    let done = broker.finish_run(&house.call(&house.scientist).await, &finish(&id, false)).await.unwrap();
    assert_eq!(done.run, seen, "nobody finished what was over");
}

/// Case B9.
#[tokio::test]
async fn b9_a_finished_runs_token_is_nobodys_at_once_and_its_watch_ends() {
    for finisher in ["itself", "its starter", "an owner", "an engineer"] {
        let works = Works::new("b9").await;
        let house = &works.house;
        let (started, run) = works.start(&house.scientist, on("prod")).await;
        let minted = works.mint(&run, &through("store")).await.ok().unwrap();
        let mut watched = house.broker.watch_credential(&house.call(&run).await, through("registry")).unwrap();
        assert!(watched.recv().await.unwrap().is_ok());
        let who = match finisher {
            "itself" => &run,
            "its starter" => &house.scientist,
            "an owner" => &house.owner,
            _ => &house.engineer,
        };
        let call = house.call(who).await;
        let done = house.broker.finish_run(&call, &finish(&started.id.to_string(), false)).await.unwrap();
        assert_eq!(done.run.state_at(house.broker.now()), RunState::Finished);
        assert!(works.is_nobody(&run).await, "{finisher}");
        assert_eq!(house.broker.cache.count(), 0, "what it minted is wiped");
        let end = tokio::time::timeout(Duration::from_secs(5), watched.recv()).await.unwrap();
        assert_eq!(end.unwrap().err(), Some(BrokerError::Unauthenticated));
        // The clouds of paper end nothing: that is said.
        // Both components lead to one shelf, so it is one credential.
        assert_eq!(done.credentials.iter().map(|c| c.issuance.id).collect::<Vec<_>>(), [minted.issuance()]);
        let told = &done.credentials[0];
        assert!(told.note.contains(&minted.minted().expires_at.to_string()), "{}", told.note);
    }
}

#[tokio::test]
async fn a_call_under_way_when_the_run_is_finished_hands_out_nothing() {
    let works = Works::new("b9-under-way").await;
    let house = &works.house;
    let (started, run) = works.start(&house.scientist, on("prod")).await;
    let call = house.call(&run).await;
    house
        .broker
        .finish_run(&house.call(&house.scientist).await, &finish(&started.id.to_string(), false))
        .await
        .unwrap();
    let late = house.broker.mint_credential(&call, &through("store")).await;
    assert_eq!(code(late), "UNAUTHENTICATED");
}

#[tokio::test]
async fn nobody_else_finishes_renews_or_sees_a_run() {
    let works = Works::new("others").await;
    let (house, broker) = (&works.house, &works.house.broker);
    let other = house.person(&house.home.clone(), "siri", Some(Role::DataScientist)).await;
    let (started, run) = works.start(&house.scientist, named("nightly")).await;
    for text in [started.id.to_string(), "nightly".to_owned(), "no-such".to_owned()] {
        for who in [&other, &house.auditor, &house.foreigner] {
            let call = house.call(who).await;
            assert_eq!(code(broker.finish_run(&call, &finish(&text, true)).await), "NOT_FOUND");
            assert_eq!(code(broker.renew_run(&call, &text, None, None).await), "NOT_FOUND");
        }
        let call = house.call(&other).await;
        assert_eq!(code(broker.describe_run(&call, &text).await), "NOT_FOUND");
    }
    let owner = house.call(&house.owner).await;
    assert_eq!(code(broker.renew_run(&owner, "nightly", None, None).await), "NOT_FOUND", "owners end, no more");
    let call = house.call(&other).await;
    assert!(broker.list_runs(&call, &RunAsk::default(), &FIRST_PAGE).await.unwrap().items.is_empty());
    let theirs = RunAsk { principal: Some("sam".to_owned()), ..RunAsk::default() };
    assert_eq!(code(broker.list_runs(&call, &theirs, &FIRST_PAGE).await), "GRANT_MISSING");
    for who in [&house.owner, &house.engineer, &house.auditor] {
        let call = house.call(who).await;
        let seen = broker.list_runs(&call, &theirs, &FIRST_PAGE).await.unwrap();
        assert_eq!(seen.items.iter().map(|run| run.id).collect::<Vec<_>>(), [started.id]);
        assert_eq!(broker.describe_run(&call, "nightly").await.unwrap().id, started.id);
    }
    assert!(!works.is_nobody(&run).await);
}

#[tokio::test]
async fn finish_with_revoke_ends_what_the_cloud_can_end_and_a_second_finish_changes_nothing() {
    let works = Works::new("ends").await;
    let (house, broker) = (&works.house, &works.house.broker);
    let (started, run) = works.start(&house.scientist, on("prod")).await;
    let minted = works.mint(&run, &through("store")).await.ok().unwrap().issuance();
    let kept = works.mint(&house.scientist, &through("store")).await.ok().unwrap().issuance();
    // The run itself: it may end what it could mint again.
    let ask = FinishRun { once: Some(once(1, 1)), ..finish(&started.id.to_string(), true) };
    let done = broker.finish_run(&house.call(&run).await, &ask).await.unwrap();
    assert_eq!(done.credentials.len(), 1);
    assert_eq!((done.credentials[0].issuance.id, done.credentials[0].issuance.state), (minted, IssuanceState::Revoked));
    let others = house.store.issuance(house.home.id, kept).await.unwrap();
    assert_eq!(others.state, IssuanceState::Active, "its starter's own stays");
    house.clock.advance(Duration::from_secs(60));
    let call = house.call(&house.scientist).await;
    let again = broker.finish_run(&call, &finish(&started.id.to_string(), true)).await.unwrap();
    assert_eq!((again.run.finished_at, again.credentials.len()), (done.run.finished_at, 0));
}

/// A provider that answers after the run was finished: nobody is handed what it
/// gave, and it is ended, for whoever finished the run could not know of it.
#[tokio::test]
async fn a_mint_in_flight_when_its_run_is_finished_is_ended_at_the_cloud() {
    for (endpoint, state) in [
        ("gate-ends-in-flight", IssuanceState::Revoked),
        ("gate-in-flight", IssuanceState::Withdrawn),
        ("gate-once-in-flight", IssuanceState::Withdrawn),
    ] {
        let works = Works::new(endpoint).await;
        let (house, cloud) = (&works.house, Cloud::of(endpoint));
        let (started, run) = works.start(&house.scientist, on("prod")).await;
        let (ask, call) = (through("store"), house.call(&run).await);
        let finishes = async {
            while cloud.asked.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            let ask = finish(&started.id.to_string(), true);
            let done = house.broker.finish_run(&house.call(&house.scientist).await, &ask).await.unwrap();
            assert!(done.credentials.is_empty(), "it is not there yet");
            cloud.gate.as_ref().unwrap().add_permits(1);
        };
        let (minted, ()) = tokio::join!(house.broker.mint_credential(&call, &ask), finishes);
        assert_eq!(code(minted), "UNAUTHENTICATED", "{endpoint}");
        let filter = IssuanceFilter { run: Some(started.id), ..IssuanceFilter::default() };
        let left = house.store.issuances(house.home.id, &filter, &FIRST_PAGE).await.unwrap().items;
        assert_eq!(left.iter().map(|one| one.state).collect::<Vec<_>>(), [state], "{endpoint}");
        assert_eq!(cloud.ended.load(Ordering::SeqCst), u32::from(state == IssuanceState::Revoked));
        assert!(house.store.open_intents(10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn finish_says_when_the_run_minted_more_and_the_same_ask_ends_the_rest() {
    let works = Works::new("ends-many").await;
    let (house, broker) = (&works.house, &works.house.broker);
    let (started, run) = works.start(&house.scientist, on("prod")).await;
    let minted = works.mint(&run, &through("store")).await.ok().unwrap().issuance();
    let one = house.store.issuance(house.home.id, minted).await.unwrap();
    let other = |at: u32| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&at.to_be_bytes());
        Write::InsertIssuance(Issuance { id: IssuanceId::from_bytes(id), ..one.clone() })
    };
    let add = async |all: std::ops::Range<u32>| {
        let tx = all.map(other).fold(Tx::with_line(house.broker_line()), Tx::write);
        house.store.commit(tx).await.unwrap();
    };
    for begin in (0..996).step_by(249) {
        add(begin..begin + 249).await;
    }
    add(996..999).await;
    let call = house.call(&house.scientist).await;
    let id = started.id.to_string();
    let done = broker.finish_run(&call, &finish(&id, false)).await.unwrap();
    assert_eq!((done.credentials.len(), done.more), (1_000, false), "exactly as many as it says at once");
    add(999..1_001).await;
    let done = broker.finish_run(&call, &finish(&id, false)).await.unwrap();
    assert_eq!((done.credentials.len(), done.more), (1_000, true));
    let done = broker.finish_run(&call, &finish(&id, true)).await.unwrap();
    assert_eq!((done.credentials.len(), done.more), (1_000, true));
    let done = broker.finish_run(&call, &finish(&id, true)).await.unwrap();
    assert_eq!((done.credentials.len(), done.more), (2, false));
}

#[tokio::test]
async fn a_starter_without_the_grant_any_more_is_told_that_the_cloud_was_not_asked() {
    let works = Works::new("ends-no-more").await;
    let (house, broker) = (&works.house, &works.house.broker);
    let grants = [works.store.id, works.registry.id];
    let mut bindings = Vec::new();
    for id in grants {
        bindings.push(house.bind(&house.runner, Role::Runner, BindingTarget::Component(id)).await);
    }
    let (started, run) = works.start(&house.runner, on("prod")).await;
    works.mint(&run, &through("store")).await.ok().unwrap();
    for id in bindings {
        let unbind = Write::DeleteBinding { project: house.home.id, id };
        house.store.commit(Tx::with_line(house.broker_line()).write(unbind)).await.unwrap();
    }
    let call = house.call(&house.runner).await;
    let done = broker.finish_run(&call, &finish(&started.id.to_string(), true)).await.unwrap();
    assert_eq!(done.credentials[0].issuance.state, IssuanceState::Withdrawn);
    assert!(done.credentials[0].note.contains("the cloud honours it until"), "{}", done.credentials[0].note);
    assert!(works.is_nobody(&run).await, "whoever started it may always end it");
}

#[tokio::test]
async fn a_principal_has_a_thousand_live_runs_and_no_more() {
    let works = Works::new("many").await;
    let house = &works.house;
    let call = house.call(&house.scientist).await;
    let mut last = None;
    for _ in 0..RUNS_MAX {
        last = Some(house.broker.start_run(&call, on("prod"), None).await.ok().unwrap().run);
    }
    assert_eq!(code(house.broker.start_run(&call, on("prod"), None).await), "TOO_MANY");
    let last = last.unwrap().id.to_string();
    house.broker.finish_run(&house.call(&house.scientist).await, &finish(&last, false)).await.unwrap();
    assert_eq!(code(house.broker.start_run(&call, on("prod"), None).await), "OK");
}

//! Minting on a real store, with a cloud of paper: what is refused, what is
//! shared, and what a change in mid-flight does.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::audit::{LineFilter, Outcome};
use crate::connectors::paper::Cloud;
use crate::domain::{
    AccessLevel, BindingTarget, Conditions, Connector, Issuance, IssuanceId, IssuanceState, PageAsk, Pattern,
    ResourceTypeName, Role, Ttl,
};
use crate::sealing::{Plaintext, SourceCredential};
use crate::store::{AuditLines as _, IssuanceFilter, Issuances as _, Transactions as _, Tx, Write};

use super::super::fixture::{House, Person};
use super::super::{BrokerError, ConnectorFilter, IssuanceAsk, MintAsk, MintSource, Revoke, Rotate};
use super::HandedOut;
use super::revoke::REVOKE_MAX;

const SHELF: &str = "paper://shelf/box";

pub(in crate::broker) fn ask() -> MintAsk {
    MintAsk {
        source: MintSource::Connector("vault".to_owned()),
        resource_type: Some(ResourceTypeName::parse("paper-shelf").unwrap()),
        resource: Some(SHELF.to_owned()),
        access: AccessLevel::Read,
        parameters: BTreeMap::new(),
        ttl: None,
        min_remaining: None,
    }
}

pub(in crate::broker) async fn house_at(endpoint: &str, change: impl FnOnce(&mut Connector)) -> (House, Connector) {
    let house = House::new().await;
    let home = house.home.clone();
    let connector = house
        .connector_at(&home, "vault", endpoint, |connector| {
            change(connector);
        })
        .await;
    (house, connector)
}

pub(in crate::broker) async fn mint(house: &House, who: &Person, ask: &MintAsk) -> Result<HandedOut, BrokerError> {
    house.broker.mint_credential(&house.call(who).await, ask).await
}

pub(in crate::broker) fn code<T>(answer: Result<T, BrokerError>) -> &'static str {
    answer.err().map_or("OK", |error| error.code())
}

/// How many lines say this of the project.
pub(in crate::broker) async fn lines(house: &House, outcome: Outcome, reason: &str) -> usize {
    let filter = LineFilter { outcome: Some(outcome), ..LineFilter::default() };
    let page = house.store.lines(&filter, &PageAsk { size: 1000, after: None }).await.unwrap();
    page.items.iter().filter(|stored| stored.line.reason.as_str() == reason).count()
}

#[tokio::test]
async fn only_a_grant_to_mint_mints() {
    let (house, _) = house_at("roles", |_| {}).await;
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
    for who in [&house.owner, &house.engineer, &house.auditor, &house.runner] {
        assert_eq!(code(mint(&house, who, &ask()).await), "GRANT_MISSING", "{}", who.name);
    }
    assert_eq!(lines(&house, Outcome::Denied, "GRANT_MISSING").await, 4, "each refusal is in the ledger");
    let abroad = house.person(&house.abroad.clone(), "dora", Some(Role::DataScientist)).await;
    assert_eq!(code(mint(&house, &abroad, &ask()).await), "NOT_FOUND", "a connector of another project");
}

#[tokio::test]
async fn equal_asks_of_one_principal_share_a_credential_and_others_do_not() {
    let (house, _) = house_at("sharing", |_| {}).await;
    let other = house.person(&house.home.clone(), "siri", Some(Role::DataScientist)).await;
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    let again = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    let theirs = mint(&house, &other, &ask()).await.ok().unwrap();
    assert_eq!(first.issuance(), again.issuance());
    assert_ne!(first.issuance(), theirs.issuance(), "the cloud's log must name who it was");
    assert_eq!(Cloud::of("sharing").asked.load(Ordering::SeqCst), 2);
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 3, "every hand-out has a line of its own");
}

#[tokio::test]
async fn a_shared_connector_mints_once_for_all() {
    let (house, _) = house_at("shared", |connector| connector.policy.shared = true).await;
    let other = house.person(&house.home.clone(), "siri", Some(Role::DataScientist)).await;
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    let theirs = mint(&house, &other, &ask()).await.ok().unwrap();
    assert_eq!(first.issuance(), theirs.issuance());
}

#[tokio::test]
async fn mint_refuses_scope_beyond_ceiling_and_cuts_ttl_with_a_note() {
    let (house, _) = house_at("ceiling", |connector| {
        connector.policy.resource_patterns = vec![Pattern::parse("paper://shelf/**").unwrap()];
        connector.policy.access_max = AccessLevel::Read;
        connector.policy.ttl_max = Some(Ttl::seconds(600));
    })
    .await;
    let beyond = MintAsk { resource: Some("paper://other".to_owned()), ..ask() };
    assert_eq!(code(mint(&house, &house.scientist, &beyond).await), "RESOURCE_BEYOND_CEILING");
    let higher = MintAsk { access: AccessLevel::Write, ..ask() };
    assert_eq!(code(mint(&house, &house.scientist, &higher).await), "ACCESS_BEYOND_CEILING");
    let longer = MintAsk { ttl: Some(Ttl::seconds(3600)), ..ask() };
    let cut = mint(&house, &house.scientist, &longer).await.ok().unwrap();
    assert!(cut.ttl_note.unwrap().contains("600 s by the connector's ceiling"));
    let shorter = MintAsk { ttl: Some(Ttl::seconds(59)), ..ask() };
    assert_eq!(code(mint(&house, &house.scientist, &shorter).await), "INVALID_FIELD");
}

#[tokio::test]
async fn d9_no_credential_outlives_the_grant() {
    let (house, _) = house_at("grant-end", |_| {}).await;
    let now = house.broker.now();
    let ends =
        |seconds| Conditions { expires_at: Some(now.plus(Duration::from_secs(seconds))), ..Conditions::default() };
    house.bind_with(&house.runner, Role::DataScientist, BindingTarget::Project, ends(600)).await;
    let out = mint(&house, &house.runner, &ask()).await.ok().unwrap();
    assert!(out.minted().expires_at <= now.plus(Duration::from_secs(600)));
    house.clock.advance(Duration::from_secs(570));
    // Thirty seconds are left and the cloud's shortest is sixty.
    let late = MintAsk { resource: Some("paper://shelf".to_owned()), ..ask() };
    assert_eq!(code(mint(&house, &house.runner, &late).await), "INVALID_FIELD");
    house.clock.advance(Duration::from_secs(31));
    assert_eq!(code(mint(&house, &house.runner, &ask()).await), "GRANT_EXPIRED");
}

#[tokio::test]
async fn an_unbind_in_mid_flight_withholds_the_credential() {
    let (house, _) = house_at("gate-unbind", |_| {}).await;
    let binding = house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    let cloud = Cloud::of("gate-unbind");
    let call = house.call(&house.runner).await;
    let asked = ask();
    let flight = house.broker.mint_credential(&call, &asked);
    let unbind = async {
        while cloud.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let line = call.line(Outcome::Ok, "");
        let write = Write::DeleteBinding { project: house.home.id, id: binding };
        house.store.commit(Tx::with_line(line).write(write)).await.unwrap();
        cloud.gate.as_ref().unwrap().add_permits(1);
    };
    let (answer, ()) = tokio::join!(flight, unbind);
    assert_eq!(code(answer), "GRANT_MISSING");
    assert_eq!(lines(&house, Outcome::Denied, "WITHHELD").await, 1, "the ledger says that it did not leave");
}

#[tokio::test]
async fn a_rotation_in_mid_flight_drops_what_the_old_secret_minted() {
    let (house, connector) = house_at("gate-rotate", |_| {}).await;
    let cloud = Cloud::of("gate-rotate");
    let call = house.call(&house.scientist).await;
    let engineer = house.call(&house.engineer).await;
    let asked = ask();
    let flight = house.broker.mint_credential(&call, &asked);
    let rotate = async {
        while cloud.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let stamp = (crate::domain::SecretFieldName::parse("stamp").unwrap(), Plaintext::new(b"new".to_vec()));
        let rotate = Rotate {
            connector: "vault".to_owned(),
            secret: SourceCredential::new([stamp].into()),
            expected: None,
            secret_expires_at: None,
            skip_verify: false,
            validate_only: false,
            once: None,
        };
        let rotated = house.broker.rotate_connector_secret(&engineer, rotate).await.unwrap();
        assert_eq!(rotated.secret.version, connector.secret.version + 1);
        cloud.gate.as_ref().unwrap().add_permits(1);
    };
    let (answer, ()) = tokio::join!(flight, rotate);
    assert_eq!(code(answer), "CHANGED_MEANWHILE");
    cloud.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK", "the new secret mints");
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 1, "what the old secret minted went to nobody");
}

#[tokio::test]
async fn g1_a_caller_who_hangs_up_does_not_cut_the_mint_short() {
    let (house, _) = house_at("gate-hang-up", |_| {}).await;
    let cloud = Cloud::of("gate-hang-up");
    let call = house.call(&house.scientist).await;
    let asked = ask();
    {
        let flight = house.broker.mint_credential(&call, &asked);
        tokio::pin!(flight);
        while cloud.asked.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                _ = &mut flight => panic!("the gate is closed"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    cloud.gate.as_ref().unwrap().add_permits(1);
    let out = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    assert_eq!(cloud.asked.load(Ordering::SeqCst), 1, "the flight went on and its credential serves");
    assert!(house.store.open_intents(10).await.unwrap().is_empty(), "its entry is closed");
    drop(out);
}

#[tokio::test]
async fn a_kept_credential_survives_an_outage_and_failures_are_not_a_storm() {
    let (house, _) = house_at("outage", |_| {}).await;
    let cloud = Cloud::of("outage");
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    cloud.down.store(true, Ordering::SeqCst);
    // A bearer token of an hour: floor 8 minutes; 6 minutes are left.
    house.clock.advance(Duration::from_secs(54 * 60));
    let kept = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    assert_eq!(first.issuance(), kept.issuance());
    let asked = cloud.asked.load(Ordering::SeqCst);
    for _ in 0..50 {
        assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "OK");
    }
    assert_eq!(cloud.asked.load(Ordering::SeqCst), asked, "the failure is the answer for a second");
    house.clock.advance(Duration::from_secs(3 * 60));
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "UPSTREAM_UNAVAILABLE", "below half of the floor");
}

#[tokio::test]
async fn revoked_is_said_only_when_it_is_and_a_withdrawn_one_is_not_handed_out() {
    let (house, _) = house_at("revoke", |_| {}).await;
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    let engineer = house.call(&house.engineer).await;
    let revoke = Revoke { issuances: vec![first.issuance().to_string()], ..Revoke::default() };
    let results = house.broker.revoke_issuances(&engineer, &revoke).await.unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].issuance.state, IssuanceState::Withdrawn, "a cloud of paper cannot recall");
    assert!(results[0].note.contains("honours it until"));
    let next = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    assert_ne!(first.issuance(), next.issuance());
    let scientist = house.call(&house.scientist).await;
    assert_eq!(code(house.broker.revoke_issuances(&scientist, &revoke).await), "GRANT_MISSING");
}

#[tokio::test]
async fn revoking_all_of_a_connector_says_when_there_are_more_and_serves_none_of_them() {
    let (house, connector) = house_at("revoke-all", |_| {}).await;
    let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    let filter = IssuanceFilter { connector: Some(connector.id), ..IssuanceFilter::default() };
    let page = PageAsk { size: 1, after: None };
    let oldest = house.store.issuances(house.home.id, &filter, &page).await.unwrap().items.remove(0);
    house.clock.advance(Duration::from_secs(1));
    let call = house.call(&house.engineer).await;
    let other = |at: u32| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&at.to_be_bytes());
        let issued_at = house.broker.now();
        Write::InsertIssuance(Issuance { id: IssuanceId::from_bytes(id), issued_at, ..oldest.clone() })
    };
    for begin in (0..REVOKE_MAX).step_by(250) {
        let tx = (begin..begin + 250).map(other).fold(Tx::with_line(call.line(Outcome::Ok, "")), Tx::write);
        house.store.commit(tx).await.unwrap();
    }
    let revoke = Revoke { connector: Some("vault".to_owned()), ..Revoke::default() };
    let results = house.broker.revoke_issuances(&call, &revoke).await.unwrap();
    assert!(results.len() == 1_000 && revoke.more_after(&results));
    assert!(results.iter().all(|one| one.issuance.id != first.issuance()), "the newest come first");
    let next = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    assert_ne!(next.issuance(), first.issuance(), "the one that is left is handed out no more");
    let results = house.broker.revoke_issuances(&call, &revoke).await.unwrap();
    assert!(results.len() == 2 && !revoke.more_after(&results));
}

#[tokio::test]
async fn b10_a_watch_ends_when_the_right_does() {
    let (house, _) = house_at("watch", |_| {}).await;
    let binding = house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    let call = house.call(&house.runner).await;
    let mut pushed = house.broker.watch_credential(&call, ask()).unwrap();
    assert!(pushed.recv().await.unwrap().is_ok());
    let write = Write::DeleteBinding { project: house.home.id, id: binding };
    house.store.commit(Tx::with_line(call.line(Outcome::Ok, "")).write(write)).await.unwrap();
    assert_eq!(code(pushed.recv().await.unwrap()), "GRANT_MISSING");
    assert!(pushed.recv().await.is_none(), "nothing follows");
}

#[tokio::test]
async fn a_watch_pushes_the_next_credential_in_time() {
    let (house, _) = house_at("watch-next", |_| {}).await;
    let call = house.call(&house.scientist).await;
    let mut pushed = house.broker.watch_credential(&call, ask()).unwrap();
    let first = pushed.recv().await.unwrap().ok().unwrap();
    let wait = first.refresh_at.since(house.broker.now());
    house.clock.advance(wait + Duration::from_secs(1));
    let next = pushed.recv().await.unwrap().ok().unwrap();
    assert_ne!(first.issuance(), next.issuance());
    assert!(next.minted().expires_at > first.minted().expires_at);
}

/// Case F8.
#[tokio::test]
async fn f8_an_outage_repeats_nothing_to_a_watcher_and_fills_no_ledger() {
    let (house, _) = house_at("watch-outage", |_| {}).await;
    let cloud = Cloud::of("watch-outage");
    let call = house.call(&house.scientist).await;
    let mut pushed = house.broker.watch_credential(&call, ask()).unwrap();
    let first = pushed.recv().await.unwrap().ok().unwrap();
    cloud.down.store(true, Ordering::SeqCst);
    house.clock.advance(first.refresh_at.since(house.broker.now()) + Duration::from_secs(1));
    for tries in 2..5 {
        as_time_passes(&house, || cloud.asked.load(Ordering::SeqCst) >= tries).await;
        assert!(pushed.try_recv().is_err(), "what it has is not pushed again");
    }
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 1);
    cloud.down.store(false, Ordering::SeqCst);
    let mut next = None;
    as_time_passes(&house, || {
        next = pushed.try_recv().ok();
        next.is_some()
    })
    .await;
    assert_ne!(first.issuance(), next.unwrap().ok().unwrap().issuance());
    assert_eq!(lines(&house, Outcome::Ok, "HANDED_OUT").await, 2);
}

/// Cases B10 and F4.
#[tokio::test]
async fn f4_a_watcher_that_reads_nothing_loses_its_place_with_its_right() {
    let (house, _) = house_at("watch-stalled", |_| {}).await;
    let binding = house.bind(&house.runner, Role::DataScientist, BindingTarget::Project).await;
    let call = house.call(&house.runner).await;
    let mut pushed = house.broker.watch_credential(&call, ask()).unwrap();
    until(|| !pushed.is_empty()).await;
    house.clock.advance(Duration::from_secs(45 * 60));
    until(|| Cloud::of("watch-stalled").asked.load(Ordering::SeqCst) == 2).await;
    let write = Write::DeleteBinding { project: house.home.id, id: binding };
    house.store.commit(Tx::with_line(call.line(Outcome::Ok, "")).write(write)).await.unwrap();
    until(|| house.broker.watches.taken() == 0).await;
    assert!(pushed.recv().await.unwrap().is_ok(), "what was pushed before");
    assert!(pushed.recv().await.is_none(), "nothing follows");
}

/// Until it is so; the house's clock goes on as long as it is not.
async fn as_time_passes(house: &House, mut so: impl FnMut() -> bool) {
    for turn in 1_u32.. {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        if turn.is_multiple_of(1_000) {
            house.clock.advance(Duration::from_secs(10));
        }
    }
}

/// Until it is so.
pub(super) async fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_narrow_caller_lists_its_own_connectors_and_issuances_only() {
    let (house, connector) = house_at("narrow", |_| {}).await;
    let home = house.home.clone();
    for name in ["aaa", "mmm", "zzz"] {
        house.connector(&home, name).await;
    }
    mint(&house, &house.scientist, &ask()).await.ok().unwrap();
    house.bind(&house.runner, Role::DataScientist, BindingTarget::Connector(connector.id)).await;
    let call = house.call(&house.runner).await;
    let page = PageAsk { size: 1, after: None };
    let seen = house.broker.list_connectors(&call, &ConnectorFilter::default(), &page).await.unwrap();
    assert_eq!(seen.items.len(), 1);
    assert_eq!(seen.items[0].connector.name.as_str(), "vault");
    assert!(!seen.items[0].settings_visible);
    assert_eq!(seen.next, None, "nothing tells that there are others");
    let everyones = IssuanceAsk { principal: Some("sam".to_owned()), ..IssuanceAsk::default() };
    assert_eq!(code(house.broker.list_issuances(&call, &everyones, &page).await), "GRANT_MISSING");
    for of in ["zzz", "no-such"] {
        let ask = IssuanceAsk { connector: Some(of.to_owned()), ..IssuanceAsk::default() };
        let seen = house.broker.list_issuances(&call, &ask, &page).await.unwrap();
        assert!(seen.items.is_empty(), "{of}: whether it exists is not told");
    }
    house.bind(&house.runner, Role::Auditor, BindingTarget::Connector(connector.id)).await;
    let call = house.call(&house.runner).await;
    let own = house.broker.list_issuances(&call, &IssuanceAsk::default(), &page).await.unwrap();
    assert!(own.items.is_empty(), "a grant on one connector is none on the project's list");
}

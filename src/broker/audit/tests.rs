//! The ledger's readers against the real store.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::audit::{Outcome, Seq};
use crate::domain::page::PAGE_SIZE_DEFAULT;
use crate::domain::{BindingTarget, PageAsk, PrincipalKind, Role};
use crate::store::AuditLines;

use super::super::fixture::{House, name};
use super::super::{BrokerError, ComponentFilter, NewPrincipal};
use super::*;

const FIRST_PAGE: PageAsk = PageAsk { size: PAGE_SIZE_DEFAULT, after: None };

fn code<T>(answer: Result<T, BrokerError>) -> &'static str {
    answer.err().map_or("OK", |error| error.code())
}

async fn change(house: &House, named: &str) {
    let user = NewPrincipal { name: name(named), kind: PrincipalKind::User, description: String::new() };
    house.broker.create_principal(&house.call(&house.owner).await, user, None).await.unwrap();
}

/// Why a tail ended. Lines may come first: those of the change that ends it
/// were written before the right had ended.
async fn end_of(tail: &mut mpsc::Receiver<Tailed>) -> Option<BrokerError> {
    let end = async {
        loop {
            match tail.recv().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Some(error),
                None => return None,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), end).await.expect("the tail does not end")
}

/// Case G11.
#[tokio::test]
async fn lines_are_for_those_who_may_and_of_their_project_only() {
    let house = House::new().await;
    let foreign_connector = house.connector(&house.abroad, "secret").await;
    change(&house, "nora").await;
    for who in [&house.scientist, &house.engineer, &house.runner] {
        let answer = house.broker.list_audit_lines(&house.call(who).await, &LineAsk::default(), &FIRST_PAGE).await;
        assert_eq!(code(answer), "GRANT_MISSING");
    }
    let auditor = house.call(&house.auditor).await;
    let all = house.broker.list_audit_lines(&auditor, &LineAsk::default(), &FIRST_PAGE).await.unwrap();
    assert!(!all.items.is_empty());
    assert!(all.items.iter().all(|stored| stored.line.project == Some(house.home.id)));
    let by = |principal: &str| LineAsk { principal: Some(principal.to_owned()), ..LineAsk::default() };
    let about = |connector: &str| LineAsk { connector: Some(connector.to_owned()), ..LineAsk::default() };
    for name_of_theirs in [by("fritz"), about("secret"), by("no-one")] {
        let answer = house.broker.list_audit_lines(&auditor, &name_of_theirs, &FIRST_PAGE).await;
        assert_eq!(code(answer), "NOT_FOUND");
    }
    for id_of_theirs in [by(&house.foreigner.id.to_string()), about(&foreign_connector.id.to_string())] {
        let found = house.broker.list_audit_lines(&auditor, &id_of_theirs, &FIRST_PAGE).await.unwrap();
        assert_eq!(found.items, []);
    }
}

#[tokio::test]
async fn filters_narrow_and_a_deleted_principal_is_found_by_its_id() {
    let house = House::new().await;
    let owner = house.call(&house.owner).await;
    let robot = house.call(&house.runner).await;
    let refused = house.broker.list_components(&robot, &ComponentFilter::default(), &FIRST_PAGE).await;
    assert_eq!(code(refused), "GRANT_MISSING");
    house.broker.delete_principal(&owner, "robot", None).await.unwrap();
    let ask = LineAsk {
        principal: Some(house.runner.id.to_string()),
        outcome: Some(Outcome::Denied),
        since: Some(house.broker.now()),
        ..LineAsk::default()
    };
    let found = house.broker.list_audit_lines(&owner, &ask, &FIRST_PAGE).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].line.principal_name, Some(house.runner.name.clone()));
    let by_name = LineAsk { principal: Some("robot".to_owned()), ..LineAsk::default() };
    assert_eq!(code(house.broker.list_audit_lines(&owner, &by_name, &FIRST_PAGE).await), "NOT_FOUND");
    let before = LineAsk { until: Some(house.broker.now()), ..ask };
    assert_eq!(house.broker.list_audit_lines(&owner, &before, &FIRST_PAGE).await.unwrap().items, []);
}

#[tokio::test]
async fn a_tail_shows_what_is_written_from_now_on_in_order() {
    let house = House::new().await;
    change(&house, "before").await;
    let auditor = house.call(&house.auditor).await;
    let mut tail = house.broker.tail_audit_lines(&auditor, None).await.unwrap();
    change(&house, "nora").await;
    change(&house, "nina").await;
    for expected in ["nora", "nina"] {
        let line = tail.recv().await.unwrap().unwrap().line;
        assert_eq!(line.details["name"].as_str(), expected);
    }
}

#[tokio::test]
async fn a_tail_from_a_place_shows_everything_after_it_and_nothing_of_others() {
    let house = House::new().await;
    for at in 0..120 {
        change(&house, &format!("user-{at}")).await;
    }
    house.connector(&house.abroad, "theirs").await;
    let last = house.store.last_seq().await.unwrap();
    let auditor = house.call(&house.auditor).await;
    let mut tail = house.broker.tail_audit_lines(&auditor, Some(Seq(1))).await.unwrap();
    let (mut seen, mut before) = (0, Seq(1));
    while seen < 120 {
        let stored = tail.recv().await.unwrap().unwrap();
        assert!(stored.seq > before && stored.seq <= last);
        assert_eq!(stored.line.project, Some(house.home.id));
        before = stored.seq;
        seen += 1;
    }
}

/// Case B10.
#[tokio::test]
async fn a_tail_ends_when_the_role_is_taken_away_also_when_nothing_is_written() {
    let house = House::new().await;
    let reader = house.person(&house.home, "rita", None).await;
    let binding = house.bind(&reader, Role::Auditor, BindingTarget::Project).await;
    let mut tail = house.broker.tail_audit_lines(&house.call(&reader).await, None).await.unwrap();
    let owner = house.call(&house.owner).await;
    house.broker.delete_binding(&owner, &binding.to_string(), None).await.unwrap();
    assert_eq!(end_of(&mut tail).await.unwrap().code(), "GRANT_MISSING");
    assert!(tail.recv().await.is_none());
    let filter = LineAsk { principal: Some("rita".to_owned()), ..LineAsk::default() };
    let lines = house.broker.list_audit_lines(&owner, &filter, &FIRST_PAGE).await.unwrap().items;
    assert_eq!(lines[0].line.outcome, Outcome::Denied);
}

#[tokio::test]
async fn a_tail_ends_when_the_token_is_revoked() {
    let house = House::new().await;
    let mut tail = house.broker.tail_audit_lines(&house.call(&house.auditor).await, None).await.unwrap();
    let owner = house.call(&house.owner).await;
    house.broker.revoke_token(&owner, &house.auditor.token.0, None).await.unwrap();
    assert_eq!(end_of(&mut tail).await, Some(BrokerError::Unauthenticated));
}

/// Its reader takes nothing, and its right was taken away: nobody waits for it.
#[tokio::test]
async fn a_tail_that_nobody_reads_gives_its_place_back_when_it_ends() {
    let house = House::new().await;
    let reader = house.person(&house.home, "rita", None).await;
    let binding = house.bind(&reader, Role::Auditor, BindingTarget::Project).await;
    // What the first item leaves no room for waits for its reader.
    for named in ["nora", "nina"] {
        change(&house, named).await;
    }
    let unread = house.broker.tail_audit_lines(&house.call(&reader).await, Some(Seq(0))).await.unwrap();
    assert_eq!(house.broker.tails.taken(), 1);
    let owner = house.call(&house.owner).await;
    house.broker.delete_binding(&owner, &binding.to_string(), None).await.unwrap();
    let given_back = tokio::time::timeout(Duration::from_secs(10), async {
        while house.broker.tails.taken() > 0 {
            tokio::task::yield_now().await;
        }
    });
    assert!(given_back.await.is_ok());
    drop(unread);
}

#[tokio::test]
async fn tails_are_bounded_and_a_place_is_free_again_when_its_reader_goes() {
    let house = House::new().await;
    let home = house.home.clone();
    let mut auditors = vec![house.call(&house.auditor).await];
    for name in ["abel", "amir", "aoi"] {
        let auditor = house.person(&home, name, Some(Role::Auditor)).await;
        auditors.push(house.call(&auditor).await);
    }
    let mut tails = Vec::new();
    for auditor in &auditors {
        for _ in 0..TAILS_MAX / 4 {
            tails.push(house.broker.tail_audit_lines(auditor, None).await.unwrap());
        }
        let refused = house.broker.tail_audit_lines(auditor, None).await.err().unwrap();
        assert_eq!(refused.code(), "PRINCIPAL_TAILS");
        assert!(refused.to_string().contains("16 times"), "{refused}");
    }
    let auditor = house.person(&home, "late", Some(Role::Auditor)).await;
    let auditor = house.call(&auditor).await;
    assert_eq!(code(house.broker.tail_audit_lines(&auditor, None).await), "TOO_MANY_TAILS");
    tails.clear();
    let again = tokio::time::timeout(Duration::from_secs(5), async {
        while house.broker.tail_audit_lines(&auditor, None).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    assert!(again.await.is_ok());
}

#[tokio::test]
async fn an_operator_sees_the_keys_of_its_own_project_and_how_the_daemon_is() {
    let house = House::new().await;
    house.connector(&house.home, "prod").await;
    let engineer = house.call(&house.engineer).await;
    let keys = house.broker.key_status(&engineer).await.unwrap();
    assert_eq!((keys.keys.len(), keys.keys[0].state, keys.keys[0].sealed_values), (1, "active", 1));
    assert_eq!(keys.locked_in_memory, house.keyring.locked_in_memory());
    let status = house.broker.daemon_status(&engineer).await.unwrap();
    assert!(status.store.writable && status.revision > 0 && status.ledger_seq > 0);
    let scientist = house.call(&house.scientist).await;
    assert_eq!(code(house.broker.key_status(&scientist).await), "GRANT_MISSING");
    assert_eq!(code(house.broker.daemon_status(&scientist).await), "GRANT_MISSING");
}

//! A run against its starter: it is allowed nothing that the starter is not,
//! and nothing outside of its stack.

use proptest::prelude::*;

use crate::authz::{RUN_PERMISSIONS, RunScope};
use crate::domain::{Run, RunId, StackId, TokenId};

use super::tests::{ME, NOW, PROJECT, any_binding, any_question, ask, ask_for, bound, component, connector, holding};
use super::tests::{mint, on, until};
use super::*;

const END: Timestamp = Timestamp::from_seconds(5_000);

/// A run of `starter` on a stack of these components.
fn in_run(starter: &Subject, components: &[u8]) -> Subject {
    let run = Run {
        id: RunId::from_bytes([7; 16]),
        project: PROJECT,
        name: "nightly".parse().unwrap(),
        stack: StackId::from_bytes([8; 16]),
        stack_name: "prod".parse().unwrap(),
        principal: ME,
        principal_name: "ada".parse().unwrap(),
        token: TokenId("t".repeat(22)),
        token_expires_at: END,
        started_at: NOW,
        ends_at: END,
        finished_at: None,
    };
    let components = components.iter().map(|byte| component(*byte)).collect();
    Subject { run: Some(RunScope { run: Arc::new(run), components: Arc::new(components) }), ..starter.clone() }
}

fn scientist() -> Subject {
    holding([bound(Role::DataScientist, BindingTarget::Project)])
}

#[test]
fn b8_a_run_mints_through_its_stack_and_through_nothing_else() {
    let run = in_run(&scientist(), &[1, 2]);
    assert!(mint(&run, on(Some(9), Some(1))).is_ok());
    assert!(mint(&run, on(Some(9), Some(2))).is_ok());
    for (what, elsewhere) in [
        ("another component", on(Some(9), Some(3))),
        ("the connector itself", on(Some(9), None)),
        ("nothing named", on(None, None)),
    ] {
        assert!(elsewhere.component.is_none() || mint(&scientist(), elsewhere).is_ok(), "the starter may");
        assert_eq!(mint(&run, elsewhere).err(), Some(DenyReason::OutsideRun), "{what}");
    }
    assert_eq!(mint(&in_run(&scientist(), &[]), on(Some(9), Some(1))).err(), Some(DenyReason::OutsideRun));
}

#[test]
fn a_run_of_somebody_who_may_everything_does_what_is_on_the_list_only() {
    let everything = holding(
        Role::ALL
            .map(|role| bound(role, BindingTarget::Project))
            .into_iter()
            .chain([bound(Role::DataScientist, BindingTarget::Component(component(1)))]),
    );
    let run = in_run(&everything, &[1]);
    let allowed = Permission::ALL.iter().filter(|p| ask(&run, **p, on(Some(9), Some(1))).is_ok());
    let words: Vec<_> = allowed.map(|p| p.as_str()).collect();
    assert_eq!(words, ["self", "components.list", "stacks.list", "runs.list", "credentials.mint", "issuances.list"]);
    assert_eq!(words, RUN_PERMISSIONS.iter().map(|p| p.as_str()).collect::<Vec<_>>());
}

#[test]
fn what_the_starter_loses_the_run_has_lost() {
    let bindings = || [bound(Role::DataScientist, BindingTarget::Component(component(1)))];
    let here = on(Some(9), Some(1));
    assert!(mint(&in_run(&holding(bindings()), &[1]), here).is_ok());
    assert_eq!(mint(&in_run(&holding([]), &[1]), here).err(), Some(DenyReason::GrantMissing));
    let ended = holding(bindings().map(|b| until(b, 1_000)));
    assert_eq!(mint(&in_run(&ended, &[1]), here).err(), Some(DenyReason::GrantExpired));
    assert_eq!(mint(&in_run(&holding(bindings()), &[2]), here).err(), Some(DenyReason::OutsideRun));
}

#[test]
fn nothing_is_allowed_from_the_end_on_and_nothing_minted_outlives_it() {
    let here = on(Some(9), Some(1));
    let not_after = |starter: Subject| mint(&in_run(&starter, &[1]), here).unwrap().limits().not_after;
    assert_eq!(not_after(scientist()), Some(END));
    let sooner = holding([until(bound(Role::DataScientist, BindingTarget::Project), 3_000)]);
    assert_eq!(not_after(sooner), Some(Timestamp::from_seconds(3_000)));
    let later = holding([until(bound(Role::DataScientist, BindingTarget::Project), 9_000)]);
    assert_eq!(not_after(later), Some(END));
    let question = Question { permission: Permission::Own, target: on(None, None), wish: None };
    let mut over = in_run(&scientist(), &[1]);
    assert!(matches!(decide(&over, &question, Timestamp::from_seconds(4_999)), Decision::Allow(_)));
    assert!(matches!(decide(&over, &question, END), Decision::Deny(DenyReason::RunEnded)));
    if let Some(scope) = &mut over.run {
        scope.run = Arc::new(scope.run.finished(NOW));
    }
    assert!(matches!(decide(&over, &question, NOW), Decision::Deny(DenyReason::RunEnded)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_run_is_allowed_what_its_starter_is_within_the_run_and_nothing_else(
        bindings in proptest::collection::vec(any_binding(), 0..5),
        question in any_question(),
        stack in proptest::collection::vec(1..3_u8, 0..3),
    ) {
        let (permission, target, resource, access) = question;
        let starter = holding(bindings);
        let own = ask_for(&starter, permission, target, resource, access);
        let answer = ask_for(&in_run(&starter, &stack), permission, target, resource, access);
        let inside = match target.component {
            Some(id) => stack.iter().any(|byte| component(*byte) == id),
            None => target.connector.is_none() && permission != Permission::CredentialsMint,
        };
        prop_assert_eq!(answer.is_ok(), own.is_ok() && inside && RUN_PERMISSIONS.contains(&permission));
        if let (Ok(answer), Ok(own)) = (answer, own) {
            let minted = permission != Permission::Own;
            let end = own.limits().not_after.map_or(END, |end| end.min(END));
            prop_assert!(!minted || answer.limits().not_after == Some(end));
            prop_assert_eq!(answer.limits().access_max, own.limits().access_max);
            prop_assert_eq!((answer.limits().ttl_max, answer.role()), (own.limits().ttl_max, own.role()));
        }
    }

    #[test]
    fn a_run_sees_what_its_starter_sees_of_the_stack_and_nothing_else(
        bindings in proptest::collection::vec(any_binding(), 0..5),
        permission in proptest::sample::select(Permission::ALL),
        stack in proptest::collection::vec(1..3_u8, 0..3),
        one in proptest::option::of(1..4_u8), link in proptest::option::of(1..4_u8),
    ) {
        let starter = holding(bindings);
        let own = visible_scope(&starter, permission, NOW);
        let seen = visible_scope(&in_run(&starter, &stack), permission, NOW);
        let (id, linked) = (one.map(component), link.map(connector));
        let inside = one.is_some_and(|byte| stack.contains(&byte)) && RUN_PERMISSIONS.contains(&permission);
        prop_assert_eq!(seen.shows(id, linked), own.shows(id, linked) && inside);
        prop_assert!(seen != Visible::All);
    }
}

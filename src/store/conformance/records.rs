//! Records: written whole, replaced by version, deleted with what hangs on
//! them.

use std::collections::BTreeSet;

use crate::domain::{BindingId, BindingTarget, ConnectorId, Role, TokenId, Version};
use crate::store::limits::{LINES_MAX, WRITES_MAX};
use crate::store::{Guard, StoreError, Tx, Write};

use super::fixtures::{World, binding, component, connector, first, labels, line, name, principal, sealed, stack};

pub(super) async fn what_was_written_is_read_back_whole(world: World) {
    let (store, here) = (&world.store, world.here);
    let made = world.furnish(here).await;
    assert_eq!(store.connector(here, made.connector.id).await.unwrap(), made.connector);
    assert_eq!(store.sealed_credential(here, made.connector.id).await.unwrap(), sealed(1));
    assert_eq!(store.component(here, made.component.id).await.unwrap(), made.component);
    assert_eq!(store.stack(here, made.stack.id).await.unwrap(), made.stack);
    assert_eq!(store.principal(here, made.principal.id).await.unwrap(), made.principal);
    assert!(store.token(&made.token.id).await.unwrap() == made.token);
    assert_eq!(store.binding(here, made.binding.id).await.unwrap(), made.binding);
    assert_eq!(store.issuance(here, made.issuance.id).await.unwrap(), made.issuance);
    let names: Vec<_> = store.projects().await.unwrap().into_iter().map(|project| project.name).collect();
    assert_eq!(names, [name("here"), name("there")]);
    assert_eq!(store.project_named(&name("here")).await.unwrap().id, here);
    assert_eq!(store.project_named(&name("nowhere")).await, Err(StoreError::NotFound));
}

pub(super) async fn an_update_replaces_record_labels_and_secret(world: World) {
    let mut record = connector(world.here, 1, "source");
    record.labels = labels(&[("team", "a"), ("env", "prod")]);
    world.add_connector(&record).await;
    let expected = record.version;
    record.version = expected.next();
    record.labels = labels(&[("team", "b")]);
    let update = Write::UpdateConnector { connector: record.clone(), expected, sealed: Some(sealed(2)) };
    world.write(update).await.unwrap();
    assert_eq!(world.store.connector(world.here, record.id).await.unwrap(), record);
    assert_eq!(world.store.sealed_credential(world.here, record.id).await.unwrap(), sealed(2));
    let with = async |pairs: &[(&str, &str)]| {
        world.store.connectors(world.here, None, &labels(pairs), &first(10)).await.unwrap().items.len()
    };
    assert_eq!((with(&[("team", "a")]).await, with(&[("env", "prod")]).await, with(&[("team", "b")]).await), (0, 0, 1));
    assert_eq!(world.store.sealed_values(world.here).await, Ok(2));
}

pub(super) async fn an_update_from_another_version_is_stale(world: World) {
    let made = world.furnish(world.here).await;
    let old = Version(7);
    let connector = crate::domain::Connector { version: old.next(), ..made.connector.clone() };
    let component = crate::domain::Component { version: old.next(), ..made.component.clone() };
    let stack = crate::domain::Stack { version: old.next(), ..made.stack.clone() };
    for write in [
        Write::UpdateConnector { connector, expected: old, sealed: None },
        Write::UpdateComponent { component, expected: old },
        Write::UpdateStack { stack, expected: old },
        Write::DeleteStack { project: world.here, id: made.stack.id, expected: old },
        Write::DeleteComponent { project: world.here, id: made.component.id, expected: old },
        Write::DeleteConnector { project: world.here, id: made.connector.id, expected: old },
    ] {
        assert_eq!(world.write(write).await, Err(StoreError::Stale));
    }
    assert_eq!(world.store.connector(world.here, made.connector.id).await.unwrap(), made.connector);
}

pub(super) async fn a_version_that_is_not_the_next_is_stale(world: World) {
    let made = world.furnish(world.here).await;
    for version in [1, 3] {
        let connector = crate::domain::Connector { version: Version(version), ..made.connector.clone() };
        let update = Write::UpdateConnector { connector, expected: Version::FIRST, sealed: None };
        assert_eq!(world.write(update).await, Err(StoreError::Stale));
    }
}

pub(super) async fn a_name_is_taken_once_in_a_project(world: World) {
    let here = world.here;
    world.furnish(here).await;
    for write in [
        Write::InsertConnector { connector: connector(here, 2, "source"), sealed: sealed(1) },
        Write::InsertComponent(component(here, 2, "store", None)),
        Write::InsertStack(stack(here, 2, "stack", Vec::new())),
        Write::InsertPrincipal(principal(here, 2, "ada")),
    ] {
        assert_eq!(world.write(write).await, Err(StoreError::NameTaken));
    }
    world.furnish(world.there).await;
}

pub(super) async fn a_renamed_record_frees_its_name(world: World) {
    let mut record = connector(world.here, 1, "source");
    record.labels = labels(&[("team", "a")]);
    world.add_connector(&record).await;
    let other = connector(world.here, 2, "other");
    world.add_connector(&other).await;
    let mut clash = crate::domain::Connector { version: Version(2), ..other.clone() };
    clash.name = name("source");
    let clash = Write::UpdateConnector { connector: clash, expected: Version(1), sealed: None };
    assert_eq!(world.write(clash).await, Err(StoreError::NameTaken));
    record.name = name("renamed");
    record.version = Version(2);
    let rename = Write::UpdateConnector { connector: record.clone(), expected: Version(1), sealed: None };
    world.write(rename).await.unwrap();
    world.add_connector(&connector(world.here, 3, "source")).await;
    let labelled = world.store.connectors(world.here, None, &labels(&[("team", "a")]), &first(10)).await.unwrap();
    assert_eq!(labelled.items, [record]);
}

pub(super) async fn what_is_linked_is_not_deleted_and_says_by_whom(world: World) {
    let here = world.here;
    let made = world.furnish(here).await;
    for number in 2..14 {
        let named = format!("store-{number:02}");
        world.write(Write::InsertComponent(component(here, number, &named, Some(made.connector.id)))).await.unwrap();
    }
    let delete = Write::DeleteConnector { project: here, id: made.connector.id, expected: Version(1) };
    let Err(StoreError::Linked { by }) = world.write(delete).await else { panic!("deleted") };
    assert_eq!((by.len(), by[0].as_str()), (10, "store"));
    let delete = Write::DeleteComponent { project: here, id: made.component.id, expected: Version(1) };
    assert_eq!(world.write(delete.clone()).await, Err(StoreError::Linked { by: vec![name("stack")] }));
    let stack = Write::DeleteStack { project: here, id: made.stack.id, expected: Version(1) };
    world.write(stack).await.unwrap();
    world.write(delete).await.unwrap();
}

pub(super) async fn a_deleted_connector_takes_bindings_and_secret_along(world: World) {
    let here = world.here;
    let record = connector(here, 1, "source");
    world.add_connector(&record).await;
    let mut grant = binding(here, 1, world.owner, Role::DataScientist);
    grant.target = BindingTarget::Connector(record.id);
    world.write(Write::InsertBinding(grant.clone())).await.unwrap();
    assert_eq!(world.store.bindings_on(here, grant.target, 10).await.unwrap(), [grant.clone()]);
    assert_eq!(world.store.bindings_on(world.there, grant.target, 10).await.unwrap(), []);
    assert_eq!(world.store.bindings_on(here, BindingTarget::Project, 10).await.unwrap(), []);
    let delete = Write::DeleteConnector { project: here, id: record.id, expected: Version(1) };
    let bound = |bindings| Guard::BoundBy { project: here, target: grant.target, bindings };
    let unseen = Tx::with_line(line("/delete")).write(delete.clone()).guard(bound(BTreeSet::new()));
    assert_eq!(world.store.commit(unseen).await, Err(StoreError::Stale));
    let seen = Tx::with_line(line("/delete")).write(delete.clone()).guard(bound([grant.id].into()));
    world.store.commit(seen).await.unwrap();
    assert_eq!(world.store.connector(here, record.id).await, Err(StoreError::NotFound));
    assert_eq!(world.store.sealed_credential(here, record.id).await, Err(StoreError::NotFound));
    assert_eq!(world.store.binding(here, grant.id).await, Err(StoreError::NotFound));
    assert_eq!(world.store.sealed_values(here).await, Ok(0));
    assert_eq!(world.write(delete).await, Err(StoreError::NotFound));
}

pub(super) async fn a_guard_that_does_not_hold_leaves_nothing(world: World) {
    let here = world.here;
    let made = world.furnish(here).await;
    let (connector, principal, component) = (made.connector.id, made.principal.id, made.component.id);
    let other = ConnectorId::from_bytes([9; 16]);
    let holds = |bindings| Guard::HoldsNoMore { project: here, principal, bindings };
    let stands = |principal, token: &TokenId, bindings: &[BindingId]| Guard::CallerStands {
        project: here,
        principal,
        token: token.clone(),
        bindings: bindings.to_vec(),
    };
    let wrong = [
        (Guard::ConnectorAt { project: here, id: connector, version: Version(2) }, StoreError::Stale),
        (Guard::ConnectorAt { project: world.there, id: connector, version: Version(1) }, StoreError::NotFound),
        (Guard::PrincipalExists { project: world.there, id: principal }, StoreError::NotFound),
        (Guard::ComponentExists { project: world.there, id: component }, StoreError::NotFound),
        (holds(BTreeSet::new()), StoreError::Stale),
        (stands(principal, &made.token.id, &[BindingId::from_bytes([9; 16])]), StoreError::Stale),
        (stands(principal, &TokenId("0".repeat(22)), &[]), StoreError::Stale),
        (stands(world.owner, &made.token.id, &[]), StoreError::Stale),
        (Guard::NotLinked { project: here, connector, components: vec![component] }, StoreError::Stale),
    ];
    let insert = || Write::InsertStack(stack(here, 2, "second", Vec::new()));
    for (guard, error) in wrong {
        let tx = Tx::with_line(line("/guarded")).write(insert()).guard(guard);
        assert_eq!(world.store.commit(tx).await, Err(error));
    }
    assert_eq!(world.store.resolve_stack(here, "second").await, Err(StoreError::NotFound));
    let held = Tx::with_line(line("/guarded"))
        .write(insert())
        .guard(Guard::ConnectorAt { project: here, id: connector, version: Version(1) })
        .guard(Guard::PrincipalExists { project: here, id: principal })
        .guard(Guard::ComponentExists { project: here, id: component })
        .guard(holds([made.binding.id].into()))
        .guard(stands(principal, &made.token.id, &[made.binding.id]))
        .guard(stands(principal, &made.token.id, &[]))
        .guard(Guard::NotLinked { project: here, connector: other, components: vec![component] })
        .guard(Guard::NotLinked { project: world.there, connector, components: vec![component] });
    world.store.commit(held).await.unwrap();
    // What has ended does not stand, and what stands beside it is no help.
    let mut ended = binding(here, 8, principal, Role::Auditor);
    ended.conditions.expires_at = Some(crate::domain::Timestamp::from_millis(1));
    world.write(Write::InsertBinding(ended.clone())).await.unwrap();
    let third = Write::InsertStack(stack(here, 3, "third", Vec::new()));
    let tx = Tx::with_line(line("/guarded")).write(third);
    let tx = tx.guard(stands(principal, &made.token.id, &[made.binding.id, ended.id]));
    assert_eq!(world.store.commit(tx).await, Err(StoreError::Stale));
}

pub(super) async fn a_failed_transaction_leaves_neither_writes_nor_lines(world: World) {
    let here = world.here;
    world.add_connector(&connector(here, 1, "source")).await;
    let before = (world.store.last_seq().await.unwrap(), *world.store.watch_revision().borrow());
    let tx = Tx::with_line(line("/both"))
        .write(Write::InsertStack(stack(here, 1, "first", Vec::new())))
        .write(Write::InsertConnector { connector: connector(here, 2, "source"), sealed: sealed(1) })
        .remember(Some(world.answer(1, 1)));
    assert_eq!(world.store.commit(tx).await, Err(StoreError::NameTaken));
    assert_eq!(world.store.resolve_stack(here, "first").await, Err(StoreError::NotFound));
    assert_eq!(world.store.recall(here, world.owner, super::fixtures::request(1)).await, Ok(None));
    let after = (world.store.last_seq().await.unwrap(), *world.store.watch_revision().borrow());
    assert_eq!(before, after);
    let next = world.write(Write::InsertStack(stack(here, 1, "first", Vec::new()))).await.unwrap();
    assert_eq!((next.lines[0].0, next.revision.0), (before.0.0 + 1, before.1.0 + 1));
}

pub(super) async fn a_transaction_without_a_line_is_refused(world: World) {
    let tx = Tx::default().write(Write::InsertStack(stack(world.here, 1, "first", Vec::new())));
    assert!(matches!(world.store.commit(tx).await, Err(StoreError::Corrupt { .. })));
    assert_eq!(world.store.resolve_stack(world.here, "first").await, Err(StoreError::NotFound));
}

pub(super) async fn a_transaction_beyond_its_bounds_is_refused(world: World) {
    let fill = |count: u64| {
        let writes = (0..count).map(|at| Write::InsertStack(stack(world.here, at, &format!("s-{at}"), Vec::new())));
        Tx { writes: writes.collect(), lines: vec![line("/many")], ..Tx::default() }
    };
    let limit = u32::try_from(WRITES_MAX).unwrap();
    assert_eq!(world.store.commit(fill(WRITES_MAX as u64 + 1)).await, Err(StoreError::TooMany { limit }));
    world.store.commit(fill(WRITES_MAX as u64)).await.unwrap();
    let lines = |count: usize| Tx { lines: vec![line("/many"); count], ..Tx::default() };
    let limit = u32::try_from(LINES_MAX).unwrap();
    assert_eq!(world.store.commit(lines(LINES_MAX + 1)).await, Err(StoreError::TooMany { limit }));
    assert_eq!(world.store.commit(lines(LINES_MAX)).await.unwrap().lines.len(), LINES_MAX);
}

//! Another project's id is nobody's: read, changed, linked or listed.

use crate::audit::{LineFilter, Seq};
use crate::domain::{BindingTarget, Component, Connector, IssuanceState, Labels, Role, Stack, Version};
use crate::store::{IssuanceFilter, StoreError, Tx, Write};

use super::fixtures::{NOW, World, binding, component, first, line, stack, token};

const GONE: StoreError = StoreError::NotFound;

pub(super) async fn every_noun_of_another_project_is_not_found(world: World) {
    let made = world.furnish(world.there).await;
    let (store, here) = (&world.store, world.here);
    assert_eq!(store.connector(here, made.connector.id).await, Err(GONE));
    assert_eq!(store.sealed_credential(here, made.connector.id).await, Err(GONE));
    assert_eq!(store.component(here, made.component.id).await, Err(GONE));
    assert_eq!(store.stack(here, made.stack.id).await, Err(GONE));
    assert_eq!(store.principal(here, made.principal.id).await, Err(GONE));
    assert_eq!(store.binding(here, made.binding.id).await, Err(GONE));
    assert_eq!(store.issuance(here, made.issuance.id).await, Err(GONE));
    for text in [made.connector.id.to_string(), "source".to_owned()] {
        assert_eq!(store.resolve_connector(here, &text).await, Err(GONE));
    }
    for text in [made.component.id.to_string(), "store".to_owned()] {
        assert_eq!(store.resolve_component(here, &text).await, Err(GONE));
    }
    for text in [made.stack.id.to_string(), "stack".to_owned()] {
        assert_eq!(store.resolve_stack(here, &text).await, Err(GONE));
    }
    for text in [made.principal.id.to_string(), "ada".to_owned()] {
        assert_eq!(store.resolve_principal(here, &text).await, Err(GONE));
    }
    assert_eq!(store.resolve_binding(here, &made.binding.id.to_string()).await, Err(GONE));
    assert_eq!(store.resolve_issuance(here, &made.issuance.id.to_string()).await, Err(GONE));
    assert!(store.resolve_token(here, &made.token.id.0).await.is_err_and(|error| error == GONE));
}

pub(super) async fn every_change_of_another_project_is_not_found(world: World) {
    let made = world.furnish(world.there).await;
    let (project, version) = (world.here, Version::FIRST);
    let next = version.next();
    let connector = Connector { project, version: next, ..made.connector.clone() };
    let component = Component { project, version: next, link: None, ..made.component.clone() };
    let stack = Stack { project, version: next, components: Vec::new(), ..made.stack.clone() };
    for write in [
        Write::UpdateConnector { connector, expected: version, sealed: None },
        Write::UpdateComponent { component, expected: version },
        Write::UpdateStack { stack, expected: version },
        Write::DeleteConnector { project, id: made.connector.id, expected: version },
        Write::DeleteComponent { project, id: made.component.id, expected: version },
        Write::DeleteStack { project, id: made.stack.id, expected: version },
        Write::DeletePrincipal { project, id: made.principal.id },
        Write::DeleteToken { project, id: made.token.id.clone() },
        Write::DeleteBinding { project, id: made.binding.id },
        Write::EndIssuance { project, id: made.issuance.id, state: IssuanceState::Withdrawn, ended_at: NOW },
    ] {
        assert_eq!(world.write(write).await, Err(GONE));
    }
    assert_eq!(world.store.connector(world.there, made.connector.id).await.unwrap(), made.connector);
    assert!(world.store.token(&made.token.id).await.unwrap() == made.token);
    assert_eq!(world.store.issuance(world.there, made.issuance.id).await.unwrap(), made.issuance);
}

pub(super) async fn links_to_another_project_are_links_to_nothing(world: World) {
    let made = world.furnish(world.there).await;
    let here = world.here;
    let on = |target| {
        let mut grant = binding(here, 9, world.owner, Role::DataScientist);
        grant.target = target;
        Write::InsertBinding(grant)
    };
    for write in [
        Write::InsertComponent(component(here, 9, "thief", Some(made.connector.id))),
        Write::InsertStack(stack(here, 9, "thief", vec![made.component.id])),
        Write::InsertToken(token(here, made.principal.id, 9)),
        Write::InsertBinding(binding(here, 9, made.principal.id, Role::Owner)),
        on(BindingTarget::Connector(made.connector.id)),
        on(BindingTarget::Component(made.component.id)),
    ] {
        assert_eq!(world.write(write).await, Err(GONE));
    }
}

pub(super) async fn listings_show_one_project_only(world: World) {
    let made = world.furnish(world.there).await;
    let (store, here, page, none) = (&world.store, world.here, first(100), Labels::default());
    assert!(store.connectors(here, None, &none, &page).await.unwrap().items.is_empty());
    assert!(store.components(here, None, None, &none, &page).await.unwrap().items.is_empty());
    assert!(store.components(here, None, Some(made.connector.id), &none, &page).await.unwrap().items.is_empty());
    assert!(store.stacks(here, &none, &page).await.unwrap().items.is_empty());
    assert_eq!(store.principals(here, None, &page).await.unwrap().items.len(), 1);
    assert_eq!(store.bindings(here, &page).await.unwrap().items.len(), 1);
    assert!(store.bindings_of(here, made.principal.id).await.unwrap().is_empty());
    assert!(store.tokens_of(here, made.principal.id).await.unwrap().is_empty());
    let by_connector = IssuanceFilter { connector: Some(made.connector.id), ..IssuanceFilter::default() };
    let by_principal = IssuanceFilter { principal: Some(made.principal.id), ..IssuanceFilter::default() };
    for filter in [IssuanceFilter::default(), by_connector, by_principal] {
        assert!(store.issuances(here, &filter, &page).await.unwrap().items.is_empty());
        assert_eq!(store.issuances(world.there, &filter, &page).await.unwrap().items.len(), 1);
    }
    assert_eq!((store.sealed_values(here).await, store.sealed_values(world.there).await), (Ok(0), Ok(2)));
}

pub(super) async fn lines_of_another_project_are_not_listed(world: World) {
    let mut foreign = line("/foreign");
    foreign.project = Some(world.there);
    foreign.principal = Some(world.owner);
    world.store.commit(Tx::with_line(foreign)).await.unwrap();
    let filter = |project, principal| LineFilter { project: Some(project), principal, ..LineFilter::default() };
    let listed = async |filter: LineFilter| world.store.lines(&filter, &first(10)).await.unwrap().items.len();
    assert_eq!(listed(filter(world.here, None)).await, 0);
    assert_eq!(listed(filter(world.here, Some(world.owner))).await, 0);
    assert_eq!(listed(filter(world.there, Some(world.owner))).await, 1);
    assert!(world.store.lines_after(Some(world.here), Seq(0), 100).await.unwrap().is_empty());
    assert_eq!(world.store.lines_after(Some(world.there), Seq(0), 100).await.unwrap().len(), 1);
}

//! Principals, their tokens and bindings, and that an owner stays.

use std::time::Duration;

use crate::domain::{Binding, BindingTarget, Role, Timestamp};
use crate::store::limits::{BINDINGS_MAX, TOKENS_MAX};
use crate::store::{RoleRule, StoreError, Tx, Write};

use super::fixtures::{NOW, World, binding, connector, line, principal, token};

pub(super) async fn the_last_owner_stays(world: World) {
    let here = world.here;
    let crown = binding(here, 0, world.owner, Role::Owner);
    let abdicate = Write::DeleteBinding { project: here, id: crown.id };
    let vanish = Write::DeletePrincipal { project: here, id: world.owner };
    assert_eq!(world.write(abdicate.clone()).await, Err(StoreError::Roles(RoleRule::LastOwner)));
    assert_eq!(world.write(vanish.clone()).await, Err(StoreError::Roles(RoleRule::LastOwner)));
    // An owner of one connector owns no project, and neither does one elsewhere.
    world.add_connector(&connector(here, 1, "source")).await;
    let mut small = binding(here, 1, world.owner, Role::Owner);
    small.target = BindingTarget::Connector(connector(here, 1, "source").id);
    world.write(Write::InsertBinding(small.clone())).await.unwrap();
    assert_eq!(world.write(abdicate.clone()).await, Err(StoreError::Roles(RoleRule::LastOwner)));
    assert_eq!(world.store.principal(here, world.owner).await.unwrap().id, world.owner);
    world.write(Write::DeleteBinding { project: here, id: small.id }).await.unwrap();
    // Handed over in one transaction, in either order.
    let heir = principal(here, 1, "heir");
    let tx = Tx::with_line(line("/hand-over"))
        .write(vanish)
        .write(Write::InsertPrincipal(heir.clone()))
        .write(Write::InsertBinding(binding(here, 2, heir.id, Role::Owner)));
    world.store.commit(tx).await.unwrap();
    assert_eq!(world.store.binding(here, crown.id).await, Err(StoreError::NotFound));
}

/// Whichever comes first, wherever either holds, and also when both come at once.
pub(super) async fn nobody_holds_two_roles_that_go_apart(world: World) {
    let (here, somebody) = (world.here, principal(world.here, 1, "somebody"));
    world.write(Write::InsertPrincipal(somebody.clone())).await.unwrap();
    world.add_connector(&connector(here, 1, "source")).await;
    let on_connector = BindingTarget::Connector(connector(here, 1, "source").id);
    let (owner, engineer) = (Role::Owner, Role::PlatformEngineer);
    for (first, second) in [(owner, engineer), (engineer, owner)] {
        for (one, other) in [
            (BindingTarget::Project, BindingTarget::Project),
            (BindingTarget::Project, on_connector),
            (on_connector, BindingTarget::Project),
            (on_connector, on_connector),
        ] {
            let held = Binding { target: one, ..binding(here, 1, somebody.id, first) };
            let wished = Binding { target: other, ..binding(here, 2, somebody.id, second) };
            let apart = Err(StoreError::Roles(RoleRule::Apart(first)));
            world.write(Write::InsertBinding(held.clone())).await.unwrap();
            assert_eq!(world.write(Write::InsertBinding(wished.clone())).await, apart);
            // Any other role goes with it, and so does this one with nobody else's.
            let third = binding(here, 3, somebody.id, Role::Auditor);
            world.write(Write::InsertBinding(third.clone())).await.unwrap();
            world.write(Write::DeleteBinding { project: here, id: third.id }).await.unwrap();
            // And it may come when the first has gone.
            world.write(Write::DeleteBinding { project: here, id: held.id }).await.unwrap();
            world.write(Write::InsertBinding(wished.clone())).await.unwrap();
            world.write(Write::DeleteBinding { project: here, id: wished.id }).await.unwrap();
        }
    }
    let both = [(1, owner), (2, engineer)].map(|(id, role)| binding(here, id, somebody.id, role));
    let (one, other) = both.map(|binding| world.write(Write::InsertBinding(binding))).into();
    let (one, other) = tokio::join!(one, other);
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
}

pub(super) async fn a_role_that_has_ended_goes_with_any_other(world: World) {
    let here = world.here;
    let mut ended = binding(here, 1, world.owner, Role::Owner);
    let somebody = principal(here, 1, "somebody");
    world.write(Write::InsertPrincipal(somebody.clone())).await.unwrap();
    ended.principal = somebody.id;
    ended.conditions.expires_at = Some(Timestamp::from_seconds(NOW.seconds() + 60));
    let engineer = binding(here, 2, somebody.id, Role::PlatformEngineer);
    world.write(Write::InsertBinding(ended)).await.unwrap();
    let apart = Err(StoreError::Roles(RoleRule::Apart(Role::Owner)));
    assert_eq!(world.write(Write::InsertBinding(engineer.clone())).await, apart);
    world.clock.advance(Duration::from_secs(60));
    world.write(Write::InsertBinding(engineer)).await.unwrap();
}

pub(super) async fn an_expired_owner_counts_for_nothing(world: World) {
    let here = world.here;
    let mut second = binding(here, 1, world.owner, Role::Owner);
    second.conditions.expires_at = Some(Timestamp::from_seconds(NOW.seconds() + 60));
    world.write(Write::InsertBinding(second.clone())).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    let crown = binding(here, 0, world.owner, Role::Owner);
    let abdicate = Write::DeleteBinding { project: here, id: crown.id };
    assert_eq!(world.write(abdicate).await, Err(StoreError::Roles(RoleRule::LastOwner)));
    // The expired one was nobody's power: it may go.
    world.write(Write::DeleteBinding { project: here, id: second.id }).await.unwrap();
}

pub(super) async fn a_deleted_principal_takes_tokens_and_bindings_along(world: World) {
    let made = world.furnish(world.here).await;
    let delete = Write::DeletePrincipal { project: world.here, id: made.principal.id };
    let revision = world.write(delete).await.unwrap().revision;
    assert!(world.store.token(&made.token.id).await.is_err_and(|error| error == StoreError::NotFound));
    assert_eq!(world.store.binding(world.here, made.binding.id).await, Err(StoreError::NotFound));
    assert!(world.store.bindings_of(world.here, made.principal.id).await.unwrap().is_empty());
    let told = world.store.changes_after(crate::store::Revision(revision.0 - 1), 100).await.unwrap();
    let nouns: Vec<_> = told.iter().map(|change| change.noun.as_str()).collect();
    assert_eq!(nouns, ["token", "binding", "principal"]);
    // What it was handed stays on record.
    assert_eq!(world.store.issuance(world.here, made.issuance.id).await.unwrap(), made.issuance);
}

pub(super) async fn a_principal_has_so_many_live_tokens_and_no_more(world: World) {
    let insert = |number: u64, seconds: i64| {
        let mut token = token(world.here, world.owner, number);
        token.expires_at = Timestamp::from_seconds(NOW.seconds() + seconds);
        Write::InsertToken(token)
    };
    for number in 0..u64::from(TOKENS_MAX) {
        world.write(insert(number, if number == 0 { 60 } else { 3600 })).await.unwrap();
    }
    assert_eq!(world.write(insert(90, 3600)).await, Err(StoreError::TooMany { limit: TOKENS_MAX }));
    world.clock.advance(Duration::from_secs(60));
    world.write(insert(90, 3600)).await.unwrap();
    assert_eq!(world.write(insert(91, 3600)).await, Err(StoreError::TooMany { limit: TOKENS_MAX }));
    let dead = token(world.here, world.owner, 1).id;
    world.write(Write::DeleteToken { project: world.here, id: dead.clone() }).await.unwrap();
    assert_eq!(world.write(Write::DeleteToken { project: world.here, id: dead }).await, Err(StoreError::NotFound));
    world.write(insert(91, 3600)).await.unwrap();
}

pub(super) async fn a_principal_has_so_many_bindings_and_no_more(world: World) {
    // The owner holds one already.
    let insert = |number: u32| Write::InsertBinding(binding(world.here, number.into(), world.owner, Role::Auditor));
    for some in (1..BINDINGS_MAX).collect::<Vec<_>>().chunks(250) {
        let writes = some.iter().map(|number| insert(*number)).collect();
        world.store.commit(Tx { writes, lines: vec![line("/bind")], ..Tx::default() }).await.unwrap();
    }
    assert_eq!(world.write(insert(BINDINGS_MAX)).await, Err(StoreError::TooMany { limit: BINDINGS_MAX }));
    assert_eq!(world.store.bindings_of(world.here, world.owner).await.unwrap().len(), BINDINGS_MAX as usize);
}

pub(super) async fn tokens_are_listed_newest_first(world: World) {
    for (number, offset) in [5, 1, 9].into_iter().enumerate() {
        let mut token = token(world.here, world.owner, number as u64);
        token.created_at = Timestamp::from_seconds(NOW.seconds() + offset);
        world.write(Write::InsertToken(token)).await.unwrap();
    }
    let listed = world.store.tokens_of(world.here, world.owner).await.unwrap();
    let offsets: Vec<_> = listed.iter().map(|token| token.created_at.seconds() - NOW.seconds()).collect();
    assert_eq!(offsets, [9, 5, 1]);
}

//! What a name, an id and a prefix resolve to, and what they must not.

use crate::domain::{Connector, ConnectorId, Run, RunId, TokenRecord};
use crate::store::{StoreError, Write};

use super::fixtures::{World, connector, run};

pub(super) async fn a_name_an_id_and_a_unique_prefix_resolve(world: World) {
    let here = world.here;
    let made = world.furnish(here).await;
    let store = &world.store;
    for text in ["source".to_owned(), made.connector.id.to_string(), prefix(&made.connector.id, 4)] {
        assert_eq!(store.resolve_connector(here, &text).await.unwrap(), made.connector, "{text}");
    }
    for text in ["store".to_owned(), made.component.id.to_string(), prefix(&made.component.id, 9)] {
        assert_eq!(store.resolve_component(here, &text).await.unwrap(), made.component, "{text}");
    }
    for text in ["stack".to_owned(), made.stack.id.to_string(), prefix(&made.stack.id, 35)] {
        assert_eq!(store.resolve_stack(here, &text).await.unwrap(), made.stack, "{text}");
    }
    for text in ["ada".to_owned(), made.principal.id.to_string(), prefix(&made.principal.id, 36)] {
        assert_eq!(store.resolve_principal(here, &text).await.unwrap(), made.principal, "{text}");
    }
    for text in [made.binding.id.to_string(), prefix(&made.binding.id, 36)] {
        assert_eq!(store.resolve_binding(here, &text).await.unwrap(), made.binding, "{text}");
    }
    for text in [made.issuance.id.to_string(), prefix(&made.issuance.id, 5)] {
        assert_eq!(store.resolve_issuance(here, &text).await.unwrap(), made.issuance, "{text}");
    }
}

fn prefix(id: &impl std::fmt::Display, length: usize) -> String {
    id.to_string().chars().take(length).collect()
}

pub(super) async fn a_short_a_foreign_and_an_ambiguous_prefix_do_not(world: World) {
    let here = world.here;
    for number in [1, 2] {
        world.add_connector(&connector(here, number, &format!("c-{number}"))).await;
    }
    let id = connector(here, 1, "c-1").id;
    assert_eq!(world.store.resolve_connector(here, &prefix(&id, 8)).await, Err(StoreError::Ambiguous));
    assert_eq!(world.store.resolve_connector(here, &prefix(&id, 3)).await, Err(StoreError::NotFound));
    // One more character tells the two apart, all but the last do not.
    assert_eq!(world.store.resolve_connector(here, &prefix(&id, 35)).await, Err(StoreError::Ambiguous));
    assert_eq!(world.store.resolve_connector(here, &prefix(&id, 36)).await.unwrap().id, id);
    assert_eq!(world.store.resolve_connector(world.there, &prefix(&id, 8)).await, Err(StoreError::NotFound));
}

pub(super) async fn a_name_that_looks_like_a_prefix_goes_first(world: World) {
    let beef = Connector { id: ConnectorId::from_bytes([0xbe; 16]), ..connector(world.here, 1, "first") };
    world.add_connector(&beef).await;
    assert_eq!(world.store.resolve_connector(world.here, "bebe").await.unwrap(), beef);
    let named = connector(world.here, 2, "bebe");
    world.add_connector(&named).await;
    assert_eq!(world.store.resolve_connector(world.here, "bebe").await.unwrap(), named);
}

/// Who names a record like the id of another one leads nobody to it who asks by that id.
pub(super) async fn a_whole_id_goes_before_a_name_that_looks_like_it(world: World) {
    let here = world.here;
    let beef = Connector { id: ConnectorId::from_bytes([0xbe; 16]), ..connector(here, 1, "first") };
    let (id, store) = (beef.id.to_string(), &world.store);
    let named = connector(here, 2, &id);
    world.add_connector(&named).await;
    assert_eq!(store.resolve_connector(here, &id).await, Ok(named.clone()), "there is no other");
    world.add_connector(&beef).await;
    assert_eq!(store.resolve_connector(here, &id).await, Ok(beef));
    let (live, token) = run(here, world.owner, 1, "nightly");
    let (other, others) = run(here, world.owner, 2, "daily");
    let live = Run { id: RunId::from_bytes([0xbe; 16]), ..live };
    let other = Run { name: live.id.to_string().parse().unwrap(), ..other };
    for (run, token) in [(&live, token), (&other, others)] {
        let token = TokenRecord { run: Some(run.id), ..token };
        world.write(Write::InsertRun { run: run.clone(), token }).await.unwrap();
    }
    assert_eq!(store.resolve_run(here, None, &live.id.to_string()).await, Ok(live));
}

pub(super) async fn wildcards_and_quotes_resolve_to_nothing(world: World) {
    let made = world.furnish(world.here).await;
    let id = prefix(&made.connector.id, 4);
    for text in ["%", "____", "source%", "source' OR '1'='1", "", "\0", &format!("{id}%"), &format!("{id}*"), "SOURCE"]
    {
        assert_eq!(world.store.resolve_connector(world.here, text).await, Err(StoreError::NotFound), "{text:?}");
        assert!(matches!(world.store.resolve_token(world.here, text).await, Err(StoreError::NotFound)), "{text:?}");
        assert_eq!(world.store.resolve_binding(world.here, text).await, Err(StoreError::NotFound), "{text:?}");
        assert_eq!(world.store.resolve_issuance(world.here, text).await, Err(StoreError::NotFound), "{text:?}");
    }
}

pub(super) async fn a_token_resolves_by_its_prefix(world: World) {
    let made = world.furnish(world.here).await;
    let second = super::fixtures::token(world.here, made.principal.id, 2);
    world.write(crate::store::Write::InsertToken(second.clone())).await.unwrap();
    let found = async |text: &str| world.store.resolve_token(world.here, text).await.map(|token| token.id);
    assert_eq!(found(&second.id.0).await, Ok(second.id.clone()));
    assert_eq!(found(&second.id.0[..6]).await, Ok(second.id.clone()));
    assert_eq!(found(&second.id.0[..5]).await, Err(StoreError::Ambiguous));
    assert_eq!(found(&second.id.0[..3]).await, Err(StoreError::NotFound));
    let there = world.store.resolve_token(world.there, &second.id.0).await;
    assert!(matches!(there, Err(StoreError::NotFound)));
}

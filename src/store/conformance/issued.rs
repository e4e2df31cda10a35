//! Issuances and keys.

use crate::domain::{ConnectorId, IssuanceState, PrincipalId, RunId, Timestamp};
use crate::sealing::SealedIssuerKey;
use crate::store::{IssuanceFilter, StoreError, Tx, Write};

use super::fixtures::{NOW, World, bytes, first, issuance, issuer_key, kek, line};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

pub(super) async fn issuances_are_listed_newest_first_under_every_filter(world: World) {
    let source = |number: u64| ConnectorId::from_bytes(bytes(0xb1, number));
    let person = |number: u64| PrincipalId::from_bytes(bytes(0xb2, number));
    let run = |number: u64| RunId::from_bytes(bytes(0xb3, number));
    let mut all = Vec::new();
    for number in 0..60_u64 {
        let mut record = issuance(world.here, number, source(number % 3), person(number % 4));
        // Ties in time, and some that are over at 100 s.
        record.issued_at = at(i64::try_from(number / 5).unwrap());
        record.expires_at = at(if number % 2 == 0 { 100 } else { 101 });
        record.run = (number % 5 < 2).then(|| run(number % 5));
        all.push(record);
    }
    let writes = all.iter().cloned().map(Write::InsertIssuance).collect();
    world.store.commit(Tx { writes, lines: vec![line("/fill")], ..Tx::default() }).await.unwrap();
    all.sort_by_key(|record| std::cmp::Reverse((record.issued_at, record.id)));
    for (connector, principal, run, active_at) in [
        (None, None, None, None),
        (Some(source(1)), None, None, None),
        (None, Some(person(2)), None, None),
        (Some(source(1)), Some(person(2)), None, None),
        (None, None, None, Some(at(100))),
        (Some(source(0)), None, None, Some(at(100))),
        (None, Some(person(1)), None, Some(at(100))),
        (None, None, None, Some(at(101))),
        (None, None, Some(run(0)), None),
        (None, None, Some(run(1)), Some(at(100))),
        (Some(source(1)), Some(person(2)), Some(run(0)), None),
    ] {
        let filter = IssuanceFilter { connector, principal, run, active_at };
        let wanted: Vec<_> = all
            .iter()
            .filter(|record| {
                connector.is_none_or(|id| record.connector == id)
                    && principal.is_none_or(|id| record.principal == id)
                    && run.is_none_or(|id| record.run == Some(id))
                    && active_at.is_none_or(|time| record.expires_at > time)
            })
            .cloned()
            .collect();
        let mut found = Vec::new();
        let mut page = first(4);
        loop {
            let one = world.store.issuances(world.here, &filter, &page).await.unwrap();
            found.extend(one.items);
            page.after = one.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted, "{filter:?}");
    }
}

pub(super) async fn an_ended_issuance_is_not_active_and_revoked_is_final(world: World) {
    let made = world.furnish(world.here).await;
    let id = made.issuance.id;
    let end = async |state, seconds| {
        let write = Write::EndIssuance { project: world.here, id, state, ended_at: at(seconds) };
        world.write(write).await.unwrap();
        world.store.issuance(world.here, id).await.unwrap()
    };
    let active = IssuanceFilter { active_at: Some(NOW), ..IssuanceFilter::default() };
    assert_eq!(world.store.issuances(world.here, &active, &first(9)).await.unwrap().items.len(), 1);
    let withdrawn = end(IssuanceState::Withdrawn, 1).await;
    assert_eq!((withdrawn.state, withdrawn.ended_at), (IssuanceState::Withdrawn, Some(at(1))));
    assert!(world.store.issuances(world.here, &active, &first(9)).await.unwrap().items.is_empty());
    assert_eq!(end(IssuanceState::Revoked, 2).await.state, IssuanceState::Revoked);
    let still = end(IssuanceState::Withdrawn, 3).await;
    assert_eq!((still.state, still.ended_at), (IssuanceState::Revoked, Some(at(2))));
}

pub(super) async fn keys_are_kept_and_sealed_values_counted(world: World) {
    let (one, two) = (kek(world.here, 1), kek(world.there, 1));
    world.write(Write::InsertKek(one.clone())).await.unwrap();
    world.write(Write::InsertKek(two.clone())).await.unwrap();
    assert_eq!(world.store.keks().await, Ok(vec![one, two]));
    let nowhere = kek(crate::domain::ProjectId::from_bytes([0x77; 16]), 1);
    assert_eq!(world.write(Write::InsertKek(nowhere)).await, Err(StoreError::NotFound));
    world.furnish(world.here).await;
    assert_eq!(
        (world.store.sealed_values(world.here).await, world.store.sealed_values(world.there).await),
        (Ok(2), Ok(0))
    );
}

pub(super) async fn keys_of_the_issuer_are_kept_changed_in_order_and_one_of_each(world: World) {
    let (one, two, three) = (issuer_key('a'), issuer_key('b'), issuer_key('c'));
    let activate = |key: &SealedIssuerKey, retire: Option<&SealedIssuerKey>, seconds| Write::ActivateIssuerKey {
        id: key.facts.id.clone(),
        retire: retire.map(|key| key.facts.id.clone()),
        at: at(seconds),
    };
    world.write(Write::InsertIssuerKey(one.clone())).await.unwrap();
    assert_eq!(world.store.issuer_keys().await, Ok(vec![one.clone()]));
    // There is one next key at a time, and one that signs.
    assert!(world.write(Write::InsertIssuerKey(two.clone())).await.is_err());
    world.write(activate(&one, None, 1)).await.unwrap();
    world.write(Write::InsertIssuerKey(two.clone())).await.unwrap();
    assert!(world.write(activate(&two, None, 2)).await.is_err());
    assert_eq!(world.write(activate(&one, None, 2)).await, Err(StoreError::Stale));
    assert_eq!(world.write(Write::DeleteIssuerKey(one.facts.id.clone())).await, Err(StoreError::Stale));
    world.write(activate(&two, Some(&one), 3)).await.unwrap();
    let kept = world.store.issuer_keys().await.unwrap();
    let times: Vec<_> = kept.iter().map(|key| (key.facts.activated_at, key.facts.retired_at)).collect();
    assert_eq!(times, [(Some(at(1)), Some(at(3))), (Some(at(3)), None)]);
    assert_eq!(world.write(activate(&three, Some(&two), 4)).await, Err(StoreError::Stale));
    assert_eq!(world.write(Write::DeleteIssuerKey(two.facts.id.clone())).await, Err(StoreError::Stale));
    world.write(Write::DeleteIssuerKey(one.facts.id.clone())).await.unwrap();
    let left: Vec<_> = world.store.issuer_keys().await.unwrap().into_iter().map(|key| key.facts.id).collect();
    assert_eq!(left, [two.facts.id]);
}

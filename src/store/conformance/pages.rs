//! Listings: every item once, in order, whatever the size of a page.

use std::collections::BTreeSet;

use crate::audit::{LineFilter, Outcome, StoredLine, Subject};
use crate::domain::{
    ConnectorId, ConnectorTypeName, Labels, Name, PageAsk, PrincipalId, PrincipalKind, Role, RunId, Timestamp,
};
use crate::store::{StoreError, Tx, Write};

use super::fixtures::{NOW, World, binding, bytes, component, connector, first, labels, line, name, principal, sealed};
use super::lines::as_handed_in;

const COUNT: u64 = 23;

/// Walks all pages with one call; the last has no next.
macro_rules! walk {
    ($size:expr, $page:ident => $list:expr) => {{
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let $page = PageAsk { size: $size, after: after.clone() };
            let page = $list.await.unwrap();
            assert!(page.items.len() <= $size as usize);
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                break items;
            }
        }
    }};
}

pub(super) async fn pages_show_every_record_once_in_order(world: World) {
    let here = world.here;
    for number in 0..COUNT {
        // Written in another order than listed.
        let named = format!("r-{:02}", (number * 7) % COUNT);
        let insert = Write::InsertConnector { connector: connector(here, number, &named), sealed: sealed(1) };
        let also = Write::InsertComponent(component(here, number, &named, None));
        let mut person = principal(here, number + 100, &named);
        person.kind = if number % 2 == 0 { PrincipalKind::User } else { PrincipalKind::ServiceAccount };
        let tx = Tx::with_line(line("/fill")).write(insert).write(also).write(Write::InsertPrincipal(person));
        world.store.commit(tx).await.unwrap();
    }
    let wanted: Vec<Name> = (0..COUNT).map(|at| name(&format!("r-{at:02}"))).collect();
    let none = Labels::default();
    for size in [1, 5, 22, 23, 24] {
        let found = walk!(size, page => world.store.connectors(here, None, &none, &page));
        assert_eq!(found.into_iter().map(|record| record.name).collect::<Vec<_>>(), wanted, "{size}");
        let found = walk!(size, page => world.store.components(here, None, None, &none, &page));
        assert_eq!(found.into_iter().map(|record| record.name).collect::<Vec<_>>(), wanted, "{size}");
        let programs = Some(PrincipalKind::ServiceAccount);
        let found = walk!(size, page => world.store.principals(here, programs, &page));
        assert_eq!(found.len(), 11, "{size}");
    }
}

pub(super) async fn ties_in_time_are_paged_once_each(world: World) {
    for number in 1..COUNT {
        let mut grant = binding(world.here, number, world.owner, Role::Auditor);
        grant.created_at = Timestamp::from_millis(NOW.millis() + i64::try_from(number / 8).unwrap());
        world.write(Write::InsertBinding(grant)).await.unwrap();
    }
    let whole = world.store.bindings(world.here, &first(1000)).await.unwrap();
    assert_eq!((whole.items.len() as u64, whole.next), (COUNT, None));
    assert!(whole.items.is_sorted_by_key(|grant| (grant.created_at, grant.id)));
    for size in [1, 3, 8] {
        let walked = walk!(size, page => world.store.bindings(world.here, &page));
        assert_eq!(walked, whole.items, "{size}");
    }
}

pub(super) async fn labels_and_types_filter_across_pages(world: World) {
    let here = world.here;
    for number in 0..COUNT {
        let mut record = connector(here, number, &format!("r-{number:02}"));
        let team = if number % 3 == 0 { "a" } else { "b" };
        record.labels = labels(&[("team", team), ("x/y.z-1", "it's \"q\""), ("n", &format!("{}", number % 2))]);
        if number % 2 == 0 {
            record.connector_type = ConnectorTypeName::parse("gcp").unwrap();
        }
        let mut part = component(here, number, record.name.as_str(), None);
        part.labels = record.labels.clone();
        world.add_connector(&record).await;
        world.write(Write::InsertComponent(part)).await.unwrap();
    }
    let gcp = ConnectorTypeName::parse("gcp").unwrap();
    let count = async |kind: Option<&ConnectorTypeName>, pairs: &[(&str, &str)]| {
        let wanted = labels(pairs);
        let found = walk!(2, page => world.store.connectors(here, kind, &wanted, &page));
        let names: BTreeSet<_> = found.iter().map(|record| record.name.clone()).collect();
        assert_eq!(names.len(), found.len());
        assert!(found.is_sorted_by_key(|record| record.name.clone()));
        found.len()
    };
    assert_eq!(count(None, &[("team", "a")]).await, 8);
    assert_eq!(count(Some(&gcp), &[("team", "a")]).await, 4);
    assert_eq!(count(Some(&gcp), &[]).await, 12);
    assert_eq!(count(None, &[("n", "1"), ("team", "a"), ("x/y.z-1", "it's \"q\"")]).await, 4);
    assert_eq!(count(None, &[("team", "c")]).await, 0);
    assert_eq!(count(None, &[("team", "a"), ("nobody", "has")]).await, 0);
    let wanted = labels(&[("team", "a"), ("n", "1")]);
    assert_eq!(walk!(3, page => world.store.components(here, None, None, &wanted, &page)).len(), 4);
}

pub(super) async fn a_page_is_bounded_and_its_key_is_checked(world: World) {
    for batch in 0..5 {
        let people = (0..201).map(|at| {
            Write::InsertPrincipal(principal(world.here, 1000 + batch * 201 + at, &format!("p-{batch}-{at}")))
        });
        let tx = Tx { writes: people.collect(), lines: vec![line("/fill")], ..Tx::default() };
        world.store.commit(tx).await.unwrap();
    }
    let page = world.store.principals(world.here, None, &first(u32::MAX)).await.unwrap();
    assert_eq!(page.items.len(), 1000);
    assert!(page.next.is_some());
    assert_eq!(world.store.principals(world.here, None, &first(0)).await.unwrap().items.len(), 1);
    let forged = PageAsk { size: 5, after: Some("' OR 1=1".to_owned()) };
    assert!(matches!(world.store.bindings(world.here, &forged).await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(world.store.lines(&LineFilter::default(), &forged).await, Err(StoreError::Corrupt { .. })));
}

pub(super) async fn lines_are_paged_newest_first_under_every_filter(world: World) {
    let (person, source) = (PrincipalId::from_bytes(bytes(0xa1, 1)), ConnectorId::from_bytes(bytes(0xa2, 1)));
    let (run, other) = (RunId::from_bytes(bytes(0xa3, 1)), RunId::from_bytes(bytes(0xa3, 2)));
    let mut lines = Vec::new();
    for number in 0_u32..1500 {
        let mut line = line("/mint");
        line.at = Timestamp::from_seconds(NOW.seconds() + i64::from(number));
        line.project = Some(if number % 5 == 0 { world.there } else { world.here });
        line.principal = (number % 7 == 0).then_some(person);
        line.connector = (number % 300 == 1).then_some(source);
        line.run = (number % 13 == 2).then_some(run);
        line.subject = (number % 450 == 3).then_some(Subject::Run(run));
        line.outcome = if number % 11 == 0 { Outcome::Denied } else { Outcome::Ok };
        lines.push(line);
    }
    for some in lines.chunks(250) {
        world.store.commit(Tx { lines: some.to_vec(), ..Tx::default() }).await.unwrap();
    }
    let at = |seconds: i64| Some(Timestamp::from_seconds(NOW.seconds() + seconds));
    let all = LineFilter { project: Some(world.here), ..LineFilter::default() };
    for filter in [
        LineFilter { since: at(1), ..LineFilter::default() },
        LineFilter { since: at(1), outcome: Some(Outcome::Denied), ..LineFilter::default() },
        LineFilter { since: at(1), ..all.clone() },
        LineFilter { principal: Some(person), ..all.clone() },
        LineFilter { connector: Some(source), ..all.clone() },
        LineFilter { run: Some(run), ..all.clone() },
        LineFilter { run: Some(run), outcome: Some(Outcome::Denied), since: at(300), ..all.clone() },
        LineFilter { run: Some(other), ..all.clone() },
        LineFilter { outcome: Some(Outcome::Denied), ..all.clone() },
        LineFilter { outcome: Some(Outcome::Failed), ..all.clone() },
        LineFilter { since: at(300), until: at(900), ..all.clone() },
        LineFilter { since: at(300), until: at(300), ..all.clone() },
        LineFilter { until: at(-10), ..all.clone() },
        LineFilter { since: at(9000), ..all.clone() },
        LineFilter { principal: Some(person), outcome: Some(Outcome::Denied), since: at(100), ..all.clone() },
        LineFilter { principal: Some(PrincipalId::from_bytes([0; 16])), ..all.clone() },
    ] {
        let wanted: Vec<_> = lines.iter().rev().filter(|line| fits(&filter, line)).cloned().collect();
        for size in [7, 1000] {
            let found: Vec<StoredLine> = walk!(size, page => world.store.lines(&filter, &page));
            assert!(found.is_sorted_by(|newer, older| newer.seq > older.seq));
            let found: Vec<_> = found.into_iter().map(|stored| as_handed_in(&stored.line)).collect();
            assert!(found == wanted, "{filter:?}: {} of {}", found.len(), wanted.len());
        }
    }
}

fn fits(filter: &LineFilter, line: &crate::audit::Line) -> bool {
    filter.project.is_none_or(|project| line.project == Some(project))
        && filter.principal.is_none_or(|principal| line.principal == Some(principal))
        && filter.connector.is_none_or(|connector| line.connector == Some(connector))
        && filter.run.is_none_or(|run| line.runs().contains(&Some(run)))
        && filter.outcome.is_none_or(|outcome| line.outcome == outcome)
        && filter.since.is_none_or(|since| line.at >= since)
        && filter.until.is_none_or(|until| line.at < until)
}

pub(super) async fn a_clock_that_goes_back_hides_no_line(world: World) {
    let day = 86_400;
    for (number, offset) in [0, -day, -day + 1, 1, day].into_iter().enumerate() {
        let mut line = line(&format!("/m{number}"));
        line.at = Timestamp::from_seconds(NOW.seconds() + 10 * day + offset);
        line.project = Some(world.here);
        world.store.commit(Tx { lines: vec![line; 200], ..Tx::default() }).await.unwrap();
    }
    let since = Some(Timestamp::from_seconds(NOW.seconds() + 10 * day));
    let filter = LineFilter { project: Some(world.here), since, ..LineFilter::default() };
    assert_eq!(walk!(64, page => world.store.lines(&filter, &page)).len(), 600);
    let filter = LineFilter { project: Some(world.here), until: since, ..LineFilter::default() };
    assert_eq!(walk!(64, page => world.store.lines(&filter, &page)).len(), 400);
}

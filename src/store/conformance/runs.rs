//! Runs, each with its one token.

use std::time::Duration;

use crate::domain::{PrincipalId, Run, StackId, Timestamp};
use crate::store::limits::{RUNS_MAX, TOKENS_MAX};
use crate::store::{Guard, RunFilter, StoreError, Tx, Write};

use super::fixtures::{NOW, World, bytes, first, line, principal, run, token};

const GONE: StoreError = StoreError::NotFound;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

impl World {
    async fn start(&self, number: u64, named: &str) -> Run {
        let (run, token) = run(self.here, self.owner, number, named);
        self.write(Write::InsertRun { run: run.clone(), token }).await.unwrap();
        run
    }

    async fn finish(&self, run: &Run, seconds: i64) {
        self.write(Write::FinishRun { project: run.project, id: run.id, at: at(seconds) }).await.unwrap();
    }
}

pub(super) async fn a_run_comes_with_its_token_and_is_read_back_whole(world: World) {
    let (run, token) = run(world.here, world.owner, 1, "nightly");
    let revision = world.write(Write::InsertRun { run: run.clone(), token: token.clone() }).await.unwrap().revision;
    assert_eq!(world.store.run(world.here, run.id).await, Ok(run.clone()));
    assert!(world.store.token(&run.token).await.is_ok_and(|found| found == token));
    let told = world.store.changes_after(crate::store::Revision(revision.0 - 1), 100).await.unwrap();
    assert!(told.iter().any(|change| (change.noun.as_str(), &change.id) == ("run", &run.id.to_string())));
    // Neither goes without the other, and they belong together.
    let alone = world.write(Write::InsertToken(token.clone())).await;
    assert_eq!(alone, Err(StoreError::Corrupt { what: "the token of a run without the run" }));
    let (other, theirs) = super::fixtures::run(world.here, world.owner, 2, "other");
    for (run, token) in [
        (other.clone(), token.clone()),
        (other.clone(), crate::domain::TokenRecord { run: None, ..theirs.clone() }),
        (Run { principal: PrincipalId::from_bytes(bytes(9, 9)), ..other.clone() }, theirs.clone()),
    ] {
        let odd = world.write(Write::InsertRun { run, token }).await;
        assert_eq!(odd, Err(StoreError::Corrupt { what: "a run with the token of another" }));
    }
    assert_eq!(world.store.run(world.here, other.id).await, Err(GONE));
    assert!(world.store.token(&theirs.id).await.is_err_and(|error| error == GONE), "nothing is left of it");
}

pub(super) async fn a_renewed_run_has_the_longest_token_and_a_finished_one_has_none(world: World) {
    let run = world.start(1, "nightly").await;
    let renew = |seconds| Write::RenewRun { project: world.here, id: run.id, token_expires_at: at(seconds) };
    let ends = async || {
        let (run, token) =
            (world.store.run(world.here, run.id).await.unwrap(), world.store.token(&run.token).await.ok().unwrap());
        assert_eq!(run.token_expires_at, token.expires_at);
        run.token_expires_at
    };
    // Whoever was second with less takes nothing away, and nobody goes beyond the end.
    for (asked, wanted) in [(2400, 2400), (2000, 2400), (3600, 3600), (9000, 3600)] {
        world.write(renew(asked)).await.unwrap();
        assert_eq!(ends().await, at(wanted), "{asked}");
    }
    world.finish(&run, 60).await;
    world.finish(&run, 90).await;
    assert!(world.store.token(&run.token).await.is_err_and(|error| error == GONE));
    assert_eq!(world.store.run(world.here, run.id).await.unwrap().finished_at, Some(at(60)), "finished once");
    assert_eq!(world.write(renew(3000)).await, Err(StoreError::Stale));
}

pub(super) async fn what_needs_a_run_that_goes_on_is_not_written_once_it_is_finished(world: World) {
    let run = world.start(1, "nightly").await;
    let guarded = async |project, id| {
        let tx = Tx::with_line(line("/guarded")).guard(Guard::RunUnfinished { project, id });
        world.store.commit(tx).await.map(|_| ())
    };
    assert_eq!(guarded(world.here, run.id).await, Ok(()));
    assert_eq!(guarded(world.there, run.id).await, Err(GONE));
    world.finish(&run, 60).await;
    assert_eq!(guarded(world.here, run.id).await, Err(StoreError::Stale));
}

pub(super) async fn the_token_of_a_run_is_neither_listed_counted_nor_revoked_as_others_are(world: World) {
    for number in 0..u64::from(TOKENS_MAX) + 4 {
        world.start(number, "many").await;
    }
    let run = world.start(90, "one").await;
    assert!(world.store.tokens_of(world.here, world.owner).await.unwrap().is_empty());
    assert!(world.store.resolve_token(world.here, &run.token.0).await.is_err_and(|error| error == GONE));
    let revoke = Write::DeleteToken { project: world.here, id: run.token.clone() };
    assert_eq!(world.write(revoke).await, Err(GONE));
    world.write(Write::InsertToken(token(world.here, world.owner, 1))).await.unwrap();
    assert!(world.store.token(&run.token).await.is_ok());
}

pub(super) async fn a_name_is_of_the_live_run_then_of_the_last_and_of_one_principal_when_asked(world: World) {
    let resolve = async |who: Option<PrincipalId>, text: &str| {
        world.store.resolve_run(world.here, who, text).await.map(|run| run.id)
    };
    let other = principal(world.here, 1, "ada");
    world.write(Write::InsertPrincipal(other.clone())).await.unwrap();
    let one = world.start(1, "nightly").await;
    assert_eq!(resolve(None, "nightly").await, Ok(one.id));
    let (two, token) = run(world.here, other.id, 2, "nightly");
    world.write(Write::InsertRun { run: two.clone(), token }).await.unwrap();
    assert_eq!(resolve(None, "nightly").await, Err(StoreError::Ambiguous));
    assert_eq!(resolve(Some(world.owner), "nightly").await, Ok(one.id));
    assert_eq!(resolve(Some(other.id), "nightly").await, Ok(two.id));
    for text in [two.id.to_string(), two.id.to_string()[..23].to_owned()] {
        let wanted = if text.len() == 36 { Ok(two.id) } else { Err(StoreError::Ambiguous) };
        assert_eq!(resolve(None, &text).await, wanted, "{text}");
        assert_eq!(resolve(Some(other.id), &text).await, Ok(two.id));
        let foreign = if text.len() == 36 { Err(GONE) } else { Ok(one.id) };
        assert_eq!(resolve(Some(world.owner), &text).await, foreign);
    }
    world.finish(&one, 0).await;
    assert_eq!(resolve(None, "nightly").await, Ok(two.id), "the one that goes on");
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(resolve(Some(world.owner), "nightly").await, Ok(one.id), "the last one");
    for bad in ["nobody", "", "%", "n*"] {
        assert_eq!(resolve(None, bad).await, Err(GONE), "{bad:?}");
    }
}

pub(super) async fn runs_are_listed_newest_first_under_every_filter(world: World) {
    let other = principal(world.here, 1, "ada");
    world.write(Write::InsertPrincipal(other.clone())).await.unwrap();
    let stack = |number: u64| StackId::from_bytes(bytes(0xc1, number));
    let mut all = Vec::new();
    for number in 0..30_u64 {
        let who = if number % 3 == 0 { other.id } else { world.owner };
        let (mut record, token) = run(world.here, who, number, "any");
        record.stack = stack(number % 2);
        // Ties in time, and some that end sooner.
        record.started_at = at(i64::try_from(number / 4).unwrap());
        record.ends_at = at(if number % 5 == 0 { 100 } else { 3600 });
        record.token_expires_at = at(100);
        let token = crate::domain::TokenRecord { expires_at: at(100), ..token };
        world.write(Write::InsertRun { run: record.clone(), token }).await.unwrap();
        if number % 7 == 0 {
            world.finish(&record, 50).await;
            record = record.finished(at(50));
        }
        all.push(record);
    }
    all.sort_by_key(|record| std::cmp::Reverse((record.started_at, record.id)));
    for (principal, on, live_at) in [
        (None, None, None),
        (Some(other.id), None, None),
        (None, Some(stack(1)), None),
        (None, None, Some(at(60))),
        (Some(world.owner), Some(stack(0)), Some(at(100))),
    ] {
        let filter = RunFilter { principal, stack: on, live_at };
        let wanted: Vec<_> = all
            .iter()
            .filter(|run| principal.is_none_or(|id| run.principal == id) && on.is_none_or(|id| run.stack == id))
            .filter(|run| live_at.is_none_or(|time| run.over_at() > time))
            .cloned()
            .collect();
        let (mut found, mut page) = (Vec::new(), first(4));
        loop {
            let one = world.store.runs(world.here, &filter, &page).await.unwrap();
            found.extend(one.items);
            page.after = one.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted, "{filter:?}");
    }
}

pub(super) async fn a_principal_has_so_many_live_runs_and_no_more(world: World) {
    let insert = |number: u64| {
        let (run, token) = run(world.here, world.owner, number, "many");
        Write::InsertRun { run, token }
    };
    for some in (0..u64::from(RUNS_MAX)).collect::<Vec<_>>().chunks(250) {
        let writes = some.iter().map(|number| insert(*number)).collect();
        world.store.commit(Tx { writes, lines: vec![line("/start")], ..Tx::default() }).await.unwrap();
    }
    assert_eq!(world.write(insert(5000)).await, Err(StoreError::TooMany { limit: RUNS_MAX }));
    let (one, _) = run(world.here, world.owner, 1, "many");
    world.finish(&one, 0).await;
    world.write(insert(5000)).await.unwrap();
    assert_eq!(world.write(insert(5001)).await, Err(StoreError::TooMany { limit: RUNS_MAX }));
    world.clock.advance(Duration::from_secs(3600));
    world.write(insert(5001)).await.unwrap();
    // Long after, what was over is forgotten.
    world.clock.advance(Duration::from_secs(91 * 24 * 3600));
    world.write(insert(5002)).await.unwrap();
    let kept = world.store.runs(world.here, &RunFilter::default(), &first(1000)).await.unwrap().items.len();
    assert!(kept < RUNS_MAX as usize, "{kept}");
}

pub(super) async fn a_run_of_another_project_is_not_found(world: World) {
    let made = world.furnish(world.there).await;
    let (theirs, token) = run(world.there, made.principal.id, 1, "nightly");
    world.write(Write::InsertRun { run: theirs.clone(), token }).await.unwrap();
    let (project, id) = (world.here, theirs.id);
    assert_eq!(world.store.run(project, id).await, Err(GONE));
    for text in [id.to_string(), "nightly".to_owned()] {
        assert_eq!(world.store.resolve_run(project, None, &text).await, Err(GONE));
        assert_eq!(world.store.resolve_run(project, Some(made.principal.id), &text).await, Err(GONE));
    }
    let of_theirs = RunFilter { principal: Some(made.principal.id), ..RunFilter::default() };
    for filter in [RunFilter::default(), of_theirs] {
        assert!(world.store.runs(project, &filter, &first(10)).await.unwrap().items.is_empty());
    }
    assert_eq!(world.write(Write::RenewRun { project, id, token_expires_at: at(3000) }).await, Err(GONE));
    assert_eq!(world.write(Write::FinishRun { project, id, at: at(1) }).await, Err(GONE));
    let (run, token) = run(project, made.principal.id, 3, "thief");
    assert_eq!(world.write(Write::InsertRun { run, token }).await, Err(GONE), "of a principal of there");
    assert_eq!(world.store.run(world.there, id).await, Ok(theirs));
}

pub(super) async fn a_deleted_principal_takes_the_tokens_of_its_runs_along(world: World) {
    let made = world.furnish(world.here).await;
    let (run, token) = run(world.here, made.principal.id, 1, "nightly");
    world.write(Write::InsertRun { run: run.clone(), token }).await.unwrap();
    world.write(Write::DeletePrincipal { project: world.here, id: made.principal.id }).await.unwrap();
    assert!(world.store.token(&run.token).await.is_err_and(|error| error == GONE));
    assert_eq!(world.store.run(world.here, run.id).await, Ok(run.clone()), "the record stays");
    world.clock.advance(Duration::from_secs(91 * 24 * 3600));
    world.start(2, "another").await;
    assert_eq!(world.store.run(world.here, run.id).await, Err(GONE), "not for ever: somebody else's start forgets it");
}

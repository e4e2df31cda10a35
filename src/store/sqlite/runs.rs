//! Runs, each with its one token: renewed with it, and gone with its end.

use async_trait::async_trait;
use rusqlite::{Connection as Database, named_params, params};

use crate::domain::{
    Labels, Name, Page, PageAsk, Principal, PrincipalId, ProjectId, Run, RunId, Timestamp, TokenRecord,
};
use crate::store::limits::{RUNS_KEPT_MS, RUNS_MAX};
use crate::store::{RunFilter, Runs, StoreError};

use super::columns::{id_range, only, page_of, parse_time_key, rows_for, time_key, to_body};
use super::failure::Failure;
use super::guarded::Asked;
use super::named::{self, Named, NamedSql, named_sql, read_bodies};
use super::work::Work;
use super::{SqliteStore, tokens};

/// Old runs that are forgotten at a time, so that no caller waits for it.
const PURGED_AT_A_TIME: u32 = 100;

impl Named for Run {
    const NOUN: &'static str = "run";
    // By name it is not looked up with these: several may have it.
    const SQL: NamedSql = named_sql!("runs");
    fn project(&self) -> ProjectId {
        self.project
    }
    fn name(&self) -> &Name {
        &self.name
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
}

#[async_trait]
impl Runs for SqliteStore {
    async fn run(&self, project: ProjectId, id: RunId) -> Result<Run, StoreError> {
        self.read_one(Asked::id(project, id), move |database| named::find(database, project, id.as_bytes())).await
    }

    async fn resolve_run(
        &self,
        project: ProjectId,
        principal: Option<PrincipalId>,
        text: &str,
    ) -> Result<Run, StoreError> {
        let (text, now) = (text.to_owned(), self.now());
        let asked = Asked { principal, ..Asked::text(project, &text) };
        self.read_one(asked, move |database| resolve(database, project, principal, &text, now)).await
    }

    async fn runs(&self, project: ProjectId, filter: &RunFilter, page: &PageAsk) -> Result<Page<Run>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.browse(move |database| list(database, project, &filter, &page)).await
    }
}

/// A whole id is that run's. A name is of the run that goes on under it; when
/// none does, of the last one that did.
fn resolve(
    database: &Database,
    project: ProjectId,
    principal: Option<PrincipalId>,
    text: &str,
    now: Timestamp,
) -> Result<Run, StoreError> {
    const LIVE: &str = "SELECT body FROM runs WHERE project = :project AND name = :name AND over_at > :now \
                        AND (:principal IS NULL OR principal = :principal) LIMIT 2";
    const LAST: &str = "SELECT body FROM runs WHERE project = :project AND name = :name AND over_at <= :now \
                        AND (:principal IS NULL OR principal = :principal) ORDER BY started_at DESC, id DESC LIMIT 1";
    const BY_PREFIX: &str = "SELECT body FROM runs WHERE project = :project AND id BETWEEN :low AND :high \
                             AND (:principal IS NULL OR principal = :principal) LIMIT 2";
    let principal = principal.map(|id| *id.as_bytes());
    let ids = id_range(text);
    let by_ids = |(low, high): ([u8; 16], [u8; 16])| {
        let bound =
            named_params! { ":project": project.as_bytes(), ":low": low, ":high": high, ":principal": principal };
        only(read_bodies(&mut database.prepare_cached(BY_PREFIX)?, bound)?)
    };
    if let Some(whole) = ids.filter(|(low, high)| low == high) {
        match by_ids(whole) {
            Err(StoreError::NotFound) => {}
            found => return found,
        }
    }
    if text.parse::<Name>().is_ok() {
        for sql in [LIVE, LAST] {
            let bound = named_params! {
                ":project": project.as_bytes(), ":name": text, ":now": now.millis(), ":principal": principal,
            };
            match only(read_bodies(&mut database.prepare_cached(sql)?, bound)?) {
                Err(StoreError::NotFound) => {}
                found => return found,
            }
        }
    }
    by_ids(ids.ok_or(StoreError::NotFound)?)
}

fn list(database: &Database, project: ProjectId, filter: &RunFilter, page: &PageAsk) -> Result<Page<Run>, StoreError> {
    // Two statements for two indexes to walk along.
    const ALL: &str = "SELECT body FROM runs WHERE project = :project AND :principal IS NULL \
                       AND (:stack IS NULL OR stack = :stack) AND (:live_at IS NULL OR over_at > :live_at) \
                       AND (started_at, id) < (:at, :id) ORDER BY started_at DESC, id DESC LIMIT :rows";
    const OF_PRINCIPAL: &str = "SELECT body FROM runs WHERE principal = :principal AND project = :project \
                                AND (:stack IS NULL OR stack = :stack) AND (:live_at IS NULL OR over_at > :live_at) \
                                AND (started_at, id) < (:at, :id) ORDER BY started_at DESC, id DESC LIMIT :rows";
    let sql = if filter.principal.is_some() { OF_PRINCIPAL } else { ALL };
    let (at, id) = page.after.as_deref().map_or(Ok((i64::MAX, [0xff; 16])), parse_time_key)?;
    let bound = named_params! {
        ":project": project.as_bytes(),
        ":principal": filter.principal.map(|id| *id.as_bytes()),
        ":stack": filter.stack.map(|id| *id.as_bytes()),
        ":live_at": filter.live_at.map(Timestamp::millis),
        ":at": at, ":id": id, ":rows": rows_for(page),
    };
    let items = read_bodies(&mut database.prepare_cached(sql)?, bound)?;
    Ok(page_of(items, page, |run: &Run| time_key(run.started_at, run.id.as_bytes())))
}

pub(super) fn insert(work: &mut Work<'_>, run: &Run, token: &TokenRecord) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO runs \
                          (id, project, principal, stack, name, started_at, over_at, body) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let fits = token.run == Some(run.id)
        && (&token.id, token.project, token.principal) == (&run.token, run.project, run.principal);
    if !fits {
        return Err(StoreError::Corrupt { what: "a run with the token of another" }.into());
    }
    named::find::<Principal>(work.database, run.project, run.principal.as_bytes())?;
    purge(work, run)?;
    check_count(work, run)?;
    work.count_one(run.project, Run::NOUN)?;
    work.database.prepare_cached(INSERT)?.execute(params![
        run.id.as_bytes(),
        run.project.as_bytes(),
        run.principal.as_bytes(),
        run.stack.as_bytes(),
        run.name.as_str(),
        run.started_at.millis(),
        run.over_at().millis(),
        to_body(run)?,
    ])?;
    tokens::insert_of_run(work, token)?;
    work.changed(run.project, Run::NOUN, run.id);
    Ok(())
}

fn check_count(work: &Work<'_>, run: &Run) -> Result<(), Failure> {
    const LIVE: &str = "SELECT count(*) FROM runs WHERE principal = ?1 AND over_at > ?2";
    let bound = params![run.principal.as_bytes(), work.now.millis()];
    let live: u32 = work.database.prepare_cached(LIVE)?.query_row(bound, |row| row.get(0))?;
    if live < RUNS_MAX { Ok(()) } else { Err(StoreError::TooMany { limit: RUNS_MAX }.into()) }
}

/// Forgets what was over long ago, whoever started it: also who is gone. Ledger
/// and issuances still name it.
fn purge(work: &mut Work<'_>, run: &Run) -> Result<(), Failure> {
    const OLD: &str = "DELETE FROM runs WHERE id IN \
                       (SELECT id FROM runs WHERE project = ?1 AND over_at < ?2 LIMIT ?3) RETURNING id";
    let oldest = work.now.millis().saturating_sub(RUNS_KEPT_MS);
    let bound = params![run.project.as_bytes(), oldest, PURGED_AT_A_TIME];
    let mut statement = work.database.prepare_cached(OLD)?;
    let gone: Result<Vec<RunId>, _> = statement.query_map(bound, |row| Ok(RunId::from_bytes(row.get(0)?)))?.collect();
    for id in gone? {
        work.uncount_one(run.project, Run::NOUN)?;
        work.forgotten(Run::NOUN, id);
    }
    Ok(())
}

/// Several may renew at once: the longest counts.
pub(super) fn renew(
    work: &mut Work<'_>,
    project: ProjectId,
    id: RunId,
    token_expires_at: Timestamp,
) -> Result<(), Failure> {
    work.check_seal(Run::NOUN, id)?;
    let old: Run = named::find(work.database, project, id.as_bytes())?;
    if old.finished_at.is_some() {
        return Err(StoreError::Stale.into());
    }
    let until = token_expires_at.max(old.token_expires_at).min(old.ends_at);
    let run = Run { token_expires_at: until, ..old };
    tokens::extend_of_run(work, &run)?;
    replace(work, &run)
}

pub(super) fn finish(work: &mut Work<'_>, project: ProjectId, id: RunId, at: Timestamp) -> Result<(), Failure> {
    work.check_seal(Run::NOUN, id)?;
    let old: Run = named::find(work.database, project, id.as_bytes())?;
    if old.finished_at.is_some() {
        return Ok(());
    }
    tokens::delete_of_run(work, project, id)?;
    replace(work, &old.finished(at))
}

fn replace(work: &mut Work<'_>, run: &Run) -> Result<(), Failure> {
    const UPDATE: &str = "UPDATE runs SET over_at = ?3, body = ?4 WHERE project = ?1 AND id = ?2";
    let bound = params![run.project.as_bytes(), run.id.as_bytes(), run.over_at().millis(), to_body(run)?];
    work.database.prepare_cached(UPDATE)?.execute(bound)?;
    work.changed(run.project, Run::NOUN, run.id);
    Ok(())
}

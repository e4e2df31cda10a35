//! Issuances: the records of mints.

use async_trait::async_trait;
use rusqlite::{Connection as Database, named_params, params};

use crate::domain::{Issuance, IssuanceId, IssuanceState, Page, PageAsk, ProjectId, Timestamp};
use crate::store::{IssuanceFilter, Issuances, StoreError};

use super::SqliteStore;
use super::columns::{from_body, id_range, only, page_of, parse_time_key, rows_for, time_key, to_body};
use super::failure::Failure;
use super::named::read_bodies;
use super::work::Work;

#[async_trait]
impl Issuances for SqliteStore {
    async fn issuance(&self, project: ProjectId, id: IssuanceId) -> Result<Issuance, StoreError> {
        self.read(move |database| find(database, project, id)).await
    }

    async fn resolve_issuance(&self, project: ProjectId, text: &str) -> Result<Issuance, StoreError> {
        const RESOLVE: &str = "SELECT body FROM issuances WHERE project = ?1 AND id BETWEEN ?2 AND ?3 LIMIT 2";
        let (low, high) = id_range(text).ok_or(StoreError::NotFound)?;
        self.read(move |database| {
            only(read_bodies(&mut database.prepare_cached(RESOLVE)?, params![project.as_bytes(), low, high])?)
        })
        .await
    }

    async fn issuances(
        &self,
        project: ProjectId,
        filter: &IssuanceFilter,
        page: &PageAsk,
    ) -> Result<Page<Issuance>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.browse(move |database| list(database, project, &filter, &page)).await
    }

    async fn issuances_to_end(
        &self,
        project: ProjectId,
        filter: &IssuanceFilter,
        page: &PageAsk,
    ) -> Result<Page<Issuance>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |database| list(database, project, &filter, &page)).await
    }
}

fn find(database: &Database, project: ProjectId, id: IssuanceId) -> Result<Issuance, StoreError> {
    const FIND: &str = "SELECT body FROM issuances WHERE project = ?1 AND id = ?2";
    let bound = params![project.as_bytes(), id.as_bytes()];
    let body: String = database.prepare_cached(FIND)?.query_row(bound, |row| row.get(0))?;
    from_body(&body)
}

fn list(
    database: &Database,
    project: ProjectId,
    filter: &IssuanceFilter,
    page: &PageAsk,
) -> Result<Page<Issuance>, StoreError> {
    // Four statements for four indexes to walk along.
    const ALL: &str = "SELECT body FROM issuances WHERE project = :project \
                       AND :connector IS NULL AND :principal IS NULL AND :run IS NULL AND (issued_at, id) < (:at, :id) \
                       AND (:active_at IS NULL OR (expires_at > :active_at AND ended = 0)) \
                       ORDER BY issued_at DESC, id DESC LIMIT :rows";
    const OF_CONNECTOR: &str = "SELECT body FROM issuances WHERE connector = :connector AND project = :project \
                                AND :run IS NULL AND (:principal IS NULL OR principal = :principal) \
                                AND (issued_at, id) < (:at, :id) \
                                AND (:active_at IS NULL OR (expires_at > :active_at AND ended = 0)) \
                                ORDER BY issued_at DESC, id DESC LIMIT :rows";
    const OF_PRINCIPAL: &str = "SELECT body FROM issuances WHERE principal = :principal AND project = :project \
                                AND :run IS NULL AND (:connector IS NULL OR connector = :connector) \
                                AND (issued_at, id) < (:at, :id) \
                                AND (:active_at IS NULL OR (expires_at > :active_at AND ended = 0)) \
                                ORDER BY issued_at DESC, id DESC LIMIT :rows";
    const OF_RUN: &str = "SELECT body FROM issuances WHERE run = :run AND project = :project \
                          AND (:connector IS NULL OR connector = :connector) \
                          AND (:principal IS NULL OR principal = :principal) AND (issued_at, id) < (:at, :id) \
                          AND (:active_at IS NULL OR (expires_at > :active_at AND ended = 0)) \
                          ORDER BY issued_at DESC, id DESC LIMIT :rows";
    let sql = match (filter.run, filter.connector, filter.principal) {
        (Some(_), _, _) => OF_RUN,
        (None, Some(_), _) => OF_CONNECTOR,
        (None, None, Some(_)) => OF_PRINCIPAL,
        (None, None, None) => ALL,
    };
    let (at, id) = page.after.as_deref().map_or(Ok((i64::MAX, [0xff; 16])), parse_time_key)?;
    let bound = named_params! {
        ":project": project.as_bytes(),
        ":connector": filter.connector.map(|id| *id.as_bytes()),
        ":principal": filter.principal.map(|id| *id.as_bytes()),
        ":run": filter.run.map(|id| *id.as_bytes()),
        ":active_at": filter.active_at.map(Timestamp::millis),
        ":at": at, ":id": id, ":rows": rows_for(page),
    };
    let items = read_bodies(&mut database.prepare_cached(sql)?, bound)?;
    Ok(page_of(items, page, |issuance: &Issuance| time_key(issuance.issued_at, issuance.id.as_bytes())))
}

pub(super) fn insert(work: &Work<'_>, issuance: &Issuance) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO issuances \
                          (id, project, connector, principal, run, issued_at, expires_at, ended, body) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    work.database.prepare_cached(INSERT)?.execute(params![
        issuance.id.as_bytes(),
        issuance.project.as_bytes(),
        issuance.connector.as_bytes(),
        issuance.principal.as_bytes(),
        issuance.run.map(|id| *id.as_bytes()),
        issuance.issued_at.millis(),
        issuance.expires_at.millis(),
        issuance.state != IssuanceState::Active,
        to_body(issuance)?,
    ])?;
    Ok(())
}

/// What the cloud refuses already stays `revoked`.
pub(super) fn end(
    work: &Work<'_>,
    project: ProjectId,
    id: IssuanceId,
    state: IssuanceState,
    ended_at: Timestamp,
) -> Result<(), Failure> {
    const UPDATE: &str = "UPDATE issuances SET ended = ?3, body = ?4 WHERE project = ?1 AND id = ?2";
    let mut issuance = find(work.database, project, id)?;
    if issuance.state == IssuanceState::Revoked {
        return Ok(());
    }
    issuance.state = state;
    issuance.ended_at = Some(ended_at);
    let ended = state != IssuanceState::Active;
    let bound = params![project.as_bytes(), id.as_bytes(), ended, to_body(&issuance)?];
    work.database.prepare_cached(UPDATE)?.execute(bound)?;
    Ok(())
}

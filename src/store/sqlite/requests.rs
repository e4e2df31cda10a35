//! Answers that are kept, so that the same request is done once.

use async_trait::async_trait;
use rusqlite::{Connection as Database, OptionalExtension, params};

use crate::domain::{PrincipalId, ProjectId, RequestId, Timestamp};
use crate::store::limits::ANSWERS_KEPT_MS;
use crate::store::{Remembered, Requests, StoreError};

use super::SqliteStore;
use super::failure::Failure;
use super::work::Work;

/// Old answers that are deleted at a time, so that no caller waits for it.
const PURGED_AT_A_TIME: u32 = 500;

#[async_trait]
impl Requests for SqliteStore {
    async fn recall(
        &self,
        project: ProjectId,
        principal: PrincipalId,
        request_id: RequestId,
    ) -> Result<Option<Remembered>, StoreError> {
        let oldest = oldest(self.now());
        self.read(move |database| recall(database, project, principal, request_id, oldest)).await
    }
}

/// What is older is forgotten.
fn oldest(now: Timestamp) -> i64 {
    now.millis().saturating_sub(ANSWERS_KEPT_MS)
}

fn recall(
    database: &Database,
    project: ProjectId,
    principal: PrincipalId,
    request_id: RequestId,
    oldest: i64,
) -> Result<Option<Remembered>, StoreError> {
    const RECALL: &str = "SELECT body_digest, response, at FROM requests \
                          WHERE project = ?1 AND principal = ?2 AND request_id = ?3 AND at > ?4";
    let bound = params![project.as_bytes(), principal.as_bytes(), request_id.as_bytes(), oldest];
    let mut statement = database.prepare_cached(RECALL)?;
    let found = statement.query_row(bound, |row| {
        let (body_digest, response) = (row.get(0)?, row.get(1)?);
        let at = Timestamp::from_millis(row.get(2)?);
        Ok(Remembered { project, principal, request_id, body_digest, response, at })
    });
    Ok(found.optional()?)
}

/// Before anything of a transaction is done: whose request was done before
/// is told so, and not that a name is taken.
pub(super) fn check_unused(work: &Work<'_>, wanted: &Remembered) -> Result<(), Failure> {
    let oldest = oldest(work.now);
    match recall(work.database, wanted.project, wanted.principal, wanted.request_id, oldest)? {
        Some(_) => Err(StoreError::RequestIdUsed.into()),
        None => Ok(()),
    }
}

pub(super) fn remember(work: &Work<'_>, answer: &Remembered) -> Result<(), Failure> {
    // Replaces only what is forgotten already.
    const INSERT: &str = "INSERT OR REPLACE INTO requests (project, principal, request_id, body_digest, response, at) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    work.database.prepare_cached(INSERT)?.execute(params![
        answer.project.as_bytes(),
        answer.principal.as_bytes(),
        answer.request_id.as_bytes(),
        answer.body_digest,
        answer.response,
        answer.at.millis(),
    ])?;
    Ok(())
}

/// Deletes some of what is forgotten.
pub(super) fn purge(database: &Database, now: Timestamp) -> Result<(), Failure> {
    const PURGE: &str = "DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests WHERE at <= ?1 LIMIT ?2)";
    database.prepare_cached(PURGE)?.execute(params![oldest(now), PURGED_AT_A_TIME])?;
    Ok(())
}

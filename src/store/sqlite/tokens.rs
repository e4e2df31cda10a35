//! Tokens: public parts and digests. Those of runs are found by their public
//! part alone: they are listed, counted and revoked with their run.

use async_trait::async_trait;
use rusqlite::{Connection as Database, OptionalExtension, Row, params};

use crate::domain::{Principal, PrincipalId, ProjectId, Run, RunId, Timestamp, TokenDigest, TokenId, TokenRecord};
use crate::store::limits::{EXPIRED_TOKENS_KEPT_MS, ID_PREFIX_LENGTH_MIN, TOKENS_MAX};
use crate::store::{StoreError, Tokens};

use super::SqliteStore;
use super::columns::only;
use super::failure::Failure;
use super::guarded::Asked;
use super::named;
use super::work::Work;

pub(super) const NOUN: &str = "token";
/// Live and recently expired ones of a principal that are listed.
const LISTED_MAX: i64 = 1000;

#[async_trait]
impl Tokens for SqliteStore {
    async fn token(&self, id: &TokenId) -> Result<TokenRecord, StoreError> {
        const FIND: &str = "SELECT id, project, principal, digest, description, created_at, expires_at, created_by, run \
                            FROM tokens WHERE id = ?1";
        let id = id.clone();
        let asked = Asked { project: None, text: Some(id.0.clone()), principal: None };
        self.read_one(asked, move |database| Ok(database.prepare_cached(FIND)?.query_row([&id.0], record)?)).await
    }

    async fn resolve_token(&self, project: ProjectId, text: &str) -> Result<TokenRecord, StoreError> {
        let text = text.to_owned();
        self.read_one(Asked::text(project, &text), move |database| resolve(database, project, &text)).await
    }

    async fn tokens_of(&self, project: ProjectId, principal: PrincipalId) -> Result<Vec<TokenRecord>, StoreError> {
        self.browse(move |database| list(database, project, principal)).await
    }
}

fn resolve(database: &Database, project: ProjectId, text: &str) -> Result<TokenRecord, StoreError> {
    // `{` comes after every character of a public part.
    const RESOLVE: &str = "SELECT id, project, principal, digest, description, created_at, expires_at, created_by, run \
                           FROM tokens WHERE id >= ?2 AND id < ?2 || '{' AND project = ?1 AND run IS NULL \
                           LIMIT 2";
    if text.len() < ID_PREFIX_LENGTH_MIN || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(StoreError::NotFound);
    }
    let mut statement = database.prepare_cached(RESOLVE)?;
    let found: Result<Vec<TokenRecord>, _> = statement.query_map(params![project.as_bytes(), text], record)?.collect();
    only(found?)
}

fn list(database: &Database, project: ProjectId, principal: PrincipalId) -> Result<Vec<TokenRecord>, StoreError> {
    const LIST: &str = "SELECT id, project, principal, digest, description, created_at, expires_at, created_by, run \
                        FROM tokens WHERE principal = ?2 AND project = ?1 AND run IS NULL \
                        ORDER BY created_at DESC, id DESC LIMIT ?3";
    let mut statement = database.prepare_cached(LIST)?;
    let bound = params![project.as_bytes(), principal.as_bytes(), LISTED_MAX];
    let found: Result<Vec<TokenRecord>, _> = statement.query_map(bound, record)?.collect();
    Ok(found?)
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    Ok(TokenRecord {
        id: TokenId(row.get(0)?),
        project: ProjectId::from_bytes(row.get(1)?),
        principal: PrincipalId::from_bytes(row.get(2)?),
        digest: TokenDigest(row.get(3)?),
        description: row.get(4)?,
        created_at: Timestamp::from_millis(row.get(5)?),
        expires_at: Timestamp::from_millis(row.get(6)?),
        created_by: row.get::<_, Option<[u8; 16]>>(7)?.map(PrincipalId::from_bytes),
        run: row.get::<_, Option<[u8; 16]>>(8)?.map(RunId::from_bytes),
    })
}

pub(super) fn insert(work: &mut Work<'_>, token: &TokenRecord) -> Result<(), Failure> {
    if token.run.is_some() {
        return Err(StoreError::Corrupt { what: "the token of a run without the run" }.into());
    }
    named::find::<Principal>(work.database, token.project, token.principal.as_bytes())?;
    purge_expired(work, token)?;
    check_count(work, token)?;
    write(work, token)
}

/// The token of a run that was just written, and is counted as that.
pub(super) fn insert_of_run(work: &mut Work<'_>, token: &TokenRecord) -> Result<(), Failure> {
    purge_expired(work, token)?;
    write(work, token)
}

/// The run was renewed: so is its token.
pub(super) fn extend_of_run(work: &mut Work<'_>, run: &Run) -> Result<(), Failure> {
    const EXTEND: &str = "UPDATE tokens SET expires_at = ?3 WHERE project = ?1 AND run = ?2";
    work.check_seal(NOUN, &run.token)?;
    let bound = params![run.project.as_bytes(), run.id.as_bytes(), run.token_expires_at.millis()];
    if work.database.prepare_cached(EXTEND)?.execute(bound)? != 1 {
        return Err(StoreError::NotFound.into());
    }
    work.changed(run.project, NOUN, &run.token);
    Ok(())
}

/// The run is finished: so is its token.
pub(super) fn delete_of_run(work: &mut Work<'_>, project: ProjectId, run: RunId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM tokens WHERE run = ?2 AND project = ?1 RETURNING id";
    let mut statement = work.database.prepare_cached(DELETE)?;
    let gone: Result<Vec<String>, _> =
        statement.query_map(params![project.as_bytes(), run.as_bytes()], |row| row.get(0))?.collect();
    for token in gone? {
        work.changed(project, NOUN, token);
    }
    Ok(())
}

fn write(work: &mut Work<'_>, token: &TokenRecord) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO tokens \
                          (id, project, principal, digest, description, created_at, expires_at, created_by, run) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    work.database.prepare_cached(INSERT)?.execute(params![
        token.id.0,
        token.project.as_bytes(),
        token.principal.as_bytes(),
        token.digest.0,
        token.description,
        token.created_at.millis(),
        token.expires_at.millis(),
        token.created_by.map(|id| *id.as_bytes()),
        token.run.map(|id| *id.as_bytes()),
    ])?;
    work.changed(token.project, NOUN, &token.id);
    Ok(())
}

fn check_count(work: &Work<'_>, token: &TokenRecord) -> Result<(), Failure> {
    const LIVE: &str = "SELECT count(*) FROM tokens WHERE principal = ?1 AND expires_at > ?2 AND run IS NULL";
    let bound = params![token.principal.as_bytes(), work.now.millis()];
    let live: u32 = work.database.prepare_cached(LIVE)?.query_row(bound, |row| row.get(0))?;
    if live < TOKENS_MAX { Ok(()) } else { Err(StoreError::TooMany { limit: TOKENS_MAX }.into()) }
}

fn purge_expired(work: &mut Work<'_>, token: &TokenRecord) -> Result<(), Failure> {
    const PURGE: &str = "DELETE FROM tokens WHERE principal = ?1 AND expires_at < ?2 RETURNING id";
    let bound = params![token.principal.as_bytes(), work.now.millis().saturating_sub(EXPIRED_TOKENS_KEPT_MS)];
    let mut statement = work.database.prepare_cached(PURGE)?;
    let gone: Result<Vec<String>, _> = statement.query_map(bound, |row| row.get(0))?.collect();
    for id in gone? {
        work.forgotten(NOUN, id);
    }
    Ok(())
}

pub(super) fn delete(work: &mut Work<'_>, project: ProjectId, id: &TokenId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM tokens WHERE id = ?2 AND project = ?1 AND run IS NULL RETURNING 1";
    let bound = params![project.as_bytes(), id.0];
    let gone = work.database.prepare_cached(DELETE)?.query_row(bound, |_| Ok(())).optional()?;
    gone.ok_or(StoreError::NotFound)?;
    work.changed(project, NOUN, id);
    Ok(())
}

pub(super) fn delete_of_principal(work: &mut Work<'_>, project: ProjectId, id: PrincipalId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM tokens WHERE principal = ?2 AND project = ?1 RETURNING id";
    let mut statement = work.database.prepare_cached(DELETE)?;
    let gone: Result<Vec<String>, _> =
        statement.query_map(params![project.as_bytes(), id.as_bytes()], |row| row.get(0))?.collect();
    for token in gone? {
        work.changed(project, NOUN, token);
    }
    Ok(())
}

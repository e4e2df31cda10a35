//! Signing keys of the issuer, sealed.

use async_trait::async_trait;
use rusqlite::{Connection as Database, Row, params};

use crate::domain::{IssuerKeyFacts, IssuerKeyId, Timestamp};
use crate::sealing::{Sealed, SealedIssuerKey};
use crate::store::{IssuerKeys, StoreError};

use super::SqliteStore;
use super::failure::Failure;
use super::work::Work;

#[async_trait]
impl IssuerKeys for SqliteStore {
    async fn issuer_keys(&self) -> Result<Vec<SealedIssuerKey>, StoreError> {
        self.read(list).await
    }
}

fn list(database: &Database) -> Result<Vec<SealedIssuerKey>, StoreError> {
    const LIST: &str = "SELECT id, state, created_at, activated_at, retired_at, sealed FROM issuer_keys \
                        ORDER BY created_at, id";
    database.prepare_cached(LIST)?.query_and_then([], key)?.collect()
}

fn key(row: &Row<'_>) -> Result<SealedIssuerKey, StoreError> {
    let corrupt = StoreError::Corrupt { what: "a key of the issuer" };
    let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(Timestamp::from_millis));
    let facts = IssuerKeyFacts {
        id: IssuerKeyId::parse(&row.get::<_, String>(0)?).ok_or(corrupt.clone())?,
        created_at: Timestamp::from_millis(row.get(2)?),
        activated_at: time(3)?,
        retired_at: time(4)?,
    };
    if facts.state().as_str() != row.get::<_, String>(1)? {
        return Err(corrupt);
    }
    Ok(SealedIssuerKey { facts, sealed: Sealed::from_stored(row.get(5)?) })
}

pub(super) fn insert(work: &Work<'_>, key: &SealedIssuerKey) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO issuer_keys (id, state, created_at, activated_at, retired_at, sealed) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let SealedIssuerKey { facts, sealed } = key;
    work.database.prepare_cached(INSERT)?.execute(params![
        facts.id.as_str(),
        facts.state().as_str(),
        facts.created_at.millis(),
        facts.activated_at.map(Timestamp::millis),
        facts.retired_at.map(Timestamp::millis),
        sealed.as_bytes(),
    ])?;
    Ok(())
}

pub(super) fn activate(
    work: &Work<'_>,
    id: &IssuerKeyId,
    retire: Option<&IssuerKeyId>,
    at: Timestamp,
) -> Result<(), Failure> {
    const RETIRE: &str = "UPDATE issuer_keys SET state = 'retired', retired_at = ?2 WHERE id = ?1 AND state = 'active'";
    const ACTIVATE: &str =
        "UPDATE issuer_keys SET state = 'active', activated_at = ?2 WHERE id = ?1 AND state = 'next'";
    // First the old one: there is one active key at any time.
    if let Some(old) = retire {
        one(work.database.prepare_cached(RETIRE)?.execute(params![old.as_str(), at.millis()])?)?;
    }
    one(work.database.prepare_cached(ACTIVATE)?.execute(params![id.as_str(), at.millis()])?)
}

/// What is deleted is overwritten, and the log is emptied after the commit.
pub(super) fn delete(work: &mut Work<'_>, id: &IssuerKeyId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM issuer_keys WHERE id = ?1 AND state = 'retired'";
    one(work.database.prepare_cached(DELETE)?.execute([id.as_str()])?)?;
    work.shred = true;
    Ok(())
}

fn one(changed: usize) -> Result<(), Failure> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Stale.into()) }
}

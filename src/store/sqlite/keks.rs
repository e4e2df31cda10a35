//! Project keys, wrapped.

use async_trait::async_trait;
use rusqlite::{Connection as Database, Row, params};

use crate::domain::{KekId, ProjectId, Timestamp};
use crate::sealing::{KekState, Sealed, WrappedKek};
use crate::store::{Keks, StoreError};

use super::SqliteStore;
use super::columns::unsigned;
use super::failure::Failure;
use super::work::Work;

#[async_trait]
impl Keks for SqliteStore {
    async fn keks(&self) -> Result<Vec<WrappedKek>, StoreError> {
        self.read(list).await
    }

    async fn sealed_values(&self, project: ProjectId) -> Result<u64, StoreError> {
        const COUNT: &str = "SELECT count(*) FROM sealed_fields WHERE project = ?1";
        self.read(move |database| {
            let count = database.prepare_cached(COUNT)?.query_row([project.as_bytes()], |row| row.get(0))?;
            Ok(unsigned(count))
        })
        .await
    }
}

fn list(database: &Database) -> Result<Vec<WrappedKek>, StoreError> {
    const LIST: &str = "SELECT id, project, state, created_at, sealed FROM keks ORDER BY created_at, id";
    database.prepare_cached(LIST)?.query_and_then([], kek)?.collect()
}

fn kek(row: &Row<'_>) -> Result<WrappedKek, StoreError> {
    let state = match row.get::<_, String>(2)?.as_str() {
        "active" => KekState::Active,
        "decrypt-only" => KekState::DecryptOnly,
        "destroyed" => KekState::Destroyed,
        _ => return Err(StoreError::Corrupt { what: "the state of a key" }),
    };
    Ok(WrappedKek {
        id: KekId::from_bytes(row.get(0)?),
        project: ProjectId::from_bytes(row.get(1)?),
        state,
        created_at: Timestamp::from_millis(row.get(3)?),
        sealed: Sealed::from_stored(row.get(4)?),
    })
}

pub(super) fn insert(work: &Work<'_>, kek: &WrappedKek) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO keks (id, project, state, created_at, sealed) VALUES (?1, ?2, ?3, ?4, ?5)";
    let state = match kek.state {
        KekState::Active => "active",
        KekState::DecryptOnly => "decrypt-only",
        KekState::Destroyed => "destroyed",
    };
    work.database.prepare_cached(INSERT)?.execute(params![
        kek.id.as_bytes(),
        kek.project.as_bytes(),
        state,
        kek.created_at.millis(),
        kek.sealed.as_bytes(),
    ])?;
    Ok(())
}

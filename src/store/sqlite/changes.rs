//! The change feed and the revision.

use async_trait::async_trait;
use rusqlite::{Connection as Database, Row, params};
use tokio::sync::watch;

use crate::domain::ProjectId;
use crate::domain::page::PAGE_SIZE_MAX;
use crate::store::limits::REVISIONS_KEPT;
use crate::store::{Change, Changes, Revision, StoreError};

use super::SqliteStore;
use super::columns::{signed, unsigned};
use super::failure::Failure;

/// How many revisions pass between two trims of the feed.
const TRIM_EVERY: u64 = 1000;

#[async_trait]
impl Changes for SqliteStore {
    fn watch_revision(&self) -> watch::Receiver<Revision> {
        self.shared().revision.subscribe()
    }

    async fn changes_after(&self, revision: Revision, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.browse(move |database| list(database, revision, limit.clamp(1, PAGE_SIZE_MAX))).await
    }
}

/// Whole revisions only: a reader goes on after the last one it was handed.
/// One revision with more changes than the limit is handed out whole.
fn list(database: &Database, after: Revision, limit: u32) -> Result<Vec<Change>, StoreError> {
    const LIST: &str = "SELECT revision, project, noun, id FROM changes WHERE revision > ?1 \
                        ORDER BY revision, ordinal LIMIT ?2";
    const ONE: &str = "SELECT revision, project, noun, id FROM changes WHERE revision = ?1 ORDER BY ordinal";
    let wanted = i64::from(limit) + 1;
    let mut found: Vec<Change> = database
        .prepare_cached(LIST)?
        .query_map(params![signed(after.0), wanted], change)?
        .collect::<Result<_, _>>()?;
    if found.len() <= limit as usize {
        return Ok(found);
    }
    let cut = found.last().map(|change| change.revision);
    found.retain(|change| Some(change.revision) != cut);
    if let (true, Some(Revision(cut))) = (found.is_empty(), cut) {
        found = database.prepare_cached(ONE)?.query_map([signed(cut)], change)?.collect::<Result<_, _>>()?;
    }
    Ok(found)
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        revision: Revision(unsigned(row.get(0)?)),
        project: ProjectId::from_bytes(row.get(1)?),
        noun: row.get(2)?,
        id: row.get(3)?,
    })
}

/// The last revision; the feed always keeps it.
pub(super) fn last(database: &Database) -> rusqlite::Result<Revision> {
    let last = database.query_row("SELECT coalesce(max(revision), 0) FROM changes", [], |row| row.get(0))?;
    Ok(Revision(unsigned(last)))
}

pub(super) fn insert(database: &Database, revision: Revision, changes: &[Change]) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO changes (revision, ordinal, project, noun, id) VALUES (?1, ?2, ?3, ?4, ?5)";
    const TRIM: &str = "DELETE FROM changes WHERE revision <= ?1";
    for (ordinal, change) in changes.iter().enumerate() {
        let bound =
            params![signed(revision.0), signed(ordinal as u64), change.project.as_bytes(), change.noun, change.id];
        database.prepare_cached(INSERT)?.execute(bound)?;
    }
    if revision.0.is_multiple_of(TRIM_EVERY) {
        database.prepare_cached(TRIM)?.execute([signed(revision.0.saturating_sub(REVISIONS_KEPT))])?;
    }
    Ok(())
}

//! Ledger lines, to append and to read. Lists by the index of blocks.

use async_trait::async_trait;
use rusqlite::{Connection, Row, named_params, params};
use tokio::sync::watch;

use crate::audit::{Hash, Journal, JournalError, Line, LineFilter, Outcome, Seq, StoredLine, Subject};
use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{Page, PageAsk, ProjectId, RunId, Timestamp};
use crate::store::{AuditLines, StoreError};

use super::SqliteStore;
use super::blocks::{BLOCK_LINES, Key, block_of, first_of, full_blocks, key_for, may_hold, may_hold_run};
use super::chain::EncodedLine;
use super::columns::{page_of, parse_seq_key, rows_for, signed, unsigned};

#[async_trait]
impl Journal for SqliteStore {
    async fn append(&self, mut line: Line) -> Result<Seq, JournalError> {
        self.at_revision(&mut line);
        let encoded = EncodedLine::of(&line).map_err(journal_error)?;
        self.append_line(encoded, false).await.map_err(journal_error)
    }

    async fn append_withdrawal(&self, mut line: Line) -> Result<Seq, JournalError> {
        self.at_revision(&mut line);
        let encoded = EncodedLine::of(&line).map_err(journal_error)?;
        self.append_line(encoded, true).await.map_err(journal_error)
    }
}

#[allow(clippy::needless_pass_by_value)]
fn journal_error(error: StoreError) -> JournalError {
    match error {
        StoreError::Full => JournalError::Full,
        StoreError::Stopped => JournalError::Stopped,
        StoreError::Unwritable
        | StoreError::NotFound
        | StoreError::Stale
        | StoreError::NameTaken
        | StoreError::Linked { .. }
        | StoreError::Roles(_)
        | StoreError::TooMany { .. }
        | StoreError::RequestIdUsed
        | StoreError::Ambiguous
        | StoreError::Corrupt { .. } => JournalError::Unwritable,
    }
}

#[async_trait]
impl AuditLines for SqliteStore {
    async fn lines(&self, filter: &LineFilter, page: &PageAsk) -> Result<Page<StoredLine>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.browse(move |connection| list(connection, &filter, &page)).await
    }

    async fn lines_after(
        &self,
        project: Option<ProjectId>,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<StoredLine>, StoreError> {
        self.browse(move |connection| match project {
            Some(project) => follow_project(connection, project, seq, limit),
            None => follow(connection, seq, limit),
        })
        .await
    }

    async fn last_seq(&self) -> Result<Seq, StoreError> {
        const LAST: &str = "SELECT coalesce(max(seq), 0) FROM ledger";
        self.read(|connection| Ok(Seq(unsigned(connection.prepare_cached(LAST)?.query_row([], |row| row.get(0))?))))
            .await
    }

    async fn open_intents(&self, limit: u32) -> Result<Vec<StoredLine>, StoreError> {
        const OPEN: &str = "SELECT l.seq, l.previous, l.hash, l.body FROM open_intents o \
                            JOIN ledger l ON l.seq = o.seq ORDER BY o.seq LIMIT ?1";
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(OPEN)?;
            collect(statement.query_and_then([limit.min(PAGE_SIZE_MAX)], stored)?)
        })
        .await
    }

    fn watch_lines(&self) -> watch::Receiver<Seq> {
        self.shared().lines.subscribe()
    }
}

/// Lists block by block, from the newest. All of it sees one snapshot.
fn list(connection: &Connection, filter: &LineFilter, page: &PageAsk) -> Result<Page<StoredLine>, StoreError> {
    let before = page.after.as_deref().map_or(Ok(i64::MAX), parse_seq_key)?;
    let snapshot = connection.unchecked_transaction()?;
    let full = full_blocks(&snapshot)?;
    let mut wanted = Wanted { filter, before, rows: rows_for(page), items: Vec::new() };
    // The block that is being filled is in no index yet.
    wanted.look(&snapshot, signed(first_of(full)), i64::MAX)?;
    wanted.look_by_index(&snapshot)?;
    Ok(page_of(wanted.items, page, |line| line.seq.to_string()))
}

struct Wanted<'a> {
    filter: &'a LineFilter,
    before: i64,
    rows: i64,
    items: Vec<StoredLine>,
}

impl Wanted<'_> {
    fn look_by_index(&mut self, connection: &Connection) -> Result<(), StoreError> {
        const BLOCKS: &str = "SELECT block, filter FROM ledger_blocks WHERE block <= ?1 / 256 \
                              AND (?2 IS NULL OR at_max >= ?2) AND (?3 IS NULL OR at_min < ?3) ORDER BY block DESC";
        let keys = keys_of(self.filter);
        let mut statement = connection.prepare_cached(BLOCKS)?;
        let (since, until) = (self.filter.since.map(Timestamp::millis), self.filter.until.map(Timestamp::millis));
        let mut blocks = statement.query(params![self.before, since, until])?;
        while self.missing() > 0 {
            let Some(row) = blocks.next()? else { break };
            let filter = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Corrupt { what: "the ledger's index" })?;
            let run = self.filter.run.is_none_or(|run| may_hold_run(filter, Key::of(*run.as_bytes())));
            if run && keys.iter().all(|key| may_hold(filter, *key)) {
                let first = signed(first_of(unsigned(row.get(0)?)));
                self.look(connection, first, first + signed(BLOCK_LINES))?;
            }
        }
        Ok(())
    }

    fn missing(&self) -> i64 {
        self.rows - signed(self.items.len() as u64)
    }

    /// Looks through the places from `first` to before `end`.
    fn look(&mut self, connection: &Connection, first: i64, end: i64) -> Result<(), StoreError> {
        const LOOK: &str = "SELECT seq, previous, hash, body FROM ledger WHERE seq >= :first AND seq < :end \
                            AND (:project IS NULL OR project = :project) \
                            AND (:principal IS NULL OR principal = :principal) \
                            AND (:connector IS NULL OR connector = :connector) \
                            AND (:outcome IS NULL OR outcome = :outcome) \
                            AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until) \
                            AND (:run IS NULL OR json_extract(CAST(body AS TEXT), '$.run') = :run \
                                 OR json_extract(CAST(body AS TEXT), '$.subject') = :about) \
                            ORDER BY seq DESC LIMIT :rows";
        let mut statement = connection.prepare_cached(LOOK)?;
        let rows = statement.query_and_then(
            named_params! {
                ":first": first,
                ":end": end.min(self.before),
                ":project": self.filter.project.map(|id| *id.as_bytes()),
                ":principal": self.filter.principal.map(|id| *id.as_bytes()),
                ":connector": self.filter.connector.map(|id| *id.as_bytes()),
                ":outcome": self.filter.outcome.map(Outcome::as_str),
                ":since": self.filter.since.map(Timestamp::millis),
                ":until": self.filter.until.map(Timestamp::millis),
                ":run": self.filter.run.map(|id| id.to_string()),
                ":about": self.filter.run.map(about).transpose()?,
                ":rows": self.missing(),
            },
            stored,
        )?;
        for row in rows {
            self.items.push(row?);
        }
        Ok(())
    }
}

/// The stored form of a subject that is this run.
fn about(run: RunId) -> Result<String, StoreError> {
    serde_json::to_string(&Subject::Run(run)).map_err(|_| StoreError::Corrupt { what: "a run that has no stored form" })
}

/// What a block must hold to be looked through, besides a run.
fn keys_of(filter: &LineFilter) -> Vec<Key> {
    let ids = [
        filter.project.map(|id| *id.as_bytes()),
        filter.principal.map(|id| *id.as_bytes()),
        filter.connector.map(|id| *id.as_bytes()),
    ];
    ids.into_iter().flatten().map(|id| key_for(id, filter.outcome.map(Outcome::as_str))).collect()
}

fn follow(connection: &Connection, seq: Seq, limit: u32) -> Result<Vec<StoredLine>, StoreError> {
    const FOLLOW: &str = "SELECT seq, previous, hash, body FROM ledger WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(FOLLOW)?;
    collect(statement.query_and_then(params![signed(seq.0), limit.min(PAGE_SIZE_MAX)], stored)?)
}

/// Block by block, from the oldest; the one that is being filled comes last.
fn follow_project(
    connection: &Connection,
    project: ProjectId,
    seq: Seq,
    limit: u32,
) -> Result<Vec<StoredLine>, StoreError> {
    const BLOCKS: &str = "SELECT block, filter FROM ledger_blocks WHERE block >= ?1 ORDER BY block";
    let key = Key::of(*project.as_bytes());
    let limit = limit.min(PAGE_SIZE_MAX) as usize;
    let snapshot = connection.unchecked_transaction()?;
    let mut items = Vec::new();
    let mut statement = snapshot.prepare_cached(BLOCKS)?;
    let mut blocks = statement.query([signed(block_of(seq.0 + 1))])?;
    while items.len() < limit {
        let Some(row) = blocks.next()? else {
            let first = first_of(full_blocks(&snapshot)?).max(seq.0 + 1);
            follow_range(&snapshot, project, first, u64::MAX, limit, &mut items)?;
            break;
        };
        let filter = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Corrupt { what: "the ledger's index" })?;
        if may_hold(filter, key) {
            let first = first_of(unsigned(row.get(0)?));
            follow_range(&snapshot, project, first.max(seq.0 + 1), first + BLOCK_LINES, limit, &mut items)?;
        }
    }
    Ok(items)
}

fn follow_range(
    connection: &Connection,
    project: ProjectId,
    first: u64,
    end: u64,
    limit: usize,
    items: &mut Vec<StoredLine>,
) -> Result<(), StoreError> {
    const LOOK: &str = "SELECT seq, previous, hash, body FROM ledger WHERE seq >= ?1 AND seq < ?2 AND project = ?3 \
                        ORDER BY seq LIMIT ?4";
    let missing = signed(limit.saturating_sub(items.len()) as u64);
    let mut statement = connection.prepare_cached(LOOK)?;
    for row in statement.query_and_then(params![signed(first), signed(end), project.as_bytes(), missing], stored)? {
        items.push(row?);
    }
    Ok(())
}

fn stored(row: &Row<'_>) -> Result<StoredLine, StoreError> {
    let body: &[u8] = row.get_ref(3)?.as_blob().map_err(|_| StoreError::Corrupt { what: "a line" })?;
    Ok(StoredLine {
        seq: Seq(unsigned(row.get(0)?)),
        previous: Hash(row.get(1)?),
        hash: Hash(row.get(2)?),
        line: serde_json::from_slice(body).map_err(|_| StoreError::Corrupt { what: "a line" })?,
    })
}

fn collect<T>(rows: impl Iterator<Item = Result<T, StoreError>>) -> Result<Vec<T>, StoreError> {
    rows.collect()
}

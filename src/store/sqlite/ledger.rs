//! Ledger lines, to append and to read. Lists by the index of blocks.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use tokio::sync::watch;

use crate::audit::{Hash, Journal, JournalError, Line, LineFilter, Seq, StoredLine};
use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{Page, PageAsk, ProjectId, Timestamp};
use crate::store::{AuditLines, StoreError};

use super::SqliteStore;
use super::chain::{BLOCK_LINES, EncodedLine, outcome_key};
use super::columns::{page_of, parse_seq_key, rows_for, signed, unsigned};

#[async_trait]
impl Journal for SqliteStore {
    async fn append(&self, line: Line) -> Result<Seq, JournalError> {
        let encoded = EncodedLine::of(&line).map_err(journal_error)?;
        self.append_line(encoded).await.map_err(journal_error)
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
        | StoreError::LastOwner
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
        self.read(move |connection| list(connection, &filter, &page)).await
    }

    async fn lines_after(
        &self,
        project: Option<ProjectId>,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<StoredLine>, StoreError> {
        self.read(move |connection| match project {
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

/// The places between which a filter's times can be, by the blocks' times.
struct Span {
    first: i64,
    before: i64,
}

fn list(connection: &Connection, filter: &LineFilter, page: &PageAsk) -> Result<Page<StoredLine>, StoreError> {
    let Some(span) = span(connection, filter, page)? else {
        return Ok(Page { items: Vec::new(), next: None });
    };
    let items = match key_of(filter) {
        Some(key) => list_by_key(connection, key, &span, filter, page)?,
        None => list_all(connection, &span, filter, page)?,
    };
    Ok(page_of(items, page, |line| line.seq.to_string()))
}

/// The narrowest key of a filter; its outcome is looked at besides.
fn key_of(filter: &LineFilter) -> Option<[u8; 16]> {
    filter
        .connector
        .map(|id| *id.as_bytes())
        .or_else(|| filter.principal.map(|id| *id.as_bytes()))
        .or_else(|| filter.project.map(|id| *id.as_bytes()))
}

/// Nothing when no block has such times. A clock that was set back makes the
/// span wider, never wrong.
fn span(connection: &Connection, filter: &LineFilter, page: &PageAsk) -> Result<Option<Span>, StoreError> {
    const FIRST: &str = "SELECT min(block) FROM ledger_times WHERE at_max >= ?1";
    const LAST: &str = "SELECT max(block) FROM ledger_times WHERE at_min < ?1";
    let mut span = Span { first: 0, before: page.after.as_deref().map_or(Ok(i64::MAX), parse_seq_key)? };
    if let Some(since) = filter.since {
        match block(connection, FIRST, since)? {
            Some(first) => span.first = first * signed(BLOCK_LINES),
            None => return Ok(None),
        }
    }
    if let Some(until) = filter.until {
        match block(connection, LAST, until)? {
            Some(last) => span.before = span.before.min((last + 1) * signed(BLOCK_LINES)),
            None => return Ok(None),
        }
    }
    Ok(Some(span))
}

fn block(connection: &Connection, sql: &'static str, at: Timestamp) -> Result<Option<i64>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row([at.millis()], |row| row.get(0)).optional()?.flatten())
}

fn list_by_key(
    connection: &Connection,
    key: [u8; 16],
    span: &Span,
    filter: &LineFilter,
    page: &PageAsk,
) -> Result<Vec<StoredLine>, StoreError> {
    // CROSS JOIN keeps the order: blocks from the newest, lines within.
    const LIST: &str = "SELECT l.seq, l.previous, l.hash, l.body FROM ledger_keys k CROSS JOIN ledger l \
                        WHERE k.key = :key AND k.block BETWEEN :first / 256 AND :before / 256 \
                        AND (:outcome IS NULL \
                             OR EXISTS (SELECT 1 FROM ledger_keys o WHERE o.key = :outcome_key AND o.block = k.block)) \
                        AND l.seq BETWEEN k.block * 256 AND k.block * 256 + 255 \
                        AND l.seq >= :first AND l.seq < :before \
                        AND (:project IS NULL OR l.project = :project) \
                        AND (:principal IS NULL OR l.principal = :principal) \
                        AND (:connector IS NULL OR l.connector = :connector) \
                        AND (:outcome IS NULL OR l.outcome = :outcome) \
                        AND (:since IS NULL OR l.at >= :since) AND (:until IS NULL OR l.at < :until) \
                        ORDER BY k.block DESC, l.seq DESC LIMIT :rows";
    let outcome = filter.outcome.map(crate::audit::Outcome::as_str);
    let mut statement = connection.prepare_cached(LIST)?;
    let rows = statement.query_and_then(
        named_params! {
            ":key": key,
            ":first": span.first,
            ":before": span.before,
            ":outcome": outcome,
            ":outcome_key": outcome.map(outcome_key),
            ":project": filter.project.map(|id| *id.as_bytes()),
            ":principal": filter.principal.map(|id| *id.as_bytes()),
            ":connector": filter.connector.map(|id| *id.as_bytes()),
            ":since": filter.since.map(Timestamp::millis),
            ":until": filter.until.map(Timestamp::millis),
            ":rows": rows_for(page),
        },
        stored,
    )?;
    collect(rows)
}

/// Without project, principal or connector: for the daemon's own use.
fn list_all(
    connection: &Connection,
    span: &Span,
    filter: &LineFilter,
    page: &PageAsk,
) -> Result<Vec<StoredLine>, StoreError> {
    const LIST: &str = "SELECT seq, previous, hash, body FROM ledger WHERE seq >= ?1 AND seq < ?2 \
                        AND (?3 IS NULL OR outcome = ?3) AND (?4 IS NULL OR at >= ?4) AND (?5 IS NULL OR at < ?5) \
                        ORDER BY seq DESC LIMIT ?6";
    let mut statement = connection.prepare_cached(LIST)?;
    let outcome = filter.outcome.map(crate::audit::Outcome::as_str);
    let (since, until) = (filter.since.map(Timestamp::millis), filter.until.map(Timestamp::millis));
    collect(statement.query_and_then(params![span.first, span.before, outcome, since, until, rows_for(page)], stored)?)
}

fn follow(connection: &Connection, seq: Seq, limit: u32) -> Result<Vec<StoredLine>, StoreError> {
    const FOLLOW: &str = "SELECT seq, previous, hash, body FROM ledger WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(FOLLOW)?;
    collect(statement.query_and_then(params![signed(seq.0), limit.min(PAGE_SIZE_MAX)], stored)?)
}

fn follow_project(
    connection: &Connection,
    project: ProjectId,
    seq: Seq,
    limit: u32,
) -> Result<Vec<StoredLine>, StoreError> {
    const FOLLOW: &str = "SELECT l.seq, l.previous, l.hash, l.body FROM ledger_keys k CROSS JOIN ledger l \
                          WHERE k.key = ?1 AND k.block >= ?2 / 256 \
                          AND l.seq BETWEEN k.block * 256 AND k.block * 256 + 255 \
                          AND l.seq > ?2 AND l.project = ?1 ORDER BY k.block, l.seq LIMIT ?3";
    let mut statement = connection.prepare_cached(FOLLOW)?;
    let bound = params![project.as_bytes(), signed(seq.0), limit.min(PAGE_SIZE_MAX)];
    collect(statement.query_and_then(bound, stored)?)
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

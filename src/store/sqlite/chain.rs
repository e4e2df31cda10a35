//! Writes ledger lines: gives each its place and its hash.
//!
//! Used by the writer's thread alone, which is why the head can be kept in
//! memory. Whoever rolls back gives the head back that it took before.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use crate::audit::{Columns, Hash, Line, LineKind, Seq};
use crate::store::StoreError;

use super::columns::{signed, unsigned};
use super::failure::Failure;
use super::open_error::OpenError;

/// Lines of one block of the ledger's index.
pub(super) const BLOCK_LINES: u64 = 256;

/// A line in its stored form, made by the task that wants it written.
pub(super) struct EncodedLine {
    columns: Columns,
    kind: LineKind,
    body: Vec<u8>,
}

impl EncodedLine {
    pub(super) fn of(line: &Line) -> Result<Self, StoreError> {
        let body =
            serde_json::to_vec(line).map_err(|_| StoreError::Corrupt { what: "a line that has no stored form" })?;
        Ok(Self { columns: Columns::of(line), kind: line.kind, body })
    }
}

/// The key of an outcome in the ledger's index; ids are keys by themselves.
pub(super) fn outcome_key(word: &str) -> [u8; 16] {
    let mut key = [0; 16];
    for (slot, byte) in key.iter_mut().zip(word.bytes()) {
        *slot = byte;
    }
    key
}

/// Where the chain ends.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) seq: Seq,
    pub(super) hash: Hash,
}

pub(super) struct Chain {
    head: Head,
    /// The block of the last line, and what the index already says of it.
    block: u64,
    keys: HashSet<[u8; 16]>,
    /// Blocks of this group with their first and last time. Invariant: at
    /// least as wide as what is written.
    times: Vec<(u64, i64, i64)>,
}

impl Chain {
    /// Reads the head, and checks that it hashes to what is stored.
    pub(super) fn load(connection: &Connection) -> Result<Self, OpenError> {
        const LAST: &str = "SELECT seq, previous, hash, body FROM ledger ORDER BY seq DESC LIMIT 1";
        let last = connection
            .query_row(LAST, [], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, [u8; 32]>(1)?,
                    row.get::<_, [u8; 32]>(2)?,
                    row.get::<_, Vec<u8>>(3)?,
                ))
            })
            .optional()?;
        let head = match last {
            None => Head { seq: Seq(0), hash: Hash::GENESIS },
            Some((seq, previous, hash, body)) => {
                let head = Head { seq: Seq(unsigned(seq)), hash: Hash(hash) };
                if Hash::of(head.seq, &Hash(previous), &body) != head.hash {
                    return Err(OpenError::AlteredLedger);
                }
                head
            }
        };
        Ok(Self { head, block: head.seq.0 / BLOCK_LINES, keys: HashSet::new(), times: Vec::new() })
    }

    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// After a rollback. What the index was told may be rolled back too.
    pub(super) fn rewind(&mut self, head: Head) {
        self.head = head;
        self.block = head.seq.0 / BLOCK_LINES;
        self.keys.clear();
    }

    /// Writes the next line.
    pub(super) fn append(&mut self, connection: &Connection, line: &EncodedLine) -> Result<Seq, Failure> {
        const INSERT: &str = "INSERT INTO ledger (seq, at, project, principal, connector, outcome, body, previous, hash) \
                              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        if let LineKind::Result(intent) = line.kind {
            close_intent(connection, intent)?;
        }
        let seq = Seq(self.head.seq.0 + 1);
        let hash = Hash::of(seq, &self.head.hash, &line.body);
        let Columns { at, project, principal, connector, outcome } = &line.columns;
        connection
            .prepare_cached(INSERT)?
            .execute(params![
                signed(seq.0),
                at,
                project,
                principal,
                connector,
                outcome,
                line.body,
                self.head.hash.0,
                hash.0
            ])
            .map_err(taken)?;
        if line.kind == LineKind::Intent {
            connection.prepare_cached("INSERT INTO open_intents (seq) VALUES (?1)")?.execute([signed(seq.0)])?;
        }
        self.head = Head { seq, hash };
        self.index(connection, &line.columns)?;
        Ok(seq)
    }

    /// Tells the index what occurs in the block of the last line.
    fn index(&mut self, connection: &Connection, columns: &Columns) -> Result<(), Failure> {
        const INSERT: &str = "INSERT OR IGNORE INTO ledger_keys (key, block) VALUES (?1, ?2)";
        let block = self.head.seq.0 / BLOCK_LINES;
        if block != self.block {
            self.block = block;
            self.keys.clear();
        }
        let outcome = Some(outcome_key(&columns.outcome));
        for key in [columns.project, columns.principal, columns.connector, outcome].into_iter().flatten() {
            if self.keys.insert(key) {
                connection.prepare_cached(INSERT)?.execute(params![key, signed(block)])?;
            }
        }
        match self.times.last_mut() {
            Some((known, min, max)) if *known == block => {
                *min = columns.at.min(*min);
                *max = columns.at.max(*max);
            }
            _ => self.times.push((block, columns.at, columns.at)),
        }
        Ok(())
    }

    /// Before the group commits.
    pub(super) fn flush_times(&mut self, connection: &Connection) -> Result<(), Failure> {
        const UPSERT: &str = "INSERT INTO ledger_times (block, at_min, at_max) VALUES (?1, ?2, ?3) \
                              ON CONFLICT (block) DO UPDATE SET \
                              at_min = min(at_min, excluded.at_min), at_max = max(at_max, excluded.at_max)";
        for (block, min, max) in self.times.drain(..) {
            connection.prepare_cached(UPSERT)?.execute(params![signed(block), min, max])?;
        }
        Ok(())
    }
}

/// An intent has one result: a second, or one without an intent, is refused.
fn close_intent(connection: &Connection, intent: Seq) -> Result<(), Failure> {
    let closed = connection.prepare_cached("DELETE FROM open_intents WHERE seq = ?1")?.execute([signed(intent.0)])?;
    if closed == 1 { Ok(()) } else { Err(StoreError::Corrupt { what: "a result whose intent is not open" }.into()) }
}

/// Nobody else writes: a line where the next is due means that somebody did.
fn taken(error: rusqlite::Error) -> Failure {
    match Failure::from(error) {
        Failure::Refused(_) => Failure::Fatal("the ledger has a line where the next is due"),
        Failure::Unwritable(cause) => Failure::Unwritable(cause),
        Failure::Fatal(cause) => Failure::Fatal(cause),
    }
}

//! Writes ledger lines: gives each its place and its hash.
//!
//! Used by the writer's thread alone, which is why the head can be kept in
//! memory. Whoever rolls back gives the head back that it took before.

use rusqlite::{Connection, OptionalExtension, params};

use crate::audit::{Columns, Hash, Line, LineKind, Seq};
use crate::store::StoreError;

use super::blocks::{Block, Runs, block_of};
use super::columns::{signed, unsigned};
use super::failure::Failure;
use super::open_error::OpenError;

/// A line in its stored form, made by the task that wants it written.
pub(super) struct EncodedLine {
    columns: Columns,
    runs: Runs,
    kind: LineKind,
    body: Vec<u8>,
}

impl EncodedLine {
    pub(super) fn of(line: &Line) -> Result<Self, StoreError> {
        let body =
            serde_json::to_vec(line).map_err(|_| StoreError::Corrupt { what: "a line that has no stored form" })?;
        Ok(Self { columns: Columns::of(line), runs: Runs::of(line), kind: line.kind, body })
    }
}

/// Where the chain ends.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) seq: Seq,
    pub(super) hash: Hash,
}

pub(super) struct Chain {
    head: Head,
    /// What the index will say of the lines since the last full block.
    block: Block,
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
        Ok(Self { head, block: Block::load(connection, head.seq.0)? })
    }

    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// After a rollback to where the chain ended at `head`.
    pub(super) fn rewind(&mut self, connection: &Connection, head: Head) -> Result<(), Failure> {
        if self.head.seq != head.seq {
            self.head = head;
            self.block = Block::load(connection, head.seq.0)?;
        }
        Ok(())
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
        self.index(connection, line)?;
        Ok(seq)
    }

    /// Tells the index of the last line; a full block is stored.
    fn index(&mut self, connection: &Connection, line: &EncodedLine) -> Result<(), Failure> {
        self.block.add(&line.columns, line.runs);
        let seq = self.head.seq.0;
        if block_of(seq + 1) != block_of(seq) {
            self.block.store(connection, block_of(seq)).map_err(taken)?;
            self.block = Block::empty();
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

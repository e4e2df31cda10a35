//! Verifies a stored ledger without a daemon: read-only, row by row.
//!
//! Takes no lock, so that it can run beside a daemon. Believes nothing that
//! is stored, not even that a column has its type.

use std::path::Path;

use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, Row};

use crate::audit::{BadLine, Columns, ExpectedHead, Fault, RawLine, Seq, Verified, Verifier};

use super::blocks::{Block, Runs, block_of};
use super::columns::unsigned;
use super::open::{check_files, open_reader};
use super::open_error::OpenError;

/// Why a ledger was not verified.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A line is bad: the first one.
    #[error(transparent)]
    Bad(#[from] BadLine),
}

/// Verifies the ledger of the database at `path`, against a head that was
/// written down elsewhere when there is one: without it a tail that was cut
/// off is not seen.
///
/// # Errors
/// Names the first bad line.
pub fn verify_ledger(path: &Path, expected: Option<ExpectedHead>) -> Result<Verified, OfflineError> {
    const ROWS: &str = "SELECT seq, at, project, principal, connector, outcome, body, previous, hash \
                        FROM ledger ORDER BY seq";
    check_files(path)?;
    let database = open_reader(path)?;
    let mut verifier = Verifier::new(expected);
    let mut block = Block::empty();
    let mut statement = database.prepare(ROWS).map_err(OpenError::from)?;
    let mut rows = statement.query([]).map_err(OpenError::from)?;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => raw(row),
            Ok(None) => return Ok(verifier.finish()?),
            Err(error) => Err(error),
        };
        let row = row.map_err(|_| verifier.unreadable())?;
        verifier.take(&row)?;
        check_index(&database, &mut block, &row)?;
    }
}

/// A listing believes the index of blocks: one that says less than there is
/// would hide lines that are sound.
fn check_index(database: &Connection, block: &mut Block, row: &RawLine) -> Result<(), BadLine> {
    block.add(&row.columns, Runs::of_stored(&row.body));
    let number = block_of(row.seq);
    if block_of(row.seq + 1) == number {
        return Ok(());
    }
    let full = std::mem::replace(block, Block::empty());
    if full.is_stored(database, number).unwrap_or(false) {
        return Ok(());
    }
    Err(BadLine { seq: Seq(row.seq), fault: Fault::IndexDiffers })
}

fn raw(row: &Row<'_>) -> rusqlite::Result<RawLine> {
    Ok(RawLine {
        seq: unsigned(row.get(0)?),
        columns: Columns {
            at: row.get(1)?,
            project: row.get(2)?,
            principal: row.get(3)?,
            connector: row.get(4)?,
            outcome: row.get(5)?,
        },
        body: row.get::<_, Bytes>(6)?.0,
        previous: row.get::<_, Bytes>(7)?.0,
        hash: row.get::<_, Bytes>(8)?.0,
    })
}

/// Whatever is stored, as bytes.
struct Bytes(Vec<u8>);

impl FromSql for Bytes {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        Ok(Self(value.as_bytes().unwrap_or_default().to_vec()))
    }
}

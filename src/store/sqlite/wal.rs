//! The write-ahead log: when it is brought into the database, and when it is
//! emptied.
//!
//! A deleted secret stays readable in the log until it is truncated; what is
//! deleted in the database is overwritten there by `secure_delete`. Without
//! one the file keeps its length and is written over from its beginning: a
//! commit that lengthens a file waits for the file system's journal, too.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::checkpointer::Wishes;

/// Pages of 4 KiB after which the log is brought in beside the writer: 16 MiB.
const PASSIVE_PAGES: i64 = 4096;
/// So few pages are brought in by the writer itself: 2 MiB, milliseconds.
const REST_PAGES: i64 = 512;
/// Pages after which the writer and its readers are waited for, so that the
/// log starts anew: 64 MiB. Most of it is in the database by then.
const TRUNCATE_PAGES: i64 = 16 * 1024;
/// How many groups pass between two looks at its size. At most 256 small
/// lines each, so that it grows by few MiB between.
const GROUPS_BETWEEN_LOOKS: u32 = 16;
/// How long the writer waits for readers. Ours end in milliseconds; an
/// offline verifier may take long, and is tried again later.
const PATIENCE: Duration = Duration::from_millis(50);
const PATIENCE_ELSE: Duration = Duration::from_secs(5);

pub(super) struct Wal {
    wishes: Arc<Wishes>,
    groups: u32,
    /// A sealed secret was deleted, and the log may still hold it.
    shred_due: bool,
}

struct Status {
    busy: bool,
    /// In the log.
    pages: i64,
    /// Of these, in the database.
    brought_in: i64,
}

impl Wal {
    /// The run before may have been killed between a deletion and its
    /// truncation: each run begins with one.
    pub(super) const fn new(wishes: Arc<Wishes>) -> Self {
        Self { wishes, groups: 0, shred_due: true }
    }

    /// A sealed secret is deleted in the transaction that just committed.
    pub(super) const fn shred(&mut self) {
        self.shred_due = true;
    }

    /// After each group, and whenever nothing is to be done.
    ///
    /// # Errors
    /// When the database cannot be brought up to date: its disk fails.
    pub(super) fn tend(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.shred_due {
            return self.truncate(connection);
        }
        self.groups += 1;
        if self.groups < GROUPS_BETWEEN_LOOKS {
            return Ok(());
        }
        self.groups = 0;
        let Status { pages, brought_in, .. } = run(connection, "PRAGMA wal_checkpoint(NOOP)")?;
        if pages > TRUNCATE_PAGES {
            self.truncate(connection)
        } else if pages > PASSIVE_PAGES && pages - brought_in <= REST_PAGES {
            // With all of it in the database, and no reader on it, the next
            // write starts the log anew.
            checkpoint(connection)
        } else if pages > PASSIVE_PAGES {
            // One that waits already is enough.
            let _ = self.wishes.put(());
            Ok(())
        } else {
            Ok(())
        }
    }

    /// Empties the log; stays due while a reader is in the way.
    pub(super) fn truncate(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(PATIENCE)?;
        let status = run(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        connection.busy_timeout(PATIENCE_ELSE)?;
        if !status?.busy {
            self.shred_due = false;
        }
        Ok(())
    }
}

/// Brings in what is there, and waits for nobody.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "PRAGMA wal_checkpoint(PASSIVE)").map(|_| ())
}

fn run(connection: &Connection, checkpoint: &'static str) -> rusqlite::Result<Status> {
    let mut statement = connection.prepare_cached(checkpoint)?;
    statement.query_row([], |row| {
        Ok(Status { busy: row.get::<_, i64>(0)? != 0, pages: row.get(1)?, brought_in: row.get(2)? })
    })
}

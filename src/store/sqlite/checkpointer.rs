//! Brings the log into the database while the writer goes on.
//!
//! On a thread and a connection of its own: a checkpoint of 16 MiB takes
//! 10 ms, and nobody's answer waits for it here. Safe since SQLite 3.51.3,
//! which is asserted at start.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::alarm::Alarm;
use super::failure::Failure;
use super::queue::{Queue, Taken};
use super::wal;

/// How long it sleeps at most; only so that the wait has an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Wishes for a checkpoint: one may wait while another is carried out.
pub(super) type Wishes = Queue<()>;

pub(super) fn start(
    database: Connection,
    wishes: Arc<Wishes>,
    alarm: Arc<Alarm>,
) -> Result<JoinHandle<()>, std::io::Error> {
    Builder::new().name("store-checkpoint".to_owned()).spawn(move || run(&database, &wishes, &alarm))
}

fn run(database: &Connection, wishes: &Wishes, alarm: &Alarm) {
    loop {
        match wishes.take(1, PATIENCE) {
            Taken::Some(_) => {
                // A full disk is told by the next write.
                if let Err(Failure::Fatal(cause)) = wal::checkpoint(database).map_err(Failure::from) {
                    alarm.raise(cause);
                    return;
                }
            }
            Taken::Idle => {}
            Taken::Closed => return,
        }
    }
}

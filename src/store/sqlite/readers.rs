//! The read pool: threads with a read-only connection each.
//!
//! A task that reads never waits for a place in the queue; beyond its bound
//! it is told so.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::open_error::OpenError;
use super::queue::{Queue, Taken};

/// What a reader does with its connection.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// How long a reader sleeps at most; only so that the wait has an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much lists give way to what decides.
const NICENESS: i32 = 10;

/// Starts a thread that reads on `connection`.
pub(super) fn start(connection: Connection, queue: &Arc<Queue<Read>>) -> Result<JoinHandle<()>, std::io::Error> {
    let queue = Arc::clone(queue);
    Builder::new().name("store-reader".to_owned()).spawn(move || run(&connection, &queue))
}

/// Starts a thread that reads lists on `connection`, and gives way to others.
pub(super) fn browse(connection: Connection, queue: &Arc<Queue<Read>>) -> Result<JoinHandle<()>, std::io::Error> {
    let queue = Arc::clone(queue);
    Builder::new().name("store-browser".to_owned()).spawn(move || {
        // A sandbox may forbid it; it is a courtesy.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        run(&connection, &queue);
    })
}

fn run(connection: &Connection, queue: &Queue<Read>) {
    loop {
        match queue.take(1, PATIENCE) {
            Taken::Some(reads) => reads.into_iter().for_each(|read| read(connection)),
            Taken::Idle => {}
            Taken::Closed => return,
        }
    }
}

/// Opens the connections of the pool.
pub(super) fn open(path: &std::path::Path, count: usize) -> Result<Vec<Connection>, OpenError> {
    // One for each lane at least.
    (0..count.max(2)).map(|_| super::open::open_reader(path)).collect()
}

//! The embedded store: SQLite in one file, one writer, a few readers.
//!
//! Nothing is acknowledged before it is on disk. Every statement is a
//! constant and names its project. Secrets pass through sealed, and what is
//! deleted is overwritten.

mod alarm;
mod bindings;
mod blocks;
mod chain;
mod changes;
mod checkpointer;
mod columns;
mod components;
mod connectors;
mod failure;
mod guards;
mod issuances;
mod issuer_keys;
mod keks;
mod ledger;
mod named;
mod offline;
mod open;
mod open_error;
mod options;
mod principals;
mod projects;
mod queue;
mod readers;
mod relay;
mod requests;
mod reserve;
mod runs;
mod schema;
mod stacks;
mod tokens;
mod tx;
mod wal;
mod work;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::audit::Seq;
use crate::domain::Timestamp;
use crate::store::{Committed, Revision, StoreError, StoreFacts, Transactions, Tx};

use alarm::Alarm;
use chain::{Chain, EncodedLine};
use checkpointer::Wishes;
use queue::Queue;
use readers::Read;
use relay::Relay;
use reserve::Reserve;
use tx::EncodedTx;
use wal::Wal;
use writer::{Job, Writer};

pub use offline::{OfflineError, verify_ledger};
pub use open_error::OpenError;
pub use options::{OnFatal, SqliteOptions};

/// What the writer tells everybody.
struct Shared {
    revision: watch::Sender<Revision>,
    lines: watch::Sender<Seq>,
    writable: AtomicBool,
    relay: Relay,
    #[cfg(test)]
    pages_max: tests::PagesMax,
}

/// A store in one SQLite file. Stops when it is dropped; what was accepted
/// is written before.
pub struct SqliteStore {
    options: SqliteOptions,
    shared: Arc<Shared>,
    writes: Arc<Queue<Job>>,
    reads: Arc<Queue<Read>>,
    wishes: Arc<Wishes>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Makes a database at `path` and opens it.
    ///
    /// # Errors
    /// When there is one already, or the folder cannot be written.
    pub fn create(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        open::check_library()?;
        let lock = open::lock(&lock_path(path, &options))?;
        open::create_file(path)?;
        let database = open::open_writer(path)?;
        schema::migrate(&database)?;
        Self::start(path, options, database, lock)
    }

    /// Opens the database at `path`, and brings its schema up to date.
    ///
    /// # Errors
    /// When it is missing, in use, open to others, altered, or of a later
    /// release. Nothing is changed then.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        open::check_library()?;
        open::check_files(path)?;
        let lock = open::lock(&lock_path(path, &options))?;
        // Opening makes files. On a full disk the reserve gives them room.
        let reserve = open::beside(path, ".reserve");
        let opened = open::open_checked(path);
        let full = |error: &OpenError| open::disk_full(error) && std::fs::remove_file(&reserve).is_ok();
        let database = if opened.as_ref().is_err_and(full) { open::open_checked(path) } else { opened }?;
        schema::migrate(&database)?;
        Self::start(path, options, database, lock)
    }

    fn start(
        path: &Path,
        options: SqliteOptions,
        database: Connection,
        lock: std::fs::File,
    ) -> Result<Self, OpenError> {
        let chain = Chain::load(&database)?;
        let revision = changes::last(&database)?;
        open::check_schema(&database, path)?;
        let connections = readers::open(path, options.readers)?;
        open::check_files(path)?;
        let shared = Arc::new(Shared {
            revision: watch::Sender::new(revision),
            lines: watch::Sender::new(chain.head().seq),
            writable: AtomicBool::new(true),
            relay: Relay::default(),
            #[cfg(test)]
            pages_max: tests::PagesMax::default(),
        });
        let writes = Arc::new(Queue::new(options.write_queue_max));
        let reads = Arc::new(Queue::new(options.read_queue_max));
        let wishes = Arc::new(Wishes::new(1));
        let alarm = Arc::new(Alarm {
            shared: Arc::clone(&shared),
            writes: Arc::clone(&writes),
            on_fatal: Arc::clone(&options.on_fatal),
            raised: AtomicBool::new(false),
        });
        let writer = Writer {
            database,
            queue: Arc::clone(&writes),
            chain,
            revision,
            reserve: Reserve::take(open::beside(path, ".reserve"), options.reserve_bytes),
            options: options.clone(),
            shared: Arc::clone(&shared),
            wal: Wal::new(Arc::clone(&wishes)),
            alarm: Arc::clone(&alarm),
            groups: 0,
            _lock: lock,
        };
        let failed = |source| OpenError::File { what: PathBuf::from("a thread of the store"), source };
        // From here on a store that does not start stops what it started.
        let store = Self { options, shared, writes, reads, wishes, threads: Mutex::default() };
        let writing = Builder::new().name("store-writer".to_owned()).spawn(move || writer.run()).map_err(failed)?;
        store.keep(writing);
        store.keep(checkpointer::start(open::open_writer(path)?, Arc::clone(&store.wishes), alarm).map_err(failed)?);
        for connection in connections {
            store.keep(readers::start(connection, &store.reads).map_err(failed)?);
        }
        Ok(store)
    }

    fn keep(&self, thread: JoinHandle<()>) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    /// Takes nothing new, writes what was accepted, empties the log and
    /// closes the files; later calls answer `Stopped`. Waits for the threads,
    /// so it is not for an async task to call.
    pub fn close(&self) {
        self.writes.close();
        self.reads.close();
        self.wishes.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }

    /// Carries answers to the runtime that polls this, a group at a time; for
    /// as long as it is polled.
    pub async fn carry_answers(&self) {
        self.shared.relay.carry().await;
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// Runs `read` on a reader's connection.
    async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Read = Box::new(move |database| {
            // Whoever went away is not told, and costs nothing.
            if !answer.is_closed() {
                let _ = answer.send(read(database));
            }
        });
        self.reads.put(job)?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    async fn append_line(&self, line: EncodedLine, takes_away: bool) -> Result<Seq, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writes.put(Job::Append { line, takes_away, answer })?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock_path(path: &Path, options: &SqliteOptions) -> PathBuf {
    options.lock_file.clone().unwrap_or_else(|| path.with_file_name("lock"))
}

#[async_trait]
impl Transactions for SqliteStore {
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError> {
        let tx = Box::new(EncodedTx::of(tx)?);
        let (answer, answered) = oneshot::channel();
        self.writes.put(Job::Commit { tx, answer })?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    fn facts(&self) -> StoreFacts {
        StoreFacts {
            backend: format!("sqlite {}", rusqlite::version()),
            schema_version: schema::VERSION,
            writable: self.shared.writable.load(Ordering::Acquire),
        }
    }
}

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
mod guarded;
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
mod seals;
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
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::audit::{Line, Seq};
use crate::domain::Timestamp;
use crate::store::{Committed, Revision, StoreError, StoreFacts, Transactions, Tx};

use alarm::Alarm;
use chain::{Chain, EncodedLine};
use checkpointer::Wishes;
use guarded::{Asked, Guarded};
use queue::Queue;
use readers::Read;
use relay::Relay;
use reserve::Reserve;
use seals::Seals;
use tx::EncodedTx;
use wal::Wal;
use writer::{Job, Writer};

pub use offline::{OfflineError, verify_ledger};
pub use open_error::OpenError;
pub use options::{OnFatal, SqliteOptions};
pub use seals::{RecordMac, Unsealed};

/// What the writer tells everybody.
struct Shared {
    revision: watch::Sender<Revision>,
    lines: watch::Sender<Seq>,
    writable: AtomicBool,
    relay: Relay,
    /// Once records have seals.
    seals: OnceLock<Arc<Seals>>,
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
    /// Reads of many records, for people: they hold up no decision.
    browses: Arc<Queue<Read>>,
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
            seals: OnceLock::new(),
            #[cfg(test)]
            pages_max: tests::PagesMax::default(),
        });
        let writes = Arc::new(Queue::new(options.write_queue_max));
        let reads = Arc::new(Queue::new(options.read_queue_max));
        let browses = Arc::new(Queue::new(options.browse_queue_max));
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
            sealing: None,
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
        let store = Self { options, shared, writes, reads, browses, wishes, threads: Mutex::default() };
        let writing = Builder::new().name("store-writer".to_owned()).spawn(move || writer.run()).map_err(failed)?;
        store.keep(writing);
        store.keep(checkpointer::start(open::open_writer(path)?, Arc::clone(&store.wishes), alarm).map_err(failed)?);
        let browsers = connections.len() / 2;
        for (at, connection) in connections.into_iter().enumerate() {
            let lane = if at < browsers {
                readers::browse(connection, &store.browses)
            } else {
                readers::start(connection, &store.reads)
            };
            store.keep(lane.map_err(failed)?);
        }
        Ok(store)
    }

    /// Holds the records against their seals, from now on also whenever one
    /// is read, and seals what changes. A store with no records gets its first
    /// seals; one with records and no seals only when they are vouched for.
    ///
    /// # Errors
    /// `AlteredRecords` when the records are not those that were sealed;
    /// `Unsealed` when they have no seals; `NotSealed` when they cannot get any.
    pub async fn seal_records(&self, mac: RecordMac, unsealed: Unsealed) -> Result<(), OpenError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || OpenError::NotSealed { why: "the store has stopped" };
        self.writes.put(Job::Seal { mac, unsealed, answer }).map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
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
        self.browses.close();
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
        self.read_by(&self.reads, read).await
    }

    /// The same for what may take long, a few at a time.
    async fn browse<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_by(&self.browses, read).await
    }

    async fn read_by<T, F>(&self, lane: &Queue<Read>, read: F) -> Result<T, StoreError>
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
        lane.put(job)?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// The same for records that decide: each is held against its seal.
    async fn read_guarded<T, F>(&self, asked: Asked, read: F) -> Result<Vec<T>, StoreError>
    where
        T: Guarded + Send + 'static,
        F: FnOnce(&Connection) -> Result<Vec<T>, StoreError> + Send + 'static,
    {
        let Some(seals) = self.shared.seals.get().cloned() else { return self.read(read).await };
        self.read(move |database| {
            let tags = seals.hold();
            // Record and seal are looked at in one state of the file.
            let snapshot = database.unchecked_transaction()?;
            let found = read(&snapshot)?;
            for record in &found {
                seals.check(&tags, &snapshot, record)?;
                if !record.answers(&asked) {
                    tracing::error!(noun = T::SEALED_AS, "a row in the store leads to a record that was not asked for");
                    return Err(seals::ALTERED);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn read_one<T, F>(&self, asked: Asked, read: F) -> Result<T, StoreError>
    where
        T: Guarded + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let found = self.read_guarded(asked, move |database| Ok(vec![read(database)?])).await?;
        found.into_iter().next().ok_or(StoreError::NotFound)
    }

    /// The line with the revision of now, when records have seals.
    fn at_revision(&self, line: &mut Line) {
        if self.shared.seals.get().is_some() {
            line.store_revision = Some(self.shared.revision.borrow().0);
        }
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
    async fn commit(&self, mut tx: Tx) -> Result<Committed, StoreError> {
        tx.lines.iter_mut().for_each(|line| self.at_revision(line));
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

//! What the daemon decides about its store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::Clock;
use crate::store::limits::RECORDS_MAX;

/// What is called once, from the writer's thread, when nothing may be written
/// any more; the daemon exits, and the next start recovers from the log.
pub type OnFatal = Arc<dyn Fn(&'static str) + Send + Sync>;

/// How a store is run.
#[derive(Clone)]
pub struct SqliteOptions {
    /// The wall clock of expiries and of what is kept for a time.
    pub clock: Arc<dyn Clock>,
    /// Called on an error that is final.
    pub on_fatal: OnFatal,
    /// The file whose lock says that the store is in use; `lock` beside the
    /// database when none is named.
    pub lock_file: Option<PathBuf>,
    /// Writes that may wait: a line for each of as many asks as may wait for
    /// one mint. At 50,000 a second this is 330 ms of waiting.
    pub write_queue_max: usize,
    /// Reads that may wait.
    pub read_queue_max: usize,
    /// Lists and audit queries that may wait; more are told to come again.
    pub browse_queue_max: usize,
    /// Threads that read, each with a connection: half of them what is listed.
    pub readers: usize,
    /// Transactions that share one fsync.
    pub batch_max: usize,
    /// Bytes beside the database that are freed when the disk is full, so
    /// that the failure itself and revocations can still be written.
    pub reserve_bytes: u64,
    /// Records of one noun in one project.
    pub records_max: u32,
}

impl SqliteOptions {
    /// The defaults of a daemon.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, on_fatal: OnFatal) -> Self {
        Self {
            clock,
            on_fatal,
            lock_file: None,
            write_queue_max: 16_384,
            read_queue_max: 4096,
            browse_queue_max: 512,
            readers: 4,
            batch_max: 256,
            reserve_bytes: 8 * 1024 * 1024,
            records_max: RECORDS_MAX,
        }
    }
}

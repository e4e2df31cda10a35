//! The embedded store under the suite of all stores, and what is its own.

mod disk;
mod files;
mod lanes;
mod log;
mod offline;
mod seals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::domain::{Clock, ManualClock, Timestamp};
use crate::store::conformance::{Subject, conformance};
use crate::store::{SqliteOptions, SqliteStore};

/// How far the database may grow, in pages: a disk that is full when a test
/// says so. 0 leaves it as it is.
#[derive(Default)]
pub(super) struct PagesMax(AtomicU32);

impl super::Shared {
    pub(super) fn limit_pages(&self, database: &rusqlite::Connection) {
        let pages = self.pages_max.0.swap(0, Ordering::SeqCst);
        if pages > 0 {
            database.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        }
    }
}

impl SqliteStore {
    /// No page more than there are.
    fn fill_disk(&self) {
        self.shared.pages_max.0.store(1, Ordering::SeqCst);
    }

    fn empty_disk(&self) {
        self.shared.pages_max.0.store(1_000_000, Ordering::SeqCst);
    }
}

/// A folder with a database, to be opened in any way.
struct Folder {
    folder: TempDir,
    clock: Arc<ManualClock>,
    fatal: Arc<AtomicUsize>,
}

impl Folder {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        Self { folder: tempfile::tempdir().unwrap(), clock, fatal: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn file(&self, suffix: &str) -> PathBuf {
        super::open::beside(&self.path(), suffix)
    }

    fn options(&self) -> SqliteOptions {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let fatal = Arc::clone(&self.fatal);
        let on_fatal = Arc::new(move |_: &'static str| {
            fatal.fetch_add(1, Ordering::SeqCst);
        });
        SqliteOptions { readers: 2, reserve_bytes: 64 * 1024, ..SqliteOptions::new(clock, on_fatal) }
    }

    fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    fn create(&self) -> SqliteStore {
        SqliteStore::create(&self.path(), self.options()).unwrap()
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), self.options()).unwrap()
    }
}

fn plain(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

fn subject() -> Subject {
    let folder = Folder::new();
    let store = Arc::new(folder.create());
    let clock = folder.clock.clone();
    Subject { store, clock, keep: Box::new(folder) }
}

mod suite {
    use super::subject;

    super::conformance!(subject);
}

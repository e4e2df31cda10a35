//! Opens the files of a store: modes, the lock, and how connections are set.
//!
//! Never opens what others may read, and never makes a database where one is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use rustix::fs::{FlockOperation, flock};

use super::open_error::OpenError;
use super::schema;

/// 3.7.0 to 3.51.2 can corrupt a database when two connections write and
/// checkpoint at once.
const LIBRARY_MIN: i32 = 3_051_003;
/// Only an offline verifier or a backup ever holds a lock against us.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Each noun has a handful of statements; all of them stay prepared.
const STATEMENTS_KEPT: usize = 160;
/// KiB of page cache; the kernel's own cache holds the rest.
const WRITER_CACHE_KIB: i64 = 8 * 1024;
const READER_CACHE_KIB: i64 = 2 * 1024;

/// The path with `suffix` after its last character, as SQLite names its files.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the lock, or says who is in the way.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::File { what: path.to_owned(), source };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => OpenError::InUse { lock: path.to_owned() },
        other => failed(other.into()),
    })?;
    Ok(file)
}

/// Makes an empty file that only its owner may read.
pub(super) fn create_file(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
            Err(OpenError::Exists { path: path.to_owned() })
        }
        Err(source) => Err(OpenError::File { what: path.to_owned(), source }),
    }
}

/// Refuses a missing database and files that others may read or write.
pub(super) fn check_files(path: &Path) -> Result<(), OpenError> {
    if !check_mode(path)? {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    for suffix in ["-wal", "-shm"] {
        check_mode(&beside(path, suffix))?;
    }
    Ok(())
}

/// Whether the file is there; an error when it is loose.
fn check_mode(file: &Path) -> Result<bool, OpenError> {
    let found = match std::fs::symlink_metadata(file) {
        Ok(found) => found,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(OpenError::File { what: file.to_owned(), source }),
    };
    let mode = found.mode() & 0o7777;
    if !found.is_file() || mode & 0o077 != 0 {
        return Err(OpenError::LooseMode { file: file.to_owned(), mode });
    }
    Ok(true)
}

pub(super) fn check_library() -> Result<(), OpenError> {
    if rusqlite::version_number() < LIBRARY_MIN {
        return Err(OpenError::OldLibrary { found: rusqlite::version() });
    }
    Ok(())
}

/// The one connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    guard(&connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    // Kept across openings; a no-op but for a fresh database.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The writer checkpoints by itself, so that it sees a failed fsync.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// The one connection that writes, to a database that is ours.
pub(super) fn open_checked(path: &Path) -> Result<Connection, OpenError> {
    let connection = open_writer(path)?;
    check_schema(&connection, path)?;
    Ok(connection)
}

/// Whether a database did not open because there was no room for its log and
/// the index of that.
pub(super) fn disk_full(error: &OpenError) -> bool {
    let OpenError::Database(rusqlite::Error::SqliteFailure(failure, _)) = error else { return false };
    failure.code == ErrorCode::DiskFull || failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE
}

/// A connection that cannot write.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    guard(&connection, READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A database that somebody altered must not run anything.
fn guard(connection: &Connection, cache_kib: i64) -> Result<(), OpenError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

/// Ours, of a version we know, unaltered.
pub(super) fn check_schema(connection: &Connection, path: &Path) -> Result<u32, OpenError> {
    if schema::application_id(connection)? != schema::APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let version = schema::version(connection)?;
    if version > schema::VERSION {
        return Err(OpenError::NewerSchema { found: version, known: schema::VERSION });
    }
    if !schema::unaltered(connection, version)? {
        return Err(OpenError::AlteredSchema { version });
    }
    Ok(version)
}

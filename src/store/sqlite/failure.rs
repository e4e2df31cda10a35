//! What SQLite's errors mean here.
//!
//! An I/O error is final: after a failed fsync Linux may mark the pages clean,
//! so a second COMMIT could succeed without anything on disk. A full disk is
//! not: nothing was acknowledged, and space may return.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

use super::queue::Refusal;

/// Why a write was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// This transaction is refused; others of its group go on.
    Refused(StoreError),
    /// The group is rolled back; reads go on, and so do later writes.
    Unwritable(&'static str),
    /// Nothing may be written any more.
    Fatal(&'static str),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error::SqliteFailure(failure, _) = &error else {
            return Self::Refused(error.into());
        };
        match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return Self::Refused(StoreError::NotFound),
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                return Self::Refused(StoreError::NameTaken);
            }
            // The shared-memory index could not grow: the disk is full, and
            // nothing of the database was written or synced yet.
            ffi::SQLITE_IOERR_SHMSIZE => return Self::Unwritable("the disk is full"),
            _ => {}
        }
        match meaning(failure.code) {
            Meaning::Refused => Self::Refused(StoreError::Corrupt { what: "a value that the schema refuses" }),
            Meaning::Full => Self::Unwritable("the disk is full"),
            Meaning::ReadOnly => Self::Unwritable("the database is read-only"),
            Meaning::Busy => Self::Unwritable("another process writes to the database"),
            Meaning::Io => Self::Fatal("the disk failed while writing"),
            Meaning::Damaged => Self::Fatal("the database is damaged"),
            Meaning::Other => Self::Unwritable("the database refused a statement"),
        }
    }
}

enum Meaning {
    Full,
    ReadOnly,
    Busy,
    Io,
    Damaged,
    Refused,
    Other,
}

// The enum of the library is open: an unknown code is `Other`.
#[allow(clippy::wildcard_enum_match_arm)]
const fn meaning(code: ErrorCode) -> Meaning {
    match code {
        ErrorCode::DiskFull => Meaning::Full,
        ErrorCode::ReadOnly => Meaning::ReadOnly,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Meaning::Busy,
        ErrorCode::SystemIoFailure => Meaning::Io,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Meaning::Damaged,
        ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch => Meaning::Refused,
        _ => Meaning::Other,
    }
}

/// For reads.
impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if matches!(error, Error::QueryReturnedNoRows) {
            return Self::NotFound;
        }
        let Error::SqliteFailure(failure, _) = &error else {
            return Self::Corrupt { what: "a column" };
        };
        match meaning(failure.code) {
            Meaning::Io => Self::Corrupt { what: "the disk failed while reading" },
            Meaning::Damaged => Self::Corrupt { what: "the database is damaged" },
            Meaning::Busy | Meaning::Full | Meaning::ReadOnly | Meaning::Refused | Meaning::Other => {
                Self::Corrupt { what: "the database refused a query" }
            }
        }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Full,
            Refusal::Closed => Self::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> Failure {
        Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn every_io_error_is_final_and_a_full_disk_is_not() {
        for code in [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_TRUNCATE,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
        ] {
            assert!(matches!(of(code), Failure::Fatal(_)), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_READONLY, ffi::SQLITE_BUSY] {
            assert!(matches!(of(code), Failure::Unwritable(_)), "{code}");
        }
    }

    #[test]
    fn a_constraint_refuses_one_transaction_only() {
        assert!(matches!(of(ffi::SQLITE_CONSTRAINT_UNIQUE), Failure::Refused(StoreError::NameTaken)));
        assert!(matches!(of(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), Failure::Refused(StoreError::NotFound)));
    }
}

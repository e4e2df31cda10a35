//! Why a store does not open. Each says what to do.

use std::path::PathBuf;

/// Why not. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no database.
    #[error("there is no database at {path}: make one with `valetkey init`")]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a database at {path} already: nothing is overwritten")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Another process has it.
    #[error("the store is in use: another process holds the lock on {lock}")]
    InUse {
        /// The locked file.
        lock: PathBuf,
    },
    /// Others than the owner may read or write a file of it.
    #[error("{file} is open to others (mode {mode:04o}): it must be a regular file with mode 0600")]
    LooseMode {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The linked SQLite can corrupt a database with two connections.
    #[error("SQLite {found} is linked; 3.51.3 is the first without the log-reset bug")]
    OldLibrary {
        /// Its version.
        found: &'static str,
    },
    /// It is a database of something else.
    #[error("{path} is not a database of valetkey")]
    Foreign {
        /// Where.
        path: PathBuf,
    },
    /// It was written by a later release.
    #[error("the schema has version {found}; this release knows {known} at most: run the release that wrote it")]
    NewerSchema {
        /// The stored version.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// Its tables are not those of its version.
    #[error("the schema of version {version} was altered: restore a backup")]
    AlteredSchema {
        /// The stored version.
        version: u32,
    },
    /// The last line of the ledger does not hash to what is stored.
    #[error("the last line of the ledger was altered: run `valetkey audit verify`")]
    AlteredLedger,
    /// The records are not those that were sealed.
    #[error("the records of the store were altered, or put back as they were before ({what}): restore a backup")]
    AlteredRecords {
        /// In our own words.
        what: &'static str,
    },
    /// They have no seals.
    #[error(
        "the records of the store have no seals: if a release that made none has served it until now, vouch for them \
         once with `valetkey serve --seal-records`; else somebody took the seals away: restore a backup"
    )]
    Unsealed,
    /// They cannot get seals.
    #[error("the records of the store cannot be sealed: {why}")]
    NotSealed {
        /// In our own words.
        why: &'static str,
    },
    /// A file does not open.
    #[error("{what} does not open")]
    File {
        /// The file.
        what: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refuses.
    #[error("the database does not open")]
    Database(#[from] rusqlite::Error),
}

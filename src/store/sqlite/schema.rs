//! The migrations, and whether a database has the tables of its version.
//!
//! A migration that was released is never edited: its digest is written here.

use rusqlite::Connection;
use sha2::{Digest, Sha256};

/// `vkdb`, in the header of the file.
pub(super) const APPLICATION_ID: i32 = 0x766b_6462;
/// The newest version.
pub(super) const VERSION: u32 = 5;

/// From version n to n + 1, and the digest of the schema that results.
struct Migration {
    sql: &'static str,
    digest: &'static str,
}

const MIGRATIONS: [Migration; VERSION as usize] = [
    Migration {
        sql: include_str!("migrations/0001_initial.sql"),
        digest: "3f15febbda700deae0050cd212221aa0e0712da644690a8065b67ea2cc8129c7",
    },
    Migration {
        sql: include_str!("migrations/0002_issuer_keys.sql"),
        digest: "b7b31867bffe1bd60eb3183f33afa9b136bd477ad618ebe3342057dd4aa6bbda",
    },
    Migration {
        sql: include_str!("migrations/0003_runs.sql"),
        digest: "56c82397a70dad36a7d2043d14769ca966e2c1e5e0b4f0e42b06e94672e05e64",
    },
    Migration {
        sql: include_str!("migrations/0004_runs_over.sql"),
        digest: "4b4e67bb1f4549c0d3590b80132ea9fcd8c5a37b537c5232558bf69f9d54cfe6",
    },
    Migration {
        sql: include_str!("migrations/0005_record_seals.sql"),
        digest: "243fa65c90315e597692f2bf38ffc336abc6e70c1c1abdc9ac7ee693bd79174b",
    },
];

pub(super) fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings the schema to the newest version; each migration is a transaction.
pub(super) fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    let from = version(connection)?;
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(from as usize) {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(migration.sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i64::try_from(at + 1).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

/// Whether the tables, indexes and triggers are those of `version`.
pub(super) fn unaltered(connection: &Connection, version: u32) -> rusqlite::Result<bool> {
    let expected = (version as usize).checked_sub(1).and_then(|at| MIGRATIONS.get(at));
    let Some(expected) = expected else { return Ok(false) };
    Ok(digest(connection)? == expected.digest)
}

/// SHA-256 over what the schema table says, in order of names, with the white
/// space of the statements folded.
fn digest(connection: &Connection) -> rusqlite::Result<String> {
    const SCHEMA: &str = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name";
    let mut statement = connection.prepare(SCHEMA)?;
    let mut rows = statement.query([])?;
    let mut hash = Sha256::new();
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            let text: String = row.get(column)?;
            let folded: Vec<&str> = text.split_whitespace().collect();
            hash.update(folded.join(" "));
            hash.update([0]);
        }
    }
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_give_the_schema_that_was_released() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection).unwrap();
        assert_eq!(version(&connection).unwrap(), VERSION);
        assert_eq!(digest(&connection).unwrap(), MIGRATIONS.last().unwrap().digest);
    }

    #[test]
    fn a_store_of_each_earlier_release_is_known_and_brought_up_to_date() {
        for (at, migration) in MIGRATIONS.iter().enumerate() {
            let connection = Connection::open_in_memory().unwrap();
            for earlier in &MIGRATIONS[..=at] {
                connection.execute_batch(earlier.sql).unwrap();
            }
            let released = u32::try_from(at).unwrap() + 1;
            connection.pragma_update(None, "user_version", released).unwrap();
            assert_eq!(digest(&connection).unwrap(), migration.digest, "version {released}");
            assert!(unaltered(&connection, released).unwrap());
            migrate(&connection).unwrap();
            assert!(unaltered(&connection, VERSION).unwrap());
        }
    }

    #[test]
    fn one_more_column_or_a_dropped_trigger_is_noticed() {
        for alteration in [
            "DROP TRIGGER ledger_is_never_deleted",
            "ALTER TABLE tokens ADD COLUMN extra TEXT",
            "CREATE VIEW v AS SELECT 1",
            "DROP INDEX bindings_of_owners",
        ] {
            let connection = Connection::open_in_memory().unwrap();
            migrate(&connection).unwrap();
            assert!(unaltered(&connection, VERSION).unwrap());
            connection.execute_batch(alteration).unwrap();
            assert!(!unaltered(&connection, VERSION).unwrap(), "{alteration}");
            assert!(!unaltered(&connection, 0).unwrap());
        }
    }
}

//! What the store says, held against the diary. Looks at the database itself, read-only, beside the daemon.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde_json::Value;
use uuid::Uuid;

use super::diary::Promises;
use crate::rig::vault::Vault;

/// The ledger as read so far; each reading goes on where the last one ended.
#[derive(Default)]
pub struct Evidence {
    last: u64,
    open: BTreeSet<u64>,
    issuances: BTreeMap<String, Lines>,
    /// Intents that the daemon closed because it did not know their end.
    pub unknown: u64,
}

/// The lines of one issuance.
#[derive(Default)]
struct Lines {
    intent: bool,
    result: bool,
    hand_outs: u32,
}

impl Evidence {
    /// Checks, right after a start and before the next load, that everything promised is there.
    pub fn check(&mut self, vault: &Vault, promises: &Promises) {
        let database = vault.database();
        self.read_ledger(&database);
        assert!(self.open.is_empty(), "intents are still open after a start: {:?}", self.open);
        let open: u64 = count(&database, "SELECT count(*) FROM open_intents");
        assert_eq!(open, 0, "the store says that intents are open after a start");
        check_records(&database, promises);
        self.check_hand_outs(promises);
    }

    /// Every credential that somebody received has its lines.
    fn check_hand_outs(&self, promises: &Promises) {
        for (issuance, received) in &promises.hand_outs {
            let lines = self.issuances.get(issuance).unwrap_or_else(|| panic!("issuance {issuance} has no line"));
            assert!(lines.intent, "issuance {issuance} was handed out without an intent");
            assert!(lines.result, "issuance {issuance} was handed out without a result");
            let written = lines.hand_outs;
            assert!(written >= *received, "{issuance} was received {received} times, {written} were written");
        }
    }

    fn read_ledger(&mut self, database: &Connection) {
        const NEWER: &str = "SELECT seq, body FROM ledger WHERE seq > ?1 ORDER BY seq";
        let mut statement = database.prepare(NEWER).expect("the ledger is there");
        let mut rows = statement.query([self.last as i64]).expect("the ledger can be read");
        while let Some(row) = rows.next().expect("the ledger can be read") {
            let (seq, body): (i64, Vec<u8>) = (row.get(0).expect("a number"), row.get(1).expect("bytes"));
            let seq = number(seq);
            assert_eq!(seq, self.last + 1, "the ledger has a gap");
            self.last = seq;
            self.take(seq, &serde_json::from_slice(&body).expect("a line is JSON"));
        }
    }

    fn take(&mut self, seq: u64, line: &Value) {
        let lines = line["issuance"].as_str().map(|id| self.issuances.entry(id.to_owned()).or_default());
        match line["kind"].as_str() {
            Some("intent") => {
                self.open.insert(seq);
                if let Some(lines) = lines {
                    lines.intent = true;
                }
            }
            Some("result") => {
                let intent = line["intent"].as_u64().expect("a result names its intent");
                assert!(self.open.remove(&intent), "line {seq} closes {intent}, which is not open");
                let unknown = line["outcome"] == "unknown";
                self.unknown += u64::from(unknown);
                assert!(!unknown || line["reason"] == "DAEMON_STOPPED", "{line}");
                if let (Some(lines), "ok") = (lines, line["outcome"].as_str().unwrap_or_default()) {
                    lines.result = true;
                }
            }
            Some("single") => {
                if let (Some(lines), "HANDED_OUT") = (lines, line["reason"].as_str().unwrap_or_default()) {
                    assert!(lines.intent && lines.result, "line {seq} hands out what has no result yet: {line}");
                    lines.hand_outs += 1;
                }
            }
            other => panic!("a line of kind {other:?}: {line}"),
        }
    }
}

/// `PRAGMA integrity_check`, and `valetkey audit verify`.
pub fn check_whole(vault: &Vault) {
    let database = vault.database();
    let found: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be read");
    assert_eq!(found, "ok");
    let broken: u64 = count(&database, "SELECT count(*) FROM pragma_foreign_key_check");
    assert_eq!(broken, 0, "rows refer to rows that are not there");
    let data = vault.data();
    let data = data.to_str().expect("the path is UTF-8");
    vault.cli("owner", &["audit", "verify", "--data-dir", data]).ok();
}

fn check_records(database: &Connection, promises: &Promises) {
    const CONNECTORS: &str = "SELECT c.id, c.version, coalesce(min(f.secret_version), 0), count(f.field) \
                              FROM connectors c LEFT JOIN sealed_fields f ON f.connector = c.id GROUP BY c.id";
    let rows = records(database, CONNECTORS, |row| {
        Ok((id(row.get(0)?), (number(row.get(1)?), number(row.get(2)?), number(row.get(3)?))))
    });
    let connectors: BTreeMap<String, (u64, u64, u64)> = rows.into_iter().collect();
    for (id, (version, secret)) in &promises.connectors {
        let name = promises.names.get(id).map_or("?", String::as_str);
        let Some((found, found_secret, fields)) = connectors.get(id) else { panic!("connector {name} ({id}) is lost") };
        assert!(found >= version, "{name}: version {version} was acknowledged, {found} is stored");
        assert!(found_secret >= secret, "{name}: secret {secret} was acknowledged, {found_secret} is stored");
        assert_eq!(*fields, 2, "{name}: a sealed field is missing");
    }
    let components: BTreeSet<String> =
        records(database, "SELECT id FROM components", |row| Ok(id(row.get(0)?))).into_iter().collect();
    let lost: Vec<_> = promises.components.difference(&components).collect();
    assert!(lost.is_empty(), "components are lost: {lost:?}");
    let tokens: BTreeSet<String> = records(database, "SELECT id FROM tokens", |row| row.get(0)).into_iter().collect();
    let lost: Vec<_> = promises.tokens.difference(&tokens).collect();
    assert!(lost.is_empty(), "tokens are lost: {lost:?}");
    let back: Vec<_> = promises.revoked.intersection(&tokens).collect();
    assert!(back.is_empty(), "revoked tokens are back: {back:?}");
}

fn records<T>(database: &Connection, sql: &str, read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let mut statement = database.prepare(sql).expect("the table is there");
    let rows = statement.query_map([], |row| read(row)).expect("the table can be read");
    rows.map(|row| row.expect("a row can be read")).collect()
}

fn count(database: &Connection, sql: &str) -> u64 {
    database.query_row(sql, [], |row| row.get(0)).map(number).expect("the table can be read")
}

fn number(stored: i64) -> u64 {
    u64::try_from(stored).expect("it is not negative")
}

fn id(bytes: [u8; 16]) -> String {
    Uuid::from_bytes(bytes).hyphenated().to_string()
}

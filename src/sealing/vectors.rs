//! Golden vectors of the sealed format: records that must open in every later
//! version, and records that must never open, each with the reason.
//!
//! Compiled for tests only. Owns `tests/golden/sealed_vectors.json`.

mod issuer_key;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{ConnectorId, ConnectorTypeName, ProjectId, SecretFieldName};

use super::context::{Place, SealContext};
use super::envelope::{KeyId, Record, seal};
use super::fresh::Fresh;
use super::seeded::Seeded;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sealed_vectors.json");

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Vector {
    name: String,
    opens: bool,
    why: String,
    key: String,
    project: ProjectId,
    connector: ConnectorId,
    connector_type: String,
    field: String,
    fields: Vec<String>,
    secret_version: u64,
    destination: String,
    record: String,
    plaintext: Option<String>,
}

impl Vector {
    fn of(name: &str, plaintext: &[u8]) -> Self {
        let mut vector = Self {
            name: name.to_owned(),
            opens: true,
            why: "opens in the context it was sealed for".to_owned(),
            key: hex::encode([0x11; 32]),
            project: ProjectId::from_bytes([0x22; 16]),
            connector: ConnectorId::from_bytes([0x33; 16]),
            connector_type: "aws".to_owned(),
            field: "aws_secret_access_key".to_owned(),
            fields: ["aws_access_key_id", "aws_secret_access_key"].map(str::to_owned).to_vec(),
            secret_version: 7,
            destination: hex::encode([0x44; 32]),
            record: String::new(),
            plaintext: Some(hex::encode(plaintext)),
        };
        let fresh = Fresh::new(Arc::new(Seeded::new(plaintext.len() as u8)));
        let record = vector.at(|place| seal(&key(&vector.key), KeyId([0x55; 16]), place, plaintext, &fresh)).unwrap();
        vector.record = hex::encode(record.as_bytes());
        vector
    }

    /// The same vector with one thing changed, so that it must not open.
    fn but(&self, name: &str, why: &str, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed =
            Self { name: name.to_owned(), why: why.to_owned(), opens: false, plaintext: None, ..self.clone() };
        change(&mut changed);
        changed
    }

    fn at<R>(&self, run: impl FnOnce(&Place<'_>) -> R) -> R {
        let context = SealContext {
            project: self.project,
            connector: self.connector,
            connector_type: ConnectorTypeName::parse(&self.connector_type).unwrap(),
            secret_version: self.secret_version,
            destination: key(&self.destination),
        };
        let names: Vec<_> = self.fields.iter().map(|name| SecretFieldName::parse(name).unwrap()).collect();
        let names: Vec<_> = names.iter().collect();
        let field = SecretFieldName::parse(&self.field).unwrap();
        run(&Place::SourceField { context: &context, field: &field, names: &names })
    }

    fn open(&self) -> Option<String> {
        let bytes = hex::decode(&self.record).unwrap();
        let record = Record::parse(&bytes)?;
        self.at(|place| record.open(&key(&self.key), place)).ok().map(|plain| hex::encode(&*plain))
    }
}

fn key(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// Flips the lowest bit of the byte at `at`.
fn flip(record: &mut String, at: usize) {
    let mut bytes = hex::decode(&*record).unwrap();
    bytes[at] ^= 1;
    *record = hex::encode(bytes);
}

fn vectors() -> Vec<Vector> {
    let good = Vector::of("a secret key", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let empty = Vector::of("an empty value", b"");
    let long = Vector::of("a value of 1,000 bytes", &[0xAB; 1000]);
    let last = good.record.len() / 2 - 1;
    let mut all = vec![good.clone(), empty, long];
    for (at, part) in [
        (0, "magic"),
        (4, "format"),
        (5, "algorithm"),
        (6, "key id"),
        (22, "salt"),
        (54, "nonce"),
        (66, "commitment"),
        (98, "ciphertext"),
        (last, "tag"),
    ] {
        all.push(good.but(&format!("flipped {part}"), "one bit of the record differs", |v| flip(&mut v.record, at)));
    }
    let other = hex::encode([0x99; 32]);
    all.extend([
        good.but("cut by one byte", "the tag is cut", |v| v.record.truncate(last * 2)),
        good.but("cut in the header", "shorter than a header", |v| v.record.truncate(100)),
        good.but("nothing", "no record", |v| v.record.clear()),
        good.but("one byte more", "the tag is not at the end", |v| v.record.push_str("00")),
        good.but("other key", "the commitment is to another key", |v| v.key = other.clone()),
        good.but("other project", "the context differs", |v| v.project = ProjectId::from_bytes([0x23; 16])),
        good.but("other connector", "the context differs", |v| v.connector = ConnectorId::from_bytes([0x34; 16])),
        good.but("other type", "the context differs", |v| v.connector_type = "gcp".to_owned()),
        good.but("other field", "the context differs", |v| v.field = "aws_access_key_id".to_owned()),
        good.but("a field dropped", "the context names all fields", |v| v.fields.truncate(1)),
        good.but("older version", "the context differs", |v| v.secret_version = 6),
        good.but("edited endpoint", "the destination differs", |v| v.destination = other),
    ]);
    all
}

#[test]
#[allow(clippy::disallowed_methods, reason = "VALETKEY_BLESS=1 rewrites the golden file")]
fn the_format_is_the_committed_one() {
    let mut now = serde_json::to_string_pretty(&vectors()).unwrap();
    now.push('\n');
    if std::env::var_os("VALETKEY_BLESS").is_some() {
        std::fs::write(PATH, &now).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(now == committed, "the sealed format changed: a new format needs a new format byte, and new vectors");
}

#[test]
fn committed_vectors_open_or_fail_as_they_say() {
    let committed: Vec<Vector> = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert!(committed.iter().filter(|v| v.opens).count() >= 3 && committed.iter().filter(|v| !v.opens).count() >= 20);
    for vector in committed {
        assert_eq!(vector.open(), vector.plaintext, "{}: {}", vector.name, vector.why);
        assert_eq!(vector.opens, vector.plaintext.is_some());
    }
}

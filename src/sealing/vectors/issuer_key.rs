//! Golden vectors of sealed signing keys: one that must open in every later
//! version, and what must never open as one, or in the place of another.
//!
//! Owns `tests/golden/issuer_key_vectors.json`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{ConnectorId, ConnectorTypeName, IssuerKeyId, KekId, ProjectId, SecretFieldName};
use crate::sealing::context::{Place, SealContext};
use crate::sealing::envelope::{KeyId, Record, seal};
use crate::sealing::fresh::Fresh;
use crate::sealing::seeded::Seeded;

use super::{flip, key};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/issuer_key_vectors.json");
const ROOT: KeyId = KeyId([0x55; 16]);

/// Where a vector is opened.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Purpose {
    IssuerKey,
    ProjectKey,
    SourceField,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Vector {
    name: String,
    why: String,
    key: String,
    purpose: Purpose,
    id: String,
    record: String,
    plaintext: Option<String>,
}

impl Vector {
    fn of(name: &str, purpose: Purpose, plaintext: &[u8]) -> Self {
        let mut vector = Self {
            name: name.to_owned(),
            why: "opens for the purpose and the name it was sealed for".to_owned(),
            key: hex::encode([0x11; 32]),
            purpose,
            id: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".to_owned(),
            record: String::new(),
            plaintext: Some(hex::encode(plaintext)),
        };
        let fresh = Fresh::new(Arc::new(Seeded::new(plaintext.len() as u8)));
        let record = vector.at(|place| seal(&key(&vector.key), ROOT, place, plaintext, &fresh)).unwrap();
        vector.record = hex::encode(record.as_bytes());
        vector
    }

    fn but(&self, name: &str, why: &str, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = Self { name: name.to_owned(), why: why.to_owned(), plaintext: None, ..self.clone() };
        change(&mut changed);
        changed
    }

    /// The same bytes as id and key everywhere, so that the purpose alone is
    /// what tells the places apart.
    fn at<R>(&self, run: impl FnOnce(&Place<'_>) -> R) -> R {
        let id = IssuerKeyId::parse(&self.id).unwrap();
        let context = SealContext {
            project: ProjectId::from_bytes([0x22; 16]),
            connector: ConnectorId::from_bytes([0x33; 16]),
            connector_type: ConnectorTypeName::parse("aws").unwrap(),
            secret_version: 1,
            destination: [0x44; 32],
        };
        let field = SecretFieldName::parse("issuer_key").unwrap();
        match self.purpose {
            Purpose::IssuerKey => run(&Place::IssuerKey { id: &id }),
            Purpose::ProjectKey => {
                run(&Place::ProjectKey { project: context.project, id: KekId::from_bytes([0x66; 16]) })
            }
            Purpose::SourceField => run(&Place::SourceField { context: &context, field: &field, names: &[&field] }),
        }
    }

    fn open(&self) -> Option<String> {
        let bytes = hex::decode(&self.record).unwrap();
        let record = Record::parse(&bytes)?;
        self.at(|place| record.open(&key(&self.key), place)).ok().map(|plain| hex::encode(&*plain))
    }
}

fn vectors() -> Vec<Vector> {
    let good = Vector::of("a signing key", Purpose::IssuerKey, b"no key, but as secret as one");
    let project = Vector::of("a project key", Purpose::ProjectKey, &[0xAB; 32]);
    let source = Vector::of("a source credential", Purpose::SourceField, b"wJalrXUtnFEMI/K7MDENG");
    let last = good.record.len() / 2 - 1;
    let moved = "no record of one purpose opens for another";
    vec![
        good.but("another name", "bound to the key's own name", |v| v.id = "A".repeat(43)),
        good.but("other root key", "the commitment is to another key", |v| v.key = hex::encode([0x99; 32])),
        good.but("flipped ciphertext", "one bit of the record differs", |v| flip(&mut v.record, 98)),
        good.but("flipped tag", "one bit of the record differs", |v| flip(&mut v.record, last)),
        good.but("as a project key", moved, |v| v.purpose = Purpose::ProjectKey),
        good.but("as a source credential", moved, |v| v.purpose = Purpose::SourceField),
        project.but("a project key as a signing key", moved, |v| v.purpose = Purpose::IssuerKey),
        source.but("a source credential as a signing key", moved, |v| v.purpose = Purpose::IssuerKey),
        good,
        project,
        source,
    ]
}

#[test]
#[allow(clippy::disallowed_methods, reason = "VALETKEY_BLESS=1 rewrites the golden file")]
fn the_format_of_issuer_keys_is_the_committed_one() {
    let mut now = serde_json::to_string_pretty(&vectors()).unwrap();
    now.push('\n');
    if std::env::var_os("VALETKEY_BLESS").is_some() {
        std::fs::write(PATH, &now).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(now == committed, "the sealed format changed: a new format needs a new format byte, and new vectors");
}

#[test]
fn committed_issuer_keys_open_or_fail_as_they_say() {
    let committed: Vec<Vector> = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert_eq!(committed.iter().filter(|vector| vector.plaintext.is_none()).count(), 8);
    for vector in committed {
        assert_eq!(vector.open(), vector.plaintext, "{}: {}", vector.name, vector.why);
    }
}

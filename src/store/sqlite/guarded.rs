//! The records that have seals: what each was asked for by, and what its own
//! row says.
//!
//! Owns the statements that a seal is made and checked with: every column of a
//! row, and nothing that another row says in its place.

use std::fmt::Display;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::domain::{
    Binding, BindingId, Component, Connector, Principal, PrincipalId, Project, ProjectId, Run, Stack, TokenRecord,
};
use crate::store::StoreError;

use super::failure::Failure;
use super::named::{Named as _, body};
use super::{bindings, projects, tokens};

/// A record that has a seal.
pub(super) trait Guarded: PartialEq + Sized {
    const SEALED_AS: &'static str;
    fn seal_key(&self) -> String;
    /// Of a row that the `select` of its noun gives.
    fn of_row(row: &Row<'_>) -> Result<Self, StoreError>;
    /// Whether this is what was asked for: a row beside it could lead here.
    fn answers(&self, asked: &Asked) -> bool;
}

/// What a record was looked up by. What is not set is not looked at.
pub(super) struct Asked {
    pub(super) project: Option<ProjectId>,
    /// A name, an id or the beginning of one.
    pub(super) text: Option<String>,
    /// Whose it is.
    pub(super) principal: Option<PrincipalId>,
}

impl Asked {
    pub(super) fn text(project: ProjectId, text: &str) -> Self {
        Self { project: Some(project), text: Some(text.to_owned()), principal: None }
    }

    pub(super) fn id(project: ProjectId, id: impl Display) -> Self {
        Self::text(project, &id.to_string())
    }

    fn fits(&self, project: ProjectId, name: &str, key: &str, principal: Option<PrincipalId>) -> bool {
        self.project.is_none_or(|asked| asked == project)
            && self.text.as_ref().is_none_or(|asked| asked == name || key.starts_with(asked))
            && (self.principal.is_none() || self.principal == principal)
    }
}

macro_rules! guarded {
    ($($record:ty: $principal:expr;)*) => {$(
        impl Guarded for $record {
            const SEALED_AS: &'static str = <$record>::NOUN;
            fn seal_key(&self) -> String {
                self.id.to_string()
            }
            fn of_row(row: &Row<'_>) -> Result<Self, StoreError> {
                body(row)
            }
            fn answers(&self, asked: &Asked) -> bool {
                let principal: fn(&Self) -> Option<PrincipalId> = $principal;
                asked.fits(self.project, self.name.as_str(), &self.seal_key(), principal(self))
            }
        }
    )*};
}
guarded! {
    Connector: |_| None;
    Component: |_| None;
    Stack: |_| None;
    Principal: |_| None;
    Run: |run| Some(run.principal);
}

impl Guarded for Binding {
    const SEALED_AS: &'static str = bindings::NOUN;
    fn seal_key(&self) -> String {
        self.id.to_string()
    }
    fn of_row(row: &Row<'_>) -> Result<Self, StoreError> {
        body(row)
    }
    fn answers(&self, asked: &Asked) -> bool {
        asked.fits(self.project, "", &self.seal_key(), Some(self.principal))
    }
}

impl Guarded for Project {
    const SEALED_AS: &'static str = projects::NOUN;
    fn seal_key(&self) -> String {
        self.id.to_string()
    }
    fn of_row(row: &Row<'_>) -> Result<Self, StoreError> {
        projects::project(row)
    }
    fn answers(&self, asked: &Asked) -> bool {
        asked.fits(self.id, self.name.as_str(), &self.seal_key(), None)
    }
}

impl Guarded for TokenRecord {
    const SEALED_AS: &'static str = tokens::NOUN;
    fn seal_key(&self) -> String {
        self.id.to_string()
    }
    fn of_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(tokens::record(row)?)
    }
    fn answers(&self, asked: &Asked) -> bool {
        asked.fits(self.project, "", &self.seal_key(), Some(self.principal))
    }
}

/// All that a record says: every column, none of which can pass for another.
/// The sealed fields of a connector are bound to its `secret.version`.
pub(super) fn content(database: &Connection, noun: &str, key: &str) -> Result<Option<String>, StoreError> {
    let mut statement = database.prepare_cached(sealed(noun)?.select)?;
    Ok(statement.query_row([id_of(noun, key)], |row| row.get(CONTENT_COLUMN)).optional()?)
}

/// The record of this key, as its own row says it, with what its seal is over;
/// nothing when there is none.
pub(super) fn own_row<T: Guarded>(database: &Connection, key: &str) -> Result<Option<(T, String)>, StoreError> {
    let mut statement = database.prepare_cached(sealed(T::SEALED_AS)?.select)?;
    let mut rows = statement.query([id_of(T::SEALED_AS, key)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((T::of_row(row)?, row.get(CONTENT_COLUMN)?)))
}

fn sealed(noun: &str) -> Result<&'static Noun, StoreError> {
    NOUNS.iter().find(|sealed| sealed.name == noun).ok_or(StoreError::Corrupt { what: "a noun without seals" })
}

/// Whether there is no record that could have a seal.
pub(super) fn nothing_to_seal(database: &Connection) -> rusqlite::Result<bool> {
    for noun in &NOUNS {
        if database.prepare(noun.ids)?.exists([])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The nouns whose records have seals.
pub(super) fn nouns() -> Vec<&'static str> {
    NOUNS.iter().map(|noun| noun.name).collect()
}

/// The keys of all records of a noun.
pub(super) fn keys_of(database: &Connection, noun: &str) -> Result<Vec<String>, Failure> {
    let mut statement = database.prepare(sealed(noun)?.ids)?;
    let keys = statement.query_map([], |row| Ok(key_of(row.get(0)?)))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// As the tables have it: text for tokens, else the bytes of a UUID.
fn id_of(noun: &str, key: &str) -> Value {
    if noun == tokens::NOUN {
        return Value::Text(key.to_owned());
    }
    Value::Blob(hex::decode(key.replace('-', "")).unwrap_or_default())
}

fn key_of(id: Value) -> String {
    match id {
        Value::Text(text) => text,
        // Every id is spelt like every other.
        Value::Blob(bytes) => {
            <[u8; 16]>::try_from(bytes).map(|id| BindingId::from_bytes(id).to_string()).unwrap_or_default()
        }
        Value::Null | Value::Integer(_) | Value::Real(_) => String::new(),
    }
}

/// A noun whose records have seals.
struct Noun {
    name: &'static str,
    /// What the record is read from, and beside it what its seal is over.
    select: &'static str,
    ids: &'static str,
}

const CONTENT_COLUMN: &str = "content";

static NOUNS: [Noun; 8] = [
    Noun {
        name: projects::NOUN,
        select: "SELECT id, name, created_at, json_array(hex(id), name, created_at) AS content \
                 FROM projects WHERE id = ?1",
        ids: "SELECT id FROM projects",
    },
    Noun {
        name: Connector::NOUN,
        select: "SELECT body, json_array(hex(id), hex(project), name, connector_type, version, body) AS content \
                 FROM connectors WHERE id = ?1",
        ids: "SELECT id FROM connectors",
    },
    Noun {
        name: Component::NOUN,
        select: "SELECT body, json_array(hex(id), hex(project), name, component_type, hex(connector), version, body) \
                 AS content FROM components WHERE id = ?1",
        ids: "SELECT id FROM components",
    },
    Noun {
        name: Stack::NOUN,
        select: "SELECT body, json_array(hex(id), hex(project), name, version, body) AS content \
                 FROM stacks WHERE id = ?1",
        ids: "SELECT id FROM stacks",
    },
    Noun {
        name: Principal::NOUN,
        select: "SELECT body, json_array(hex(id), hex(project), name, kind, body) AS content \
                 FROM principals WHERE id = ?1",
        ids: "SELECT id FROM principals",
    },
    Noun {
        name: tokens::NOUN,
        select: "SELECT id, project, principal, digest, description, created_at, expires_at, created_by, run, \
                 json_array(id, hex(project), hex(principal), hex(digest), description, created_at, expires_at, \
                 hex(created_by), hex(run)) AS content FROM tokens WHERE id = ?1",
        ids: "SELECT id FROM tokens",
    },
    Noun {
        name: bindings::NOUN,
        select: "SELECT body, json_array(hex(id), hex(project), hex(principal), hex(connector), hex(component), owner, \
                 expires_at, created_at, body) AS content FROM bindings WHERE id = ?1",
        ids: "SELECT id FROM bindings",
    },
    Noun {
        name: Run::NOUN,
        select: "SELECT body, json_array(hex(id), hex(project), hex(principal), hex(stack), name, started_at, over_at, \
                 body) AS content FROM runs WHERE id = ?1",
        ids: "SELECT id FROM runs",
    },
];

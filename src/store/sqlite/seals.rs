//! Seals over records: whoever writes the file cannot make one up, change
//! one, nor put one back as it was.
//!
//! Each record has a MAC over what it says. All MACs and the revision they
//! are of have one, the head, which the same transaction renews; ledger lines
//! carry the revision. At start the head is held against all of them, and they
//! stay in memory; a record is held against its own whenever it is read. Lists
//! for people are not checked: nothing is decided by them.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::domain::{
    Binding, BindingId, Component, ComponentId, Connector, ConnectorId, Principal, PrincipalId, ProjectId, Run, RunId,
    Stack, StackId, TokenRecord,
};
use crate::store::{Revision, StoreError};

use super::columns::signed;
use super::failure::Failure;
use super::named::Named as _;
use super::tokens;

/// HMAC-SHA-256 under a key that is not in the store.
pub type RecordMac = Arc<dyn Fn(&[u8]) -> [u8; 32] + Send + Sync>;

/// What an altered record is told to be.
pub(super) const ALTERED: StoreError =
    StoreError::Corrupt { what: "a record was altered, or put back as it was before; restore a backup" };

type Slot = [u8; 16];
type Tag = [u8; 16];
type Tags = HashMap<Slot, Tag>;
/// A sum of secret numbers, one for each seal. Adding and taking away needs no
/// look at the others; who does not know the numbers cannot make the sum.
type Sum = [u64; 4];

/// A record that has a seal.
pub(super) trait Guarded {
    const SEALED_AS: &'static str;
    fn seal_key(&self) -> String;
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
    const SEALED_AS: &'static str = super::bindings::NOUN;
    fn seal_key(&self) -> String {
        self.id.to_string()
    }
    fn answers(&self, asked: &Asked) -> bool {
        asked.fits(self.project, "", &self.seal_key(), Some(self.principal))
    }
}

impl Guarded for TokenRecord {
    const SEALED_AS: &'static str = tokens::NOUN;
    fn seal_key(&self) -> String {
        self.id.to_string()
    }
    fn answers(&self, asked: &Asked) -> bool {
        asked.fits(self.project, "", &self.seal_key(), Some(self.principal))
    }
}

/// The seals as they are committed, for everybody who reads.
pub(super) struct Seals {
    mac: RecordMac,
    tags: RwLock<Tags>,
}

impl Seals {
    /// While it is held no change is published, so that what is read next
    /// and the seals are of one time.
    pub(super) fn hold(&self) -> RwLockReadGuard<'_, Tags> {
        self.tags.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a record that is not what its seal is over.
    pub(super) fn check(&self, tags: &Tags, database: &Connection, noun: &str, key: &str) -> Result<(), StoreError> {
        let content = content(database, noun, key)?.ok_or(StoreError::NotFound)?;
        if tags.get(&slot(noun, key)) == Some(&self.tag(noun, key, &content)) {
            return Ok(());
        }
        tracing::error!(noun, id = key, "a record in the store does not fit its seal: it was altered or put back");
        Err(ALTERED)
    }

    fn tag(&self, noun: &str, key: &str, content: &str) -> Tag {
        let message = [b"record".as_slice(), noun.as_bytes(), key.as_bytes(), content.as_bytes()].join(&0);
        first_half((self.mac)(&message))
    }

    fn number(&self, slot: &Slot, tag: &Tag) -> Sum {
        let whole = (self.mac)(&[b"number\0".as_slice(), slot, tag].concat());
        let mut sum = Sum::default();
        for (lane, bytes) in sum.iter_mut().zip(whole.chunks_exact(8)) {
            *lane = bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        }
        sum
    }

    fn head(&self, revision: Revision, sum: &Sum) -> [u8; 32] {
        let mut message = b"head\0".to_vec();
        message.extend(revision.0.to_be_bytes());
        message.extend(sum.iter().flat_map(|lane| lane.to_be_bytes()));
        (self.mac)(&message)
    }
}

/// The writer's own side: what is committed, and what its group has changed.
pub(super) struct Sealing {
    seals: Arc<Seals>,
    sum: Sum,
    pending: Vec<(Slot, Option<Tag>)>,
}

/// Where a transaction began.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    sum: Sum,
    pending: usize,
}

impl Sealing {
    /// With no seals.
    fn new(mac: RecordMac) -> Self {
        let seals = Arc::new(Seals { mac, tags: RwLock::default() });
        Self { seals, sum: Sum::default(), pending: Vec::new() }
    }

    /// Reads all seals and holds the head against them; nothing when there is
    /// no head.
    pub(super) fn load(
        database: &Connection,
        mac: RecordMac,
        revision: Revision,
        last_line: Option<&LastLine>,
    ) -> Result<Option<Self>, LoadError> {
        let head: Option<(i64, [u8; 32])> = database
            .query_row("SELECT revision, tag FROM seal_head", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let mut sealing = Self::new(mac);
        let mut tags = Tags::new();
        let mut statement = database.prepare("SELECT slot, tag FROM record_seals")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (slot, tag): (Slot, Tag) = (row.get(0)?, row.get(1)?);
            sealing.sum = plus(sealing.sum, sealing.seals.number(&slot, &tag));
            tags.insert(slot, tag);
        }
        let Some((of, head)) = head else {
            return if tags.is_empty() { Ok(None) } else { Err(LoadError::Altered("the head of the seals is gone")) };
        };
        if of != signed(revision.0) {
            return Err(LoadError::Altered("the seals are of another time than the records"));
        }
        if sealing.seals.head(revision, &sealing.sum) != head {
            return Err(LoadError::Altered("the seals do not fit their head"));
        }
        if last_line.is_some_and(|line| line.revision.is_none_or(|told| told > revision.0)) {
            return Err(LoadError::Altered("the ledger tells of changes that are not there"));
        }
        sealing.publish_all(tags);
        Ok(Some(sealing))
    }

    fn publish_all(&self, tags: Tags) {
        *self.seals.tags.write().unwrap_or_else(PoisonError::into_inner) = tags;
    }

    /// Seals every record that is there, inside the writer's transaction: for
    /// a store that never had seals.
    pub(super) fn adopt(database: &Connection, mac: RecordMac, revision: Revision) -> Result<Self, Failure> {
        let mut sealing = Self::new(mac);
        for (noun, all) in ALL {
            let mut statement = database.prepare(all)?;
            let keys: Vec<String> =
                statement.query_map([], |row| Ok(key_of(noun, row.get::<_, Value>(0)?)))?.collect::<Result<_, _>>()?;
            for key in keys {
                sealing.reseal(database, noun, &key)?;
            }
        }
        sealing.write_head(database, revision)?;
        Ok(sealing)
    }

    /// For everybody who reads.
    pub(super) fn seals(&self) -> Arc<Seals> {
        Arc::clone(&self.seals)
    }

    /// Whether the record is what its seal is over: before a change that is
    /// computed from it.
    pub(super) fn check(&self, database: &Connection, noun: &str, key: &str) -> Result<(), Failure> {
        let content = content(database, noun, key)?.ok_or(StoreError::NotFound)?;
        let sealed = self.tag_of(&slot(noun, key)) == Some(self.seals.tag(noun, key, &content));
        if sealed { Ok(()) } else { Err(ALTERED.into()) }
    }

    /// The seal of a record as it is now; none when it is gone.
    pub(super) fn reseal(&mut self, database: &Connection, noun: &str, key: &str) -> Result<(), Failure> {
        const PUT: &str = "INSERT INTO record_seals (slot, tag) VALUES (?1, ?2) \
                           ON CONFLICT (slot) DO UPDATE SET tag = excluded.tag";
        let slot = slot(noun, key);
        let tag = content(database, noun, key)?.map(|content| self.seals.tag(noun, key, &content));
        let old = self.tag_of(&slot);
        if tag == old {
            return Ok(());
        }
        if let Some(old) = old {
            self.sum = minus(self.sum, self.seals.number(&slot, &old));
        }
        match tag {
            Some(tag) => {
                self.sum = plus(self.sum, self.seals.number(&slot, &tag));
                database.prepare_cached(PUT)?.execute(params![slot, tag])?;
            }
            None => {
                database.prepare_cached("DELETE FROM record_seals WHERE slot = ?1")?.execute([slot])?;
            }
        }
        self.pending.push((slot, tag));
        Ok(())
    }

    /// The head of all seals, after the changes of a revision.
    pub(super) fn write_head(&self, database: &Connection, revision: Revision) -> Result<(), Failure> {
        const PUT: &str = "INSERT INTO seal_head (one, revision, tag) VALUES (1, ?1, ?2) \
                           ON CONFLICT (one) DO UPDATE SET revision = excluded.revision, tag = excluded.tag";
        let head = self.seals.head(revision, &self.sum);
        database.prepare_cached(PUT)?.execute(params![signed(revision.0), head])?;
        Ok(())
    }

    /// The newest, also of this group.
    fn tag_of(&self, slot: &Slot) -> Option<Tag> {
        let pending = self.pending.iter().rev().find(|(changed, _)| changed == slot);
        pending.map_or_else(|| self.seals.hold().get(slot).copied(), |(_, tag)| *tag)
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark { sum: self.sum, pending: self.pending.len() }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.sum = mark.sum;
        self.pending.truncate(mark.pending);
    }

    /// Whether the group changed any.
    pub(super) const fn changed(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What the group changed is committed.
    pub(super) fn publish(&mut self, mut tags: RwLockWriteGuard<'_, Tags>) {
        for (slot, tag) in self.pending.drain(..) {
            match tag {
                Some(tag) => tags.insert(slot, tag),
                None => tags.remove(&slot),
            };
        }
    }
}

impl Seals {
    /// Keeps readers away from before a commit to after it was published.
    pub(super) fn hold_to_publish(&self) -> RwLockWriteGuard<'_, Tags> {
        self.tags.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the last line of the ledger says of the revision.
pub(super) struct LastLine {
    pub(super) revision: Option<u64>,
}

/// Why seals are not taken.
pub(super) enum LoadError {
    Altered(&'static str),
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Names a record in few bytes.
fn slot(noun: &str, key: &str) -> Slot {
    first_half(Sha256::digest([noun.as_bytes(), key.as_bytes()].join(&0)).into())
}

fn first_half(whole: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    half
}

fn plus(mut sum: Sum, number: Sum) -> Sum {
    sum.iter_mut().zip(number).for_each(|(lane, more)| *lane = lane.wrapping_add(more));
    sum
}

fn minus(mut sum: Sum, number: Sum) -> Sum {
    sum.iter_mut().zip(number).for_each(|(lane, less)| *lane = lane.wrapping_sub(less));
    sum
}

/// All that a record says: every column, none of which can pass for another.
/// The sealed fields of a connector are bound to its `secret.version`.
fn content(database: &Connection, noun: &str, key: &str) -> Result<Option<String>, StoreError> {
    let Some(select) = CONTENT.iter().find(|(name, _)| *name == noun).map(|(_, select)| select) else {
        return Err(StoreError::Corrupt { what: "a noun without seals" });
    };
    let found = database.prepare_cached(select)?.query_row([id_of(noun, key)], |row| row.get(0)).optional()?;
    Ok(found)
}

/// As the tables have it: text for tokens, else the bytes of a UUID.
fn id_of(noun: &str, key: &str) -> Value {
    if noun == tokens::NOUN {
        return Value::Text(key.to_owned());
    }
    Value::Blob(hex::decode(key.replace('-', "")).unwrap_or_default())
}

fn key_of(noun: &str, id: Value) -> String {
    let bytes = match id {
        Value::Text(text) => return text,
        Value::Blob(bytes) => <[u8; 16]>::try_from(bytes).unwrap_or_default(),
        Value::Null | Value::Integer(_) | Value::Real(_) => return String::new(),
    };
    match noun {
        Connector::NOUN => ConnectorId::from_bytes(bytes).to_string(),
        Component::NOUN => ComponentId::from_bytes(bytes).to_string(),
        Stack::NOUN => StackId::from_bytes(bytes).to_string(),
        Principal::NOUN => PrincipalId::from_bytes(bytes).to_string(),
        Run::NOUN => RunId::from_bytes(bytes).to_string(),
        _ => BindingId::from_bytes(bytes).to_string(),
    }
}

const CONTENT: [(&str, &str); 7] = [
    (
        Connector::NOUN,
        "SELECT json_array(hex(id), hex(project), name, connector_type, version, body) FROM connectors WHERE id = ?1",
    ),
    (
        Component::NOUN,
        "SELECT json_array(hex(id), hex(project), name, component_type, hex(connector), version, body) \
         FROM components WHERE id = ?1",
    ),
    (Stack::NOUN, "SELECT json_array(hex(id), hex(project), name, version, body) FROM stacks WHERE id = ?1"),
    (Principal::NOUN, "SELECT json_array(hex(id), hex(project), name, kind, body) FROM principals WHERE id = ?1"),
    (
        tokens::NOUN,
        "SELECT json_array(id, hex(project), hex(principal), hex(digest), description, created_at, expires_at, \
         hex(created_by), hex(run)) FROM tokens WHERE id = ?1",
    ),
    (
        super::bindings::NOUN,
        "SELECT json_array(hex(id), hex(project), hex(principal), hex(connector), hex(component), owner, expires_at, \
         created_at, body) FROM bindings WHERE id = ?1",
    ),
    (
        Run::NOUN,
        "SELECT json_array(hex(id), hex(project), hex(principal), hex(stack), name, started_at, over_at, body) \
         FROM runs WHERE id = ?1",
    ),
];

const ALL: [(&str, &str); 7] = [
    (Connector::NOUN, "SELECT id FROM connectors"),
    (Component::NOUN, "SELECT id FROM components"),
    (Stack::NOUN, "SELECT id FROM stacks"),
    (Principal::NOUN, "SELECT id FROM principals"),
    (tokens::NOUN, "SELECT id FROM tokens"),
    (super::bindings::NOUN, "SELECT id FROM bindings"),
    (Run::NOUN, "SELECT id FROM runs"),
];

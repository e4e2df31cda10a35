//! Seals over records: whoever writes the file cannot make one up, change
//! one, nor put one back as it was.
//!
//! Each record has a MAC over what it says. All MACs and the revision they
//! are of have one, the head, which the same transaction renews; ledger lines
//! carry the revision. At start the head is held against all of them, and they
//! stay in memory; a record is held against its own row and that row's MAC
//! whenever it is read. Lists for people are not: they give nobody anything.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest, Sha256};

use crate::store::{Revision, StoreError};

use super::columns::signed;
use super::failure::Failure;
use super::guarded::{Guarded, content, keys_of, own_row};

/// HMAC-SHA-256 under a key that is not in the store.
pub type RecordMac = Arc<dyn Fn(&[u8]) -> [u8; 32] + Send + Sync>;

/// What becomes of records that have no seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsealed {
    /// They are refused: somebody may have taken their seals away.
    Refused,
    /// They get seals as they are: an operator vouches for them.
    Vouched,
}

/// What an altered record is told to be.
pub(super) const ALTERED: StoreError =
    StoreError::Corrupt { what: "a record was altered, or put back as it was before; restore a backup" };

type Slot = [u8; 16];
type Tag = [u8; 16];
type Tags = HashMap<Slot, Tag>;
/// A sum of secret numbers, one for each seal. Adding and taking away needs no
/// look at the others; who does not know the numbers cannot make the sum.
type Sum = [u64; 4];

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

    /// Refuses a record that is not what its own row says and its seal is
    /// over. It may have been read from another row, which names that one.
    pub(super) fn check<T: Guarded>(&self, tags: &Tags, database: &Connection, found: &T) -> Result<(), StoreError> {
        let (noun, key) = (T::SEALED_AS, found.seal_key());
        let own = own_row::<T>(database, &key)?;
        let sealed = |content: &str| tags.get(&slot(noun, &key)) == Some(&self.tag(noun, &key, content));
        if own.is_some_and(|(record, content)| sealed(&content) && record == *found) {
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
    pub(super) fn new(mac: RecordMac) -> Self {
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
        if last_line.is_none() && revision > Revision(0) {
            return Err(LoadError::Altered("the ledger of the changes is gone"));
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

    /// Whether there are records of this noun and none of them has a seal. The
    /// head says so: nobody has taken them away.
    pub(super) fn lacks(&self, database: &Connection, noun: &str) -> Result<bool, Failure> {
        let (tags, keys) = (self.seals.hold(), keys_of(database, noun)?);
        Ok(!keys.is_empty() && keys.iter().all(|key| !tags.contains_key(&slot(noun, key))))
    }

    /// Seals every record of these nouns, which had none, inside the writer's
    /// transaction.
    pub(super) fn adopt(
        &mut self,
        database: &Connection,
        nouns: &[&'static str],
        revision: Revision,
    ) -> Result<(), Failure> {
        for noun in nouns {
            for key in keys_of(database, noun)? {
                self.replace(database, noun, &key, None)?;
            }
        }
        self.write_head(database, revision)
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
        let old = self.tag_of(&slot(noun, key));
        self.replace(database, noun, key, old)
    }

    fn replace(&mut self, database: &Connection, noun: &str, key: &str, old: Option<Tag>) -> Result<(), Failure> {
        const PUT: &str = "INSERT INTO record_seals (slot, tag) VALUES (?1, ?2) \
                           ON CONFLICT (slot) DO UPDATE SET tag = excluded.tag";
        let slot = slot(noun, key);
        let tag = content(database, noun, key)?.map(|content| self.seals.tag(noun, key, &content));
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

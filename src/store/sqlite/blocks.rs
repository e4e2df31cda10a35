//! The ledger's index: for each block of 256 lines its times, and a filter of
//! which project, principal, connector, outcome and run may occur in it.
//!
//! An index by line would dirty a page for each line of another principal;
//! this costs one short row for each block, written in order. A filter may
//! say yes for nothing, which costs a look at the block, and never says no
//! for something that is there. Blocks from before there was a filter of runs
//! are without it, and say yes for every run.

use rusqlite::{Connection, OptionalExtension, params};

use crate::audit::{Columns, Line, Outcome};

use super::columns::{signed, unsigned};

/// Lines of one block: a look at one costs 0.1 ms.
pub(super) const BLOCK_LINES: u64 = 256;
/// Bytes of a filter: 16 bits for each of two keys a line, so that one look
/// of a thousand is for nothing.
const FILTER_BYTES: usize = 1024;
/// Bytes of the filter of runs, which follows: 16 bits a line.
const RUN_BYTES: usize = 512;
/// Bytes of what is stored: both filters.
const WITH_RUNS: usize = FILTER_BYTES + RUN_BYTES;
/// Bits of one key.
const PROBES: u64 = 4;

/// What is looked for in a block.
#[derive(Clone, Copy)]
pub(super) struct Key([u8; 16]);

impl Key {
    pub(super) const fn of(id: [u8; 16]) -> Self {
        Self(id)
    }

    /// An id together with what became of its calls: the refused ones are few
    /// and looked for often.
    pub(super) fn with_outcome(id: [u8; 16], outcome: &str) -> Self {
        let mut key = id;
        for (slot, byte) in key.iter_mut().zip(outcome.bytes()) {
            *slot ^= byte;
        }
        Self(key)
    }

    /// Which bits stand for it in a filter of this size. Stored: never to be
    /// changed.
    fn bits(self, filter_bytes: usize) -> impl Iterator<Item = u64> {
        let bits = filter_bytes as u64 * 8;
        let number = u128::from_be_bytes(self.0);
        let (high, low) = ((number >> 64) as u64, number as u64);
        let first = mix(high ^ mix(low));
        let step = mix(first ^ low) | 1;
        (0..PROBES).map(move |probe| first.wrapping_add(probe.wrapping_mul(step)) % bits)
    }
}

/// The finalizer of splitmix64: ids that differ in one bit share none here.
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The runs that a line names: the one it was done in, and the one it is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Runs([Option<[u8; 16]>; 2]);

impl Runs {
    pub(super) fn of(line: &Line) -> Self {
        Self(line.runs().map(|run| run.map(|id| *id.as_bytes())))
    }

    /// Of the stored form of a line; of one that is none, none.
    pub(super) fn of_stored(body: &[u8]) -> Self {
        serde_json::from_slice(body).map(|line| Self::of(&line)).unwrap_or_default()
    }
}

/// Whether a stored filter may know `key`. One of another size says yes.
pub(super) fn may_hold(stored: &[u8], key: Key) -> bool {
    match stored.len() {
        FILTER_BYTES | WITH_RUNS => stored.get(..FILTER_BYTES).is_none_or(|filter| has(filter, key)),
        _ => true,
    }
}

/// Whether a stored filter may know the run `key`. One without runs says yes.
pub(super) fn may_hold_run(stored: &[u8], key: Key) -> bool {
    stored.len() != WITH_RUNS || stored.get(FILTER_BYTES..).is_none_or(|filter| has(filter, key))
}

fn has(filter: &[u8], key: Key) -> bool {
    key.bits(filter.len()).all(|bit| {
        let byte = usize::try_from(bit / 8).ok().and_then(|at| filter.get(at));
        byte.is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
    })
}

fn set(filter: &mut [u8], key: Key) {
    for bit in key.bits(filter.len()) {
        if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| filter.get_mut(at)) {
            *byte |= 1 << (bit % 8);
        }
    }
}

/// A block that is being filled.
pub(super) struct Block {
    at_min: i64,
    at_max: i64,
    filter: Vec<u8>,
    runs: Vec<u8>,
}

impl Block {
    pub(super) fn empty() -> Self {
        Self { at_min: i64::MAX, at_max: i64::MIN, filter: vec![0; FILTER_BYTES], runs: vec![0; RUN_BYTES] }
    }

    /// The lines after the last full block, up to `last`.
    pub(super) fn load(database: &Connection, last: u64) -> rusqlite::Result<Self> {
        const LINES: &str = "SELECT at, project, principal, connector, outcome, body FROM ledger WHERE seq >= ?1";
        let mut block = Self::empty();
        let mut statement = database.prepare_cached(LINES)?;
        let mut rows = statement.query([signed(first_of(block_of(last + 1)))])?;
        while let Some(row) = rows.next()? {
            let columns = Columns {
                at: row.get(0)?,
                project: row.get(1)?,
                principal: row.get(2)?,
                connector: row.get(3)?,
                outcome: row.get(4)?,
            };
            block.add(&columns, Runs::of_stored(row.get_ref(5)?.as_bytes().unwrap_or_default()));
        }
        Ok(block)
    }

    pub(super) fn add(&mut self, columns: &Columns, runs: Runs) {
        self.at_min = self.at_min.min(columns.at);
        self.at_max = self.at_max.max(columns.at);
        for id in [columns.project, columns.principal, columns.connector].into_iter().flatten() {
            set(&mut self.filter, Key::of(id));
            if has_own_key(&columns.outcome) {
                set(&mut self.filter, Key::with_outcome(id, &columns.outcome));
            }
        }
        for run in runs.0.into_iter().flatten() {
            set(&mut self.runs, Key::of(run));
        }
    }

    pub(super) fn store(&self, database: &Connection, block: u64) -> rusqlite::Result<()> {
        const INSERT: &str = "INSERT INTO ledger_blocks (block, at_min, at_max, filter) VALUES (?1, ?2, ?3, ?4)";
        let stored = [self.filter.as_slice(), self.runs.as_slice()].concat();
        let bound = params![signed(block), self.at_min, self.at_max, stored];
        database.prepare_cached(INSERT)?.execute(bound).map(|_| ())
    }

    /// Whether what is stored of `block` is what its lines give.
    pub(super) fn is_stored(&self, database: &Connection, block: u64) -> rusqlite::Result<bool> {
        const FIND: &str = "SELECT at_min, at_max, filter FROM ledger_blocks WHERE block = ?1";
        let stored: Option<(i64, i64, Vec<u8>)> = database
            .prepare_cached(FIND)?
            .query_row([signed(block)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        Ok(stored.is_some_and(|(min, max, filter)| {
            let (own, runs) = filter.split_at(filter.len().min(FILTER_BYTES));
            (min, max) == (self.at_min, self.at_max) && own == self.filter && (runs.is_empty() || runs == self.runs)
        }))
    }
}

/// `ok` occurs in every block: a key for it would tell nothing.
fn has_own_key(outcome: &str) -> bool {
    outcome != Outcome::Ok.as_str()
}

/// The key to look for, for an id and perhaps an outcome.
pub(super) fn key_for(id: [u8; 16], outcome: Option<&str>) -> Key {
    match outcome {
        Some(outcome) if has_own_key(outcome) => Key::with_outcome(id, outcome),
        Some(_) | None => Key::of(id),
    }
}

/// Places begin at 1, blocks at 0.
pub(super) const fn block_of(seq: u64) -> u64 {
    seq.saturating_sub(1) / BLOCK_LINES
}

pub(super) const fn first_of(block: u64) -> u64 {
    block * BLOCK_LINES + 1
}

/// How many blocks are full, and so have a row.
pub(super) fn full_blocks(database: &Connection) -> rusqlite::Result<u64> {
    const FULL: &str = "SELECT coalesce(max(block) + 1, 0) FROM ledger_blocks";
    database.prepare_cached(FULL)?.query_row([], |row| row.get(0)).map(unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u8, outcome: Outcome) -> Columns {
        let id = |noun: u8| Some([noun, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number]);
        let outcome = outcome.as_str().to_owned();
        Columns { at: i64::from(number), project: id(1), principal: id(2), connector: id(3), outcome }
    }

    #[test]
    fn a_filter_never_says_no_for_what_is_there_and_rarely_yes_for_nothing() {
        let mut block = Block::empty();
        for number in 0..=255 {
            let outcome = if number % 8 == 0 { Outcome::Denied } else { Outcome::Ok };
            block.add(&line(number, outcome), Runs::default());
        }
        assert_eq!((block.at_min, block.at_max), (0, 255));
        let key = |noun: u8, number: u8| {
            line(number, Outcome::Ok).project.map(|mut id| {
                id[0] = noun;
                id
            })
        };
        let mut for_nothing = 0;
        for number in 0..=255 {
            for noun in [1, 2, 3] {
                let id = key(noun, number).unwrap();
                assert!(may_hold(&block.filter, key_for(id, None)));
                assert!(may_hold(&block.filter, key_for(id, Some("ok"))));
                let denied = may_hold(&block.filter, key_for(id, Some("denied")));
                assert!(denied || number % 8 != 0);
                for_nothing += u32::from(denied && number % 8 != 0);
                for_nothing += u32::from(may_hold(&block.filter, key_for(key(noun + 8, number).unwrap(), None)));
            }
        }
        // Of 1,440 that are not there.
        assert!(for_nothing < 72, "{for_nothing}");
    }

    #[test]
    fn a_filter_knows_the_runs_of_its_lines_and_one_without_runs_denies_none() {
        let run = |number: u8| [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, number];
        let mut block = Block::empty();
        for number in 0..128 {
            let runs = Runs([Some(run(number)), (number % 2 == 0).then_some(run(number))]);
            block.add(&line(number, Outcome::Ok), runs);
        }
        let stored = [block.filter.as_slice(), block.runs.as_slice()].concat();
        let held = |number: u8, filter: &[u8]| may_hold_run(filter, Key::of(run(number)));
        assert!((0..128).all(|number| held(number, &stored)));
        let for_nothing = (128..=255).filter(|number| held(*number, &stored)).count();
        assert!(for_nothing < 6, "{for_nothing} of 128");
        assert!((0..=255).all(|number| held(number, &block.filter)), "from before");
        let connector = key_for(line(1, Outcome::Ok).connector.unwrap(), None);
        assert!(may_hold(&stored, connector) && may_hold(&block.filter, connector));
        let nobody = key_for(run(1), None);
        assert!(!may_hold(&stored, nobody) && !may_hold(&block.filter, nobody), "a run is no principal");
    }

    #[test]
    fn places_and_blocks_fit_each_other() {
        assert_eq!((block_of(1), block_of(256), block_of(257)), (0, 0, 1));
        assert_eq!((first_of(0), first_of(1)), (1, 257));
        assert!(may_hold(&[], Key::of([0; 16])));
    }
}

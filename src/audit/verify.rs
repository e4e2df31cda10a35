//! Offline verification: reads stored rows as they are and names the first
//! bad one.
//!
//! Owns the rules of a sound ledger. Trusts nothing that is stored: the chain
//! is computed again from the bytes. A tail that was cut off leaves no trace
//! in what remains; only a head that was written down elsewhere shows it.

use std::collections::BTreeSet;
use std::fmt;

use super::chain::Hash;
use super::line::{Line, LineKind, Seq};

/// A row as it is stored, before anything about it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// Its place.
    pub seq: u64,
    /// The columns beside the body, which queries filter by.
    pub columns: Columns,
    /// The hash of the row before.
    pub previous: Vec<u8>,
    /// Its own hash.
    pub hash: Vec<u8>,
    /// The stored form of the line.
    pub body: Vec<u8>,
}

/// What a row repeats of its body, so that queries can filter by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The project's 16 bytes.
    pub project: Option<[u8; 16]>,
    /// The principal's 16 bytes.
    pub principal: Option<[u8; 16]>,
    /// The connector's 16 bytes.
    pub connector: Option<[u8; 16]>,
    /// The outcome's word.
    pub outcome: String,
}

impl Columns {
    /// What the columns of this line must be.
    #[must_use]
    pub fn of(line: &Line) -> Self {
        Self {
            at: line.at.millis(),
            project: line.project.map(|id| *id.as_bytes()),
            principal: line.principal.map(|id| *id.as_bytes()),
            connector: line.connector.map(|id| *id.as_bytes()),
            outcome: line.outcome.as_str().to_owned(),
        }
    }
}

/// A head of the ledger that was written down outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedHead {
    /// The place of the line that was last.
    pub seq: Seq,
    /// Its hash.
    pub hash: Hash,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Another place was due: a row is missing, doubled or moved.
    Gap,
    /// It does not name the hash of the row before.
    PreviousDiffers,
    /// Its hash is not the hash of its bytes.
    HashDiffers,
    /// The body is not a line.
    BodyUnreadable,
    /// The columns say something else than the body.
    ColumnsDiffer,
    /// A result whose intent is not open before it.
    ResultWithoutIntent,
    /// It is not the line that the expected head names: history was written anew.
    HeadDiffers,
    /// The ledger ends before the expected head: its tail was cut off.
    TailMissing,
    /// The row cannot be read at all.
    Unreadable,
    /// The index that listings use is not what the lines up to this one give.
    IndexDiffers,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gap => "another place was due here: a line is missing, doubled or moved",
            Self::PreviousDiffers => "it does not name the hash of the line before",
            Self::HashDiffers => "its hash is not the hash of its bytes",
            Self::BodyUnreadable => "its body is not a line",
            Self::ColumnsDiffer => "its columns say something else than its body",
            Self::ResultWithoutIntent => "a result whose intent is not open",
            Self::HeadDiffers => "it is not the line that the expected head names",
            Self::TailMissing => "the ledger ends before it, and the expected head is not reached",
            Self::Unreadable => "it cannot be read",
            Self::IndexDiffers => "the index of the lines up to it was altered: listings may hide some",
        })
    }
}

/// The first bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {seq} is bad: {fault}")]
pub struct BadLine {
    /// The place that was due.
    pub seq: Seq,
    /// What is wrong.
    pub fault: Fault,
}

/// A sound ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many lines.
    pub count: u64,
    /// The hash of the last; write it down elsewhere.
    pub head: Hash,
    /// Intents without a result.
    pub intents_open: u64,
}

/// Takes rows in order, one by one; holds the open intents and no row.
pub struct Verifier {
    count: u64,
    head: Hash,
    open: BTreeSet<Seq>,
    expected: Option<ExpectedHead>,
}

impl Verifier {
    /// Begins before the first row.
    #[must_use]
    pub const fn new(expected: Option<ExpectedHead>) -> Self {
        Self { count: 0, head: Hash::GENESIS, open: BTreeSet::new(), expected }
    }

    /// The next row.
    ///
    /// # Errors
    /// Names it when it is bad; nothing after it can be judged.
    pub fn take(&mut self, row: &RawLine) -> Result<(), BadLine> {
        let seq = Seq(self.count + 1);
        self.check(seq, row).map_err(|fault| BadLine { seq, fault })
    }

    fn check(&mut self, seq: Seq, row: &RawLine) -> Result<(), Fault> {
        if row.seq != seq.0 {
            return Err(Fault::Gap);
        }
        if row.previous != self.head.0 {
            return Err(Fault::PreviousDiffers);
        }
        let hash = Hash::of(seq, &self.head, &row.body);
        if row.hash != hash.0 {
            return Err(Fault::HashDiffers);
        }
        let line: Line = serde_json::from_slice(&row.body).map_err(|_| Fault::BodyUnreadable)?;
        if row.columns != Columns::of(&line) {
            return Err(Fault::ColumnsDiffer);
        }
        self.follow(seq, line.kind)?;
        if self.expected.is_some_and(|expected| expected.seq == seq && expected.hash != hash) {
            return Err(Fault::HeadDiffers);
        }
        self.count = seq.0;
        self.head = hash;
        Ok(())
    }

    fn follow(&mut self, seq: Seq, kind: LineKind) -> Result<(), Fault> {
        match kind {
            LineKind::Single => {}
            LineKind::Intent => {
                self.open.insert(seq);
            }
            LineKind::Result(intent) => {
                if !self.open.remove(&intent) {
                    return Err(Fault::ResultWithoutIntent);
                }
            }
        }
        Ok(())
    }

    /// A row could not be read.
    #[must_use]
    pub const fn unreadable(&self) -> BadLine {
        BadLine { seq: Seq(self.count + 1), fault: Fault::Unreadable }
    }

    /// After the last row.
    ///
    /// # Errors
    /// Names the first missing place when the expected head is not reached.
    pub fn finish(self) -> Result<Verified, BadLine> {
        if self.expected.is_some_and(|expected| expected.seq.0 > self.count) {
            return Err(BadLine { seq: Seq(self.count + 1), fault: Fault::TailMissing });
        }
        Ok(Verified { count: self.count, head: self.head, intents_open: self.open.len() as u64 })
    }
}

/// Verifies rows in order.
///
/// # Errors
/// Names the first bad row.
pub fn verify(rows: impl IntoIterator<Item = RawLine>, expected: Option<ExpectedHead>) -> Result<Verified, BadLine> {
    let mut verifier = Verifier::new(expected);
    for row in rows {
        verifier.take(&row)?;
    }
    verifier.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Outcome, Reason};
    use crate::domain::{ProjectId, Timestamp};

    fn row(seq: u64, previous: Hash, line: &Line) -> RawLine {
        let body = serde_json::to_vec(line).unwrap();
        let hash = Hash::of(Seq(seq), &previous, &body);
        let previous = previous.0.to_vec();
        RawLine { seq, columns: Columns::of(line), previous, hash: hash.0.to_vec(), body }
    }

    fn ledger(kinds: &[LineKind]) -> Vec<RawLine> {
        let mut rows: Vec<RawLine> = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            let previous = rows.last().map_or(Hash::GENESIS, |row| Hash(row.hash.clone().try_into().unwrap()));
            let mut line = Line::about(format!("m{at}"), *kind, Outcome::Ok);
            line.at = Timestamp::from_millis(1000);
            line.project = Some(ProjectId::from_bytes([7; 16]));
            line.reason = Reason::new("SAID");
            rows.push(row(at as u64 + 1, previous, &line));
        }
        rows
    }

    fn singles(count: usize) -> Vec<RawLine> {
        ledger(&vec![LineKind::Single; count])
    }

    type Alteration = fn(&mut RawLine);

    fn fault(rows: Vec<RawLine>) -> (u64, Fault) {
        let bad = verify(rows, None).unwrap_err();
        (bad.seq.0, bad.fault)
    }

    #[test]
    fn a_sound_ledger_is_counted_and_its_head_is_named() {
        let rows = ledger(&[LineKind::Intent, LineKind::Single, LineKind::Result(Seq(1)), LineKind::Intent]);
        let last = rows.last().unwrap().hash.clone();
        let verified = verify(rows, None).unwrap();
        assert_eq!((verified.count, verified.intents_open), (4, 1));
        assert_eq!(verified.head.0.to_vec(), last);
        assert_eq!(verify(Vec::new(), None).unwrap().head, Hash::GENESIS);
    }

    #[test]
    fn deleted_moved_doubled_and_inserted_rows_are_named() {
        let mut rows = singles(6);
        rows.remove(2);
        assert_eq!(fault(rows), (3, Fault::Gap));
        let mut rows = singles(6);
        rows.swap(2, 3);
        assert_eq!(fault(rows), (3, Fault::Gap));
        let mut rows = singles(6);
        rows.insert(2, rows[1].clone());
        assert_eq!(fault(rows), (3, Fault::Gap));
        let mut rows = singles(6);
        rows.remove(0);
        assert_eq!(fault(rows), (1, Fault::Gap));
        // Renumbered so that no gap shows: the chain shows it.
        let mut rows = singles(6);
        rows.remove(2);
        for (at, row) in rows.iter_mut().enumerate() {
            row.seq = at as u64 + 1;
        }
        assert_eq!(fault(rows), (3, Fault::PreviousDiffers));
    }

    #[test]
    fn one_flipped_bit_of_any_field_is_named() {
        let cases: [(Alteration, Fault); 8] = [
            (|row| row.body[20] ^= 1, Fault::HashDiffers),
            (|row| row.hash[0] ^= 1, Fault::HashDiffers),
            (|row| row.hash.clear(), Fault::HashDiffers),
            (|row| row.previous[31] ^= 1, Fault::PreviousDiffers),
            (|row| row.columns.at += 1, Fault::ColumnsDiffer),
            (|row| row.columns.project = None, Fault::ColumnsDiffer),
            (|row| row.columns.outcome = "denied".to_owned(), Fault::ColumnsDiffer),
            (|row| row.columns.principal = Some([1; 16]), Fault::ColumnsDiffer),
        ];
        for (alter, expected) in cases {
            let mut rows = singles(6);
            alter(&mut rows[3]);
            assert_eq!(fault(rows), (4, expected));
        }
    }

    #[test]
    fn a_row_that_is_no_line_is_named_even_with_a_right_hash() {
        let mut rows = singles(1);
        let body = b"{}".to_vec();
        rows[0].hash = Hash::of(Seq(1), &Hash::GENESIS, &body).0.to_vec();
        rows[0].body = body;
        assert_eq!(fault(rows), (1, Fault::BodyUnreadable));
    }

    #[test]
    fn a_result_needs_its_own_open_intent() {
        assert_eq!(fault(ledger(&[LineKind::Single, LineKind::Result(Seq(1))])), (2, Fault::ResultWithoutIntent));
        let twice = ledger(&[LineKind::Intent, LineKind::Result(Seq(1)), LineKind::Result(Seq(1))]);
        assert_eq!(fault(twice), (3, Fault::ResultWithoutIntent));
    }

    #[test]
    fn a_cut_tail_shows_with_an_outside_head_only() {
        let rows = singles(6);
        let head = ExpectedHead { seq: Seq(6), hash: Hash(rows[5].hash.clone().try_into().unwrap()) };
        assert!(verify(rows.clone(), Some(head)).is_ok());
        let cut: Vec<RawLine> = rows[..4].to_vec();
        assert!(verify(cut.clone(), None).is_ok());
        assert_eq!(verify(cut, Some(head)), Err(BadLine { seq: Seq(5), fault: Fault::TailMissing }));
        let last: Vec<RawLine> = rows[..5].to_vec();
        assert_eq!(verify(last, Some(head)), Err(BadLine { seq: Seq(6), fault: Fault::TailMissing }));
    }

    #[test]
    fn a_history_written_anew_shows_with_an_outside_head() {
        let rows = singles(6);
        let head = ExpectedHead { seq: Seq(4), hash: Hash(rows[3].hash.clone().try_into().unwrap()) };
        let forked = ledger(&[LineKind::Single, LineKind::Intent, LineKind::Single, LineKind::Single]);
        assert!(verify(forked.clone(), None).is_ok());
        assert_eq!(verify(forked, Some(head)), Err(BadLine { seq: Seq(4), fault: Fault::HeadDiffers }));
        assert!(verify(rows, Some(head)).is_ok());
    }
}

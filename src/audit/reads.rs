//! Keeps one principal's reading from filling the ledger's disk.
//!
//! Owns the counts of reading calls beyond what has lines of its own. A count
//! keeps who, in which run, from where, what and with which outcome; only the
//! moment within its second is lost. Never counts what changes something, uses
//! a key, or was denied. Reads no clock and writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{PrincipalId, RunId};

use super::line::Line;

/// Reading calls of one principal with lines of their own, in a second.
pub const READ_LINES_PER_SECOND: u32 = 5;
/// And at once, before that binds.
pub const READ_LINES_BURST: u32 = 100;
/// The most runs, addresses and reasons that one principal's counts tell apart
/// at a time; further ones are counted under the method and outcome alone.
const TOLD_APART_MAX: usize = 16;

/// What a count keeps of its calls.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    principal: Option<PrincipalId>,
    method: String,
    outcome: &'static str,
    reason: String,
    run: Option<RunId>,
    source: Option<String>,
}

/// Counts of reading calls.
#[derive(Default)]
pub struct ReadCounts {
    // Invariant: of each principal at most `TOLD_APART_MAX` and one for each
    // method and outcome.
    counts: BTreeMap<Key, Line>,
    told_apart: BTreeMap<Option<PrincipalId>, BTreeSet<Key>>,
}

impl ReadCounts {
    /// Counts the call that `line` is about.
    pub fn count(&mut self, line: Line) {
        let key = Key {
            principal: line.principal,
            method: line.method.clone(),
            outcome: line.outcome.as_str(),
            reason: line.reason.as_str().to_owned(),
            run: line.run,
            source: line.source.clone(),
        };
        let told_apart = self.told_apart.entry(line.principal).or_default();
        let (key, line) = if told_apart.contains(&key) || told_apart.len() < TOLD_APART_MAX {
            told_apart.insert(key.clone());
            (key, line)
        } else {
            folded(key, line)
        };
        match self.counts.get_mut(&key) {
            Some(known) => known.count = known.count.saturating_add(line.count),
            None => drop(self.counts.insert(key, line)),
        }
    }

    /// The counts as lines; the caller stamps and writes them.
    #[must_use]
    pub fn take(&mut self) -> Vec<Line> {
        self.told_apart.clear();
        std::mem::take(&mut self.counts).into_values().collect()
    }
}

/// Without what is too various to be told apart.
fn folded(key: Key, line: Line) -> (Key, Line) {
    let line = Line { reason: super::Reason::default(), run: None, source: None, ..line };
    (Key { reason: String::new(), run: None, source: None, ..key }, line)
}

#[cfg(test)]
mod tests {
    use super::super::{LineKind, Outcome};
    use super::*;

    fn read(principal: u8, method: &str, source: &str) -> Line {
        Line {
            principal: Some(PrincipalId::from_bytes([principal; 16])),
            source: Some(source.to_owned()),
            ..Line::about(method, LineKind::Single, Outcome::Ok)
        }
    }

    #[test]
    fn a_count_says_who_read_what_from_where_in_which_run_and_with_which_outcome() {
        let mut counts = ReadCounts::default();
        for _ in 0..3 {
            counts.count(read(1, "/m", "here"));
        }
        let run = Some(RunId::from_bytes([9; 16]));
        for other in [
            read(2, "/m", "here"),
            read(1, "/n", "here"),
            read(1, "/m", "there"),
            Line { run, ..read(1, "/m", "here") },
            Line { outcome: Outcome::Failed, ..read(1, "/m", "here") },
        ] {
            counts.count(other);
        }
        let lines = counts.take();
        assert_eq!(lines.iter().map(|line| line.count).collect::<Vec<_>>(), [1, 3, 1, 1, 1, 1]);
        assert_eq!(lines.iter().filter(|line| line.run == run).count(), 1);
        assert_eq!(Line { count: 1, ..lines[1].clone() }, read(1, "/m", "here"));
        assert!(counts.take().is_empty());
    }

    #[test]
    fn every_call_is_counted_though_the_lines_of_a_principal_are_bounded() {
        let mut counts = ReadCounts::default();
        for number in 0..1000_u32 {
            let method = if number % 2 == 0 { "/m" } else { "/n" };
            counts.count(read(1, method, &format!("address {number}")));
        }
        counts.count(read(2, "/m", "here"));
        let lines = counts.take();
        assert_eq!(lines.len(), TOLD_APART_MAX + 2 + 1);
        assert_eq!(lines.iter().map(|line| line.count).sum::<u32>(), 1001);
        let folded = lines.iter().filter(|line| line.source.is_none());
        assert!(folded.clone().all(|line| line.principal.is_some()), "who is never lost");
        assert_eq!(folded.map(|line| line.count).sum::<u32>(), 1000 - 16);
        assert!(lines.iter().any(|line| line.source.as_deref() == Some("here")), "another's are told apart");
    }
}

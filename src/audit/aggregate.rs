//! Keeps a flood of refused calls from flooding the ledger.
//!
//! Owns the counts of what was not written one by one. Never drops a call:
//! beyond the limit calls are counted by project, method, outcome and reason,
//! and each count becomes one line. Reads no clock and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ProjectId;

use super::line::{Line, LineKind, Outcome, Reason};

/// Lines written one by one in each second. A person who mistypes is seen
/// line by line; a program that hammers is counted.
pub const SINGLE_LINES_PER_SECOND: u32 = 50;
/// The most counts at a time; beyond it calls are counted under one key.
pub const AGGREGATE_KEYS_MAX: usize = 256;
/// How long calls are counted before the count becomes a line.
pub const AGGREGATE_WINDOW: Duration = Duration::from_secs(1);
/// The method of the count of everything beyond the keys.
pub const AGGREGATE_OVERFLOW_METHOD: &str = "aggregate/other";

type Key = (Option<ProjectId>, String, &'static str, String);

/// Decides which refused calls get a line of their own, and counts the rest.
pub struct Aggregator {
    singles_max: u32,
    window_start: Duration,
    singles: u32,
    // Invariant: at most AGGREGATE_KEYS_MAX entries besides the overflow's.
    counts: BTreeMap<Key, Line>,
}

impl Default for Aggregator {
    fn default() -> Self {
        Self::new(SINGLE_LINES_PER_SECOND)
    }
}

impl Aggregator {
    /// With this many lines of their own in each second.
    #[must_use]
    pub const fn new(singles_max: u32) -> Self {
        Self { singles_max, window_start: Duration::ZERO, singles: 0, counts: BTreeMap::new() }
    }

    /// Gives the line back when it is to be written by itself, else counts it.
    /// `now` is monotonic.
    pub fn offer(&mut self, line: Line, now: Duration) -> Option<Line> {
        if self.counts.is_empty() && now.saturating_sub(self.window_start) >= AGGREGATE_WINDOW {
            self.window_start = now;
            self.singles = 0;
        }
        if self.singles < self.singles_max {
            self.singles += 1;
            return Some(line);
        }
        self.count(line);
        None
    }

    /// The counts as lines, once their window is over; the caller stamps and
    /// writes them. Call it at least once a second, and with
    /// [`Self::take_all`] before stopping.
    #[must_use]
    pub fn take(&mut self, now: Duration) -> Vec<Line> {
        if now.saturating_sub(self.window_start) < AGGREGATE_WINDOW {
            return Vec::new();
        }
        self.window_start = now;
        self.singles = 0;
        self.take_all()
    }

    /// The counts as lines, now.
    #[must_use]
    pub fn take_all(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.counts).into_values().collect()
    }

    /// Counts the line: it is not written by itself.
    pub fn count(&mut self, line: Line) {
        let counted = line.count;
        let key = (line.project, line.method.clone(), line.outcome.as_str(), line.reason.as_str().to_owned());
        if let Some(known) = self.counts.get_mut(&key) {
            known.count = known.count.saturating_add(counted);
        } else if self.counts.len() < AGGREGATE_KEYS_MAX {
            self.counts.insert(key, counting(line.project, line.method, line.outcome, line.reason, counted));
        } else {
            self.count_overflow(line.outcome, counted);
        }
    }

    fn count_overflow(&mut self, outcome: Outcome, counted: u32) {
        let method = AGGREGATE_OVERFLOW_METHOD.to_owned();
        let key = (None, method.clone(), outcome.as_str(), String::new());
        let fresh = || counting(None, method, outcome, Reason::default(), 0);
        let known = self.counts.entry(key).or_insert_with(fresh);
        known.count = known.count.saturating_add(counted);
    }
}

/// Whom it was and from where is not kept: a count stands for many.
fn counting(project: Option<ProjectId>, method: String, outcome: Outcome, reason: Reason, count: u32) -> Line {
    let mut line = Line::about(method, LineKind::Single, outcome);
    line.project = project;
    line.reason = reason;
    line.count = count;
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn denied(method: &str) -> Line {
        let mut line = Line::about(method, LineKind::Single, Outcome::Denied);
        line.reason = Reason::new("GRANT_MISSING");
        line
    }

    #[test]
    fn calls_up_to_the_limit_are_written_one_by_one_and_the_next_is_counted() {
        let mut flood = Aggregator::new(3);
        for _ in 0..3 {
            assert!(flood.offer(denied("/m"), SECOND).is_some());
        }
        assert!(flood.offer(denied("/m"), SECOND).is_none());
        assert!(flood.offer(denied("/m"), SECOND).is_none());
        assert!(flood.take(SECOND + SECOND / 2).is_empty());
        let lines = flood.take(SECOND * 2);
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].count, lines[0].method.as_str()), (2, "/m"));
        assert_eq!(lines[0].reason.as_str(), "GRANT_MISSING");
    }

    #[test]
    fn the_next_second_has_lines_of_its_own_again() {
        let mut flood = Aggregator::new(1);
        assert!(flood.offer(denied("/m"), SECOND).is_some());
        assert!(flood.offer(denied("/m"), SECOND + SECOND / 2).is_none());
        assert_eq!(flood.take(SECOND * 2).len(), 1);
        assert!(flood.offer(denied("/m"), SECOND * 2).is_some());
        assert!(flood.take(SECOND * 3).is_empty());
        assert!(flood.offer(denied("/m"), SECOND * 3).is_some());
    }

    #[test]
    fn every_call_is_counted_though_the_keys_are_bounded() {
        let mut flood = Aggregator::new(10);
        let calls = 10 + AGGREGATE_KEYS_MAX + 500;
        let mut written = 0;
        for call in 0..calls {
            written += u32::from(flood.offer(denied(&format!("/m{call}")), SECOND).is_some());
        }
        let lines = flood.take(SECOND * 2);
        assert_eq!(lines.len(), AGGREGATE_KEYS_MAX + 1);
        let overflow = lines.iter().find(|line| line.method == AGGREGATE_OVERFLOW_METHOD).unwrap();
        assert_eq!(overflow.count, 500);
        let counted: u32 = lines.iter().map(|line| line.count).sum();
        assert_eq!((written + counted) as usize, calls);
    }

    #[test]
    fn outcomes_and_projects_are_counted_apart_and_a_count_wraps_never() {
        let mut flood = Aggregator::new(0);
        let mut huge = denied("/m");
        huge.count = u32::MAX;
        assert!(flood.offer(huge, SECOND).is_none());
        assert!(flood.offer(denied("/m"), SECOND).is_none());
        let mut foreign = denied("/m");
        foreign.project = Some(ProjectId::from_bytes([1; 16]));
        assert!(flood.offer(foreign, SECOND).is_none());
        assert!(flood.offer(Line::about("/m", LineKind::Single, Outcome::Throttled), SECOND).is_none());
        let lines = flood.take_all();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().any(|line| line.count == u32::MAX));
    }
}

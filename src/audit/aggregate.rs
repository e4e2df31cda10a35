//! Keeps a flood of refused calls from flooding the ledger.
//!
//! Owns the counts of what was not written one by one. Never drops a call:
//! beyond the limit calls are counted by project, method, outcome and reason,
//! and each count becomes one line. Reads no clock and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ProjectId;

use super::line::{Line, LineKind, Outcome, Reason};

/// The most counts at a time; beyond it calls are counted under one key.
pub const AGGREGATE_KEYS_MAX: usize = 256;
/// The method of the count of everything beyond the keys.
pub const AGGREGATE_OVERFLOW_METHOD: &str = "aggregate/other";

type Key = (Option<ProjectId>, String, &'static str, String);

/// How many lines there may be, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Lines written one by one in each window. A person who mistypes is seen
    /// line by line; a program that hammers is counted.
    pub singles_max: u32,
    /// Counts at a time.
    pub keys_max: usize,
    /// How long calls are counted before the count becomes a line.
    pub window: Duration,
}

impl Measure {
    /// For callers with a token: each can be told to stop.
    pub const KNOWN: Self = Self { singles_max: 50, keys_max: AGGREGATE_KEYS_MAX, window: Duration::from_secs(1) };
    /// For everybody else. Three lines a second fill no disk: some 150 MB in a
    /// day of nothing but attack.
    pub const STRANGERS: Self = Self { singles_max: 120, keys_max: 60, window: Duration::from_secs(60) };
}

/// Decides which refused calls get a line of their own, and counts the rest.
pub struct Aggregator {
    measure: Measure,
    window_start: Duration,
    singles: u32,
    // Invariant: at most `keys_max` entries besides the overflow's, one for
    // each outcome.
    counts: BTreeMap<Key, Line>,
}

impl Aggregator {
    /// With so many lines.
    #[must_use]
    pub const fn new(measure: Measure) -> Self {
        Self { measure, window_start: Duration::ZERO, singles: 0, counts: BTreeMap::new() }
    }

    /// Gives the line back when it is to be written by itself, else counts it.
    /// `now` is monotonic.
    pub fn offer(&mut self, line: Line, now: Duration) -> Option<Line> {
        if self.counts.is_empty() && now.saturating_sub(self.window_start) >= self.measure.window {
            self.window_start = now;
            self.singles = 0;
        }
        if self.singles < self.measure.singles_max {
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
        if now.saturating_sub(self.window_start) < self.measure.window {
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
        } else if self.counts.len() < self.measure.keys_max {
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

    const fn known(singles_max: u32) -> Aggregator {
        Aggregator::new(Measure { singles_max, ..Measure::KNOWN })
    }

    fn denied(method: &str) -> Line {
        let mut line = Line::about(method, LineKind::Single, Outcome::Denied);
        line.reason = Reason::new("GRANT_MISSING");
        line
    }

    #[test]
    fn calls_up_to_the_limit_are_written_one_by_one_and_the_next_is_counted() {
        let mut flood = known(3);
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
        let mut flood = known(1);
        assert!(flood.offer(denied("/m"), SECOND).is_some());
        assert!(flood.offer(denied("/m"), SECOND + SECOND / 2).is_none());
        assert_eq!(flood.take(SECOND * 2).len(), 1);
        assert!(flood.offer(denied("/m"), SECOND * 2).is_some());
        assert!(flood.take(SECOND * 3).is_empty());
        assert!(flood.offer(denied("/m"), SECOND * 3).is_some());
    }

    #[test]
    fn every_call_is_counted_though_the_keys_are_bounded() {
        let mut flood = known(10);
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
        let mut flood = known(0);
        let mut huge = denied("/m");
        huge.count = u32::MAX;
        assert!(flood.offer(huge, SECOND).is_none());
        assert!(flood.offer(denied("/m"), SECOND).is_none());
        let mut foreign = denied("/m");
        foreign.project = Some(ProjectId::from_bytes([1; 16]));
        assert!(flood.offer(foreign, SECOND).is_none());
        let throttled = Line { outcome: Outcome::Throttled, ..denied("/m") };
        assert!(flood.offer(throttled, SECOND).is_none());
        let lines = flood.take_all();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().any(|line| line.count == u32::MAX));
    }

    /// A minute of a stranger's calls, each of another kind.
    #[test]
    fn strangers_have_three_lines_a_second_at_most() {
        let mut flood = Aggregator::new(Measure::STRANGERS);
        let minute = Measure::STRANGERS.window;
        let written = (0..10_000).filter(|call| flood.offer(denied(&format!("/m{call}")), minute).is_some()).count();
        assert!(flood.take(minute * 2 - SECOND).is_empty());
        let lines = flood.take(minute * 2);
        assert_eq!(written + lines.len(), 120 + 60 + 1);
        assert_eq!(written + lines.iter().map(|line| line.count as usize).sum::<usize>(), 10_000);
    }
}

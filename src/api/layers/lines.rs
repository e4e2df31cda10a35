//! A line for every call that has none when it ends; a flood of refused calls
//! is counted, never silent. Who has no token cannot fill the disk with them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::broker::{Aggregator, Line, LineKind, Measure, Outcome, Reason};
use crate::broker::{BrokerError, Call, CallRecord};

use super::porter::Porter;

/// Writes and counts lines.
pub(super) struct Lines {
    porter: Arc<dyn Porter>,
    flood: Mutex<Flood>,
    // Invariant: at most what one `take` of the aggregators gives.
    unwritten: tokio::sync::Mutex<Vec<Line>>,
}

/// What is counted of callers with a token, and of all others.
struct Flood {
    known: Aggregator,
    strangers: Aggregator,
}

impl Lines {
    pub(super) fn new(porter: Arc<dyn Porter>) -> Self {
        let (known, strangers) = (Aggregator::new(Measure::KNOWN), Aggregator::new(Measure::STRANGERS));
        Self { porter, flood: Mutex::new(Flood { known, strangers }), unwritten: tokio::sync::Mutex::default() }
    }

    /// A line about a call, or a count of it when there are too many such.
    pub(super) async fn write(
        &self,
        record: &CallRecord,
        call: Option<&Call>,
        outcome: Outcome,
        reason: &str,
        now: Duration,
    ) -> Result<(), BrokerError> {
        let counted = match outcome {
            Outcome::Denied | Outcome::Malformed | Outcome::Throttled => true,
            // A failure is somebody's, or a stranger's way to make lines.
            Outcome::Ok | Outcome::Failed | Outcome::Pending | Outcome::Unknown => call.is_none(),
        };
        let offer = || self.flood().of(call.is_some()).offer(line(record, call, outcome, reason), now).is_some();
        let single = !counted || offer();
        if single { self.porter.line_of(record, call, outcome, reason).await } else { Ok(()) }
    }

    /// Counts a call whose line could not be written.
    pub(super) fn count(&self, record: &CallRecord, call: Option<&Call>, outcome: Outcome, reason: &str) {
        self.flood().of(call.is_some()).count(line(record, call, outcome, reason));
    }

    /// Writes the counts whose window is over, or all of them. What cannot be
    /// written is kept for the next time.
    pub(super) async fn flush(&self, now: Duration, all: bool) -> Result<(), BrokerError> {
        let mut unwritten = self.unwritten.lock().await;
        // What an earlier flush left goes first, and what was counted since
        // then follows it: a stop in the middle of a flush loses neither.
        self.write_all(&mut unwritten).await?;
        *unwritten = self.flood().take(now, all);
        self.write_all(&mut unwritten).await
    }

    async fn write_all(&self, unwritten: &mut Vec<Line>) -> Result<(), BrokerError> {
        while let Some(line) = unwritten.last() {
            self.porter.write_counted(vec![line.clone()]).await?;
            unwritten.pop();
        }
        Ok(())
    }

    fn flood(&self) -> std::sync::MutexGuard<'_, Flood> {
        self.flood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flood {
    const fn of(&mut self, known: bool) -> &mut Aggregator {
        if known { &mut self.known } else { &mut self.strangers }
    }

    /// The counts whose window is over, or all.
    fn take(&mut self, now: Duration, all: bool) -> Vec<Line> {
        let take = |counts: &mut Aggregator| if all { counts.take_all() } else { counts.take(now) };
        let mut lines = take(&mut self.known);
        lines.append(&mut take(&mut self.strangers));
        lines
    }
}

fn line(record: &CallRecord, call: Option<&Call>, outcome: Outcome, reason: &str) -> Line {
    Line {
        project: call.map(Call::project),
        reason: Reason::new(reason),
        ..Line::about(record.method, LineKind::Single, outcome)
    }
}

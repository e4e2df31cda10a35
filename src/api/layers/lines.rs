//! A line for every call that has none when it ends; a flood of refused calls
//! is counted, never silent, and so is one of reading calls. Neither who has no
//! token nor who may only read can fill the disk with them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::broker::{
    Aggregator, Line, LineKind, Measure, Outcome, READ_LINES_BURST, READ_LINES_PER_SECOND, ReadCounts, Reason,
};
use crate::broker::{BrokerError, Call, CallRecord};

use super::porter::Porter;
use super::rates::PrincipalRates;
use super::shape::method_at;

/// Writes and counts lines.
pub(super) struct Lines {
    porter: Arc<dyn Porter>,
    flood: Mutex<Flood>,
    reading: PrincipalRates,
    /// The ledger took the last line: reading calls may be counted.
    taken: AtomicBool,
    // Invariant: at most what one `take` of the aggregators gives.
    unwritten: tokio::sync::Mutex<Vec<Line>>,
}

/// What is counted of callers with a token, and of all others.
struct Flood {
    known: Aggregator,
    strangers: Aggregator,
    reads: ReadCounts,
}

impl Lines {
    pub(super) fn new(porter: Arc<dyn Porter>) -> Self {
        let (known, strangers) = (Aggregator::new(Measure::KNOWN), Aggregator::new(Measure::STRANGERS));
        let [often, burst] =
            [READ_LINES_PER_SECOND, READ_LINES_BURST].map(|rate| NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN));
        Self {
            porter,
            flood: Mutex::new(Flood { known, strangers, reads: ReadCounts::default() }),
            reading: PrincipalRates::new(often, burst),
            taken: AtomicBool::new(true),
            unwritten: tokio::sync::Mutex::default(),
        }
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
        let single = if counted { offer() } else { !self.counts_as_read(record, call, outcome, reason) };
        if !single {
            return Ok(());
        }
        let written = self.porter.line_of(record, call, outcome, reason).await;
        self.taken.store(written.is_ok(), Ordering::Release);
        written
    }

    /// Counts a reading call of somebody who has had enough lines; false when
    /// it is to have one of its own. While the ledger takes no lines nobody is
    /// answered on the strength of a count.
    fn counts_as_read(&self, record: &CallRecord, call: Option<&Call>, outcome: Outcome, reason: &str) -> bool {
        let Some(call) = call.filter(|_| method_at(record.method).is_some_and(|method| method.read)) else {
            return false;
        };
        if self.reading.check(call.principal().id).is_ok() || !self.taken.load(Ordering::Acquire) {
            return false;
        }
        self.flood().reads.count(call.line(outcome, reason));
        true
    }

    /// Counts a call whose line could not be written.
    pub(super) fn count(&self, record: &CallRecord, call: Option<&Call>, outcome: Outcome, reason: &str) {
        self.flood().of(call.is_some()).count(line(record, call, outcome, reason));
    }

    /// Writes the counts whose window is over, or all of them. What cannot be
    /// written is kept for the next time.
    pub(super) async fn flush(&self, now: Duration, all: bool) -> Result<(), BrokerError> {
        self.reading.tidy();
        let mut unwritten = self.unwritten.lock().await;
        // What an earlier flush left goes first, and what was counted since
        // then follows it: a stop in the middle of a flush loses neither.
        self.write_all(&mut unwritten).await?;
        *unwritten = self.flood().take(now, all);
        self.write_all(&mut unwritten).await
    }

    async fn write_all(&self, unwritten: &mut Vec<Line>) -> Result<(), BrokerError> {
        while let Some(line) = unwritten.last() {
            let written = self.porter.write_counted(vec![line.clone()]).await;
            self.taken.store(written.is_ok(), Ordering::Release);
            written?;
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
        lines.append(&mut self.reads.take());
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

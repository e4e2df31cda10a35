//! A line for every call that has none when it ends; a flood of refused calls
//! is counted, never silent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::broker::{Aggregator, Line, LineKind, Outcome, Reason};
use crate::broker::{BrokerError, Call, CallRecord};

use super::porter::Porter;

/// Writes and counts lines.
pub(super) struct Lines {
    porter: Arc<dyn Porter>,
    flood: Mutex<Aggregator>,
    // Invariant: at most what one `take` of the aggregator gives.
    unwritten: tokio::sync::Mutex<Vec<Line>>,
}

impl Lines {
    pub(super) fn new(porter: Arc<dyn Porter>) -> Self {
        Self { porter, flood: Mutex::default(), unwritten: tokio::sync::Mutex::default() }
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
        let single = match outcome {
            Outcome::Denied | Outcome::Malformed | Outcome::Throttled => {
                self.flood().offer(counted(record, call, outcome, reason), now).is_some()
            }
            Outcome::Ok | Outcome::Failed | Outcome::Pending | Outcome::Unknown => true,
        };
        if single { self.porter.line_of(record, call, outcome, reason).await } else { Ok(()) }
    }

    /// Counts a call whose line could not be written.
    pub(super) fn count(&self, record: &CallRecord, call: Option<&Call>, outcome: Outcome, reason: &str) {
        self.flood().count(counted(record, call, outcome, reason));
    }

    /// Writes the counts whose window is over, or all of them. What cannot be
    /// written is kept for the next time.
    pub(super) async fn flush(&self, now: Duration, all: bool) -> Result<(), BrokerError> {
        let mut unwritten = self.unwritten.lock().await;
        // What an earlier flush left goes first, and what was counted since
        // then follows it: a stop in the middle of a flush loses neither.
        self.write_all(&mut unwritten).await?;
        *unwritten = if all { self.flood().take_all() } else { self.flood().take(now) };
        self.write_all(&mut unwritten).await
    }

    async fn write_all(&self, unwritten: &mut Vec<Line>) -> Result<(), BrokerError> {
        while let Some(line) = unwritten.last() {
            self.porter.write_counted(vec![line.clone()]).await?;
            unwritten.pop();
        }
        Ok(())
    }

    fn flood(&self) -> std::sync::MutexGuard<'_, Aggregator> {
        self.flood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counted(record: &CallRecord, call: Option<&Call>, outcome: Outcome, reason: &str) -> Line {
    Line {
        project: call.map(Call::project),
        reason: Reason::new(reason),
        ..Line::about(record.method, LineKind::Single, outcome)
    }
}

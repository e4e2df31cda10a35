//! The gate: no durable line, no entry; no entry, no key.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Clock, ClockWatch, SteadyClock, Timestamp};

use super::entry::OpenEntry;
use super::journal::{Journal, JournalError};
use super::line::{Detail, Line, LineKind, Outcome, Seq};

/// Writes lines and hands out the proof of it.
#[derive(Clone)]
pub struct Ledger {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    started: Duration,
    watch: Option<Arc<ClockWatch>>,
}

/// The detail of a line that says what the clock showed, when that was not
/// believed.
const CLOCK_DETAIL: &str = "clock";

impl Ledger {
    /// A ledger that writes to `journal`.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        let started = clock.monotonic();
        Self { journal, clock, started, watch: None }
    }

    /// A ledger whose lines also say what the clock showed while it is in
    /// doubt.
    #[must_use]
    pub fn watched(journal: Arc<dyn Journal>, watch: Arc<ClockWatch>) -> Self {
        let ledger = Self::new(journal, Arc::new(SteadyClock::of(Arc::clone(&watch))));
        Self { watch: Some(watch), ..ledger }
    }

    /// What the clock showed when a line was written that did not believe it.
    #[must_use]
    pub fn disbelieved(line: &Line) -> Option<Timestamp> {
        line.details.get(CLOCK_DETAIL)?.as_str().parse().ok()
    }

    /// Writes an intent; the entry is the proof that it is durable.
    ///
    /// # Errors
    /// When the line is not durable: the caller must not go on.
    pub async fn open(&self, intent: Line) -> Result<OpenEntry, JournalError> {
        let intent = self.stamp(pending(intent));
        let seq = self.journal.append(intent.clone()).await?;
        Ok(OpenEntry::new(seq, intent))
    }

    /// Writes the intent to take power away: that goes on on a full disk.
    ///
    /// # Errors
    /// When the line is not durable: the caller must not go on.
    pub async fn open_withdrawal(&self, intent: Line) -> Result<OpenEntry, JournalError> {
        let intent = self.stamp(pending(intent));
        let seq = self.journal.append_withdrawal(intent.clone()).await?;
        Ok(OpenEntry::new(seq, intent))
    }

    /// Writes a line that stands by itself, or the result of an entry.
    ///
    /// # Errors
    /// When the line is not durable: nothing may be handed out.
    pub async fn write(&self, line: Line) -> Result<Seq, JournalError> {
        self.journal.append(self.stamp(line)).await
    }

    /// The line with the time on it; for lines that a store transaction
    /// carries.
    #[must_use]
    pub fn stamp(&self, mut line: Line) -> Line {
        line.at = self.clock.now();
        if let Some((at, Some(shown))) = self.watch.as_ref().map(|watch| watch.steady()) {
            line.at = at;
            line.details.insert(CLOCK_DETAIL.to_owned(), Detail::new(&shown.to_string()));
        }
        let uptime = self.clock.monotonic().saturating_sub(self.started);
        line.uptime_ms = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        line
    }
}

fn pending(mut intent: Line) -> Line {
    intent.kind = LineKind::Intent;
    intent.outcome = Outcome::Pending;
    intent
}

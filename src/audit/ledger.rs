//! The gate: no durable line, no entry; no entry, no key.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Clock;

use super::entry::OpenEntry;
use super::journal::{Journal, JournalError};
use super::line::{Line, LineKind, Outcome, Seq};

/// Writes lines and hands out the proof of it.
#[derive(Clone)]
pub struct Ledger {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    started: Duration,
}

impl Ledger {
    /// A ledger that writes to `journal`.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        let started = clock.monotonic();
        Self { journal, clock, started }
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

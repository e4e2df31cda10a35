//! The proof that an intent is durable.

use crate::domain::{ConnectorId, ProjectId};

use super::line::{Line, LineKind, Outcome, Reason, Seq};

/// An intent that is durable and not yet closed. Made by the ledger only.
///
/// Dropped without a result it stays open, and the next start of the daemon
/// closes it as `unknown`.
#[derive(Debug)]
pub struct OpenEntry {
    seq: Seq,
    intent: Line,
}

impl OpenEntry {
    pub(super) const fn new(seq: Seq, intent: Line) -> Self {
        Self { seq, intent }
    }

    /// Where the intent stands.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// The connector it is about.
    #[must_use]
    pub const fn connector(&self) -> Option<ConnectorId> {
        self.intent.connector
    }

    /// The project it is about.
    #[must_use]
    pub const fn project(&self) -> Option<ProjectId> {
        self.intent.project
    }

    /// The result line of this intent: the same words with another outcome.
    /// It closes the entry once it is durable.
    #[must_use]
    pub fn result(&self, outcome: Outcome, reason: Reason) -> Line {
        Line { kind: LineKind::Result(self.seq), outcome, reason, ..self.intent.clone() }
    }
}

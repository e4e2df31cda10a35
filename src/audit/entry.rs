//! The proof that an intent is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{ConnectorId, ProjectId};

use super::line::{Detail, Line, LineKind, Outcome, Reason, Seq};

/// What came to be known between an intent and its result, for the result to
/// say. Shared with whoever learns it.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<BTreeMap<&'static str, Detail>>>);

impl Notes {
    /// Keeps a detail; the last one under a key stays.
    pub fn note(&self, key: &'static str, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Detail::new(text));
    }

    fn on(&self, mut line: Line) -> Line {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        line.details.extend(notes.iter().map(|(key, text)| ((*key).to_owned(), text.clone())));
        line
    }
}

/// An intent that is durable and not yet closed. Made by the ledger only.
///
/// Dropped without a result it stays open, and the next start of the daemon
/// closes it as `unknown`.
#[derive(Debug)]
pub struct OpenEntry {
    seq: Seq,
    intent: Line,
    notes: Notes,
}

impl OpenEntry {
    pub(super) fn new(seq: Seq, intent: Line) -> Self {
        Self { seq, intent, notes: Notes::default() }
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

    /// What the result is to say besides the words of the intent.
    #[must_use]
    pub const fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The result line of this intent: the same words with another outcome,
    /// and the notes. It closes the entry once it is durable.
    #[must_use]
    pub fn result(&self, outcome: Outcome, reason: Reason) -> Line {
        let line = Line { kind: LineKind::Result(self.seq), outcome, reason, ..self.intent.clone() };
        self.notes.on(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_the_notes_of_its_entry_and_what_its_intent_said() {
        let intent = Line::about("/mint", LineKind::Intent, Outcome::Pending).with_detail("verify", "asked");
        let entry = OpenEntry::new(Seq(7), intent);
        entry.notes().clone().note("identity", "issuer");
        let result = entry.result(Outcome::Ok, Reason::new("DONE"));
        assert_eq!(
            (result.kind, result.outcome, result.reason.as_str()),
            (LineKind::Result(Seq(7)), Outcome::Ok, "DONE")
        );
        let told: Vec<_> = result.details.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        assert_eq!(told, [("identity", "issuer"), ("verify", "asked")]);
    }
}

//! Use cases of the ledger, to read: nothing here writes anything but the
//! line about the reading.

mod list_lines;
mod tail_lines;

pub use crate::audit::{LineKind, Outcome, Seq, StoredLine, Subject as LineSubject};
pub use list_lines::LineAsk;
pub(in crate::broker) use tail_lines::TAILS_MAX;
pub use tail_lines::Tailed;

#[cfg(test)]
mod tests;

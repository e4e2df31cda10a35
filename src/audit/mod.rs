//! The ledger: who asked for what, and what became of it.
//!
//! A line is durable before a key is used, and another before the first byte
//! of a credential leaves. An [`OpenEntry`] is made by the ledger once the
//! intent is durable, and by nothing else. Lines are built by typed code from
//! an allow-list of fields: no request is ever logged and redacted.

pub mod aggregate;
pub mod chain;
pub mod entry;
pub mod journal;
pub mod ledger;
pub mod line;
pub mod reads;
pub mod verify;

pub use aggregate::{Aggregator, Measure};
pub use chain::{Hash, StoredLine};
pub use entry::{Notes, OpenEntry};
pub use journal::{Journal, JournalError};
pub use ledger::Ledger;
pub use line::{Detail, Line, LineFilter, LineKind, Outcome, Reason, Seq, Subject};
pub use reads::{READ_LINES_BURST, READ_LINES_PER_SECOND, ReadCounts};
pub use verify::{BadLine, Columns, ExpectedHead, Fault, RawLine, Verified, Verifier};

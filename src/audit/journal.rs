//! The port through which lines become durable; a store implements it.

use async_trait::async_trait;

use super::line::{Line, Seq};

/// A line could not be made durable: nothing sensitive may go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The disk is full or refuses writes; reads go on.
    #[error("the ledger cannot be written")]
    Unwritable,
    /// Too many lines wait.
    #[error("the ledger's queue is full")]
    Full,
    /// The store has stopped.
    #[error("the store has stopped")]
    Stopped,
}

/// Appends lines durably.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Returns once the line is on disk, with its place.
    ///
    /// # Errors
    /// When it is not; the line may not be assumed written.
    async fn append(&self, line: Line) -> Result<Seq, JournalError>;

    /// The same for the intent to take power away: it may use the room that
    /// is kept for that when there is no other.
    ///
    /// # Errors
    /// When the line is not durable.
    async fn append_withdrawal(&self, line: Line) -> Result<Seq, JournalError>;
}

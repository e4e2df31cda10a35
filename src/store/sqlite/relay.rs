//! Carries the answers of a group from the writer's thread to the runtime in
//! one piece, so that a runtime wakes once for a group and not once for each
//! line of it.
//!
//! Who waits is answered in any case: where nobody carries, the writer
//! answers by itself.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::audit::Seq;
use crate::store::{Committed, StoreError};

use super::writer::Answer;

/// Groups under way to the runtime; a writer that is ahead by more answers by
/// itself.
const GROUPS_MAX: usize = 16;

/// What somebody waits for.
pub(super) enum Reply {
    Line(Answer<Seq>, Result<Seq, StoreError>),
    Tx(Answer<Committed>, Result<Committed, StoreError>),
}

impl Reply {
    /// Whoever went away is not told.
    fn deliver(self) {
        match self {
            Self::Line(answer, outcome) => drop(answer.send(outcome)),
            Self::Tx(answer, outcome) => drop(answer.send(outcome)),
        }
    }
}

/// Where the writer puts answers.
#[derive(Default)]
pub(super) struct Relay(Mutex<Option<mpsc::Sender<Vec<Reply>>>>);

impl Relay {
    /// Answers everybody of a group.
    pub(super) fn answer(&self, replies: Vec<Reply>) {
        // A single one is there sooner by itself.
        let carrier = if replies.len() > 1 { self.lock().clone() } else { None };
        let left = match carrier {
            None => replies,
            Some(carrier) => match carrier.try_send(replies) {
                Ok(()) => return,
                Err(TrySendError::Full(replies) | TrySendError::Closed(replies)) => replies,
            },
        };
        left.into_iter().for_each(Reply::deliver);
    }

    /// Carries answers for as long as it is polled.
    pub(super) async fn carry(&self) {
        let (sender, receiver) = mpsc::channel(GROUPS_MAX);
        *self.lock() = Some(sender);
        let mut carrying = Carrying { relay: self, receiver };
        while let Some(replies) = carrying.receiver.recv().await {
            replies.into_iter().for_each(Reply::deliver);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Vec<Reply>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However carrying ends, what is under way arrives.
struct Carrying<'a> {
    relay: &'a Relay,
    receiver: mpsc::Receiver<Vec<Reply>>,
}

impl Drop for Carrying<'_> {
    fn drop(&mut self) {
        *self.relay.lock() = None;
        self.receiver.close();
        while let Ok(replies) = self.receiver.try_recv() {
            replies.into_iter().for_each(Reply::deliver);
        }
    }
}

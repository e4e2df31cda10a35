//! Stops all writing, once, and tells the daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Shared;
use super::options::OnFatal;
use super::queue::Queue;
use super::writer::Job;

pub(super) struct Alarm {
    pub(super) shared: Arc<Shared>,
    pub(super) writes: Arc<Queue<Job>>,
    pub(super) on_fatal: OnFatal,
    pub(super) raised: AtomicBool,
}

impl Alarm {
    /// What waits to be written is answered `Stopped`.
    pub(super) fn raise(&self, cause: &'static str) {
        self.shared.writable.store(false, Ordering::Release);
        self.writes.abandon();
        if !self.raised.swap(true, Ordering::AcqRel) {
            tracing::error!(cause, "the store stopped for good");
            (self.on_fatal)(cause);
        }
    }

    pub(super) fn raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }
}

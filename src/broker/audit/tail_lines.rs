//! Follow the ledger: lines of the caller's project as they are written. The
//! stream ends when the caller's right does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::audit::{Seq, StoredLine};
use crate::authz::Permission;

use super::super::detach::detach;
use super::super::{Broker, BrokerError, Call, CallRecord, NoPlace};

/// The most streams at once: auditors and exporters are few.
pub(in crate::broker) const TAILS_MAX: usize = 64;
/// Lines that are read at once, between two looks at the caller's right.
const BATCH: u32 = 100;
/// The longest time between two looks at the caller's right, also while a
/// slow reader holds back the stream.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the last item waits for its reader.
const FAREWELL: Duration = Duration::from_secs(1);
/// When to ask for a place again.
const PLACE_AFTER: Duration = Duration::from_secs(10);

/// What a reader receives.
pub type Tailed = Result<StoredLine, BrokerError>;

impl Broker {
    /// Sends lines after `after`, or from now on, until the reader goes away
    /// or may no longer read; the last item is then the error.
    ///
    /// # Errors
    /// `Denied`; `Exhausted` when too many streams are open, or too many of
    /// the caller's.
    pub async fn tail_audit_lines(
        self: &Arc<Self>,
        call: &Call,
        after: Option<Seq>,
    ) -> Result<mpsc::Receiver<Tailed>, BrokerError> {
        self.permit(call, Permission::AuditRead).await?;
        let place = self.tails.take(call.principal().id).map_err(no_place)?;
        let after = match after {
            Some(after) => after,
            None => self.store.last_seq().await.map_err(|error| BrokerError::of("ledger line", &error))?,
        };
        // One item: a slow reader holds back its own stream only.
        let (sender, receiver) = mpsc::channel(1);
        let (broker, call) = (Arc::clone(self), call.clone());
        detach(async move {
            if let Err(error) = broker.send_lines(&call, after, &sender).await {
                // A reader that takes nothing does not keep its place for it.
                drop(sender.send_timeout(Err(error), FAREWELL).await);
            }
            drop(place);
        });
        Ok(receiver)
    }

    /// Ends well when the reader has gone.
    async fn send_lines(&self, call: &Call, after: Seq, sender: &mpsc::Sender<Tailed>) -> Result<(), BrokerError> {
        let (mut grown, mut changed) = (self.store.watch_lines(), self.store.watch_revision());
        let mut after = after;
        loop {
            self.may_still_read(call).await?;
            changed.mark_unchanged();
            let newest = *grown.borrow_and_update();
            let read = self.store.lines_after(Some(call.project()), after, BATCH).await;
            let read = read.map_err(|error| BrokerError::of("ledger line", &error))?;
            let whole = read.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            for line in read {
                after = line.seq;
                if !self.send_line(call, line, sender).await? {
                    return Ok(());
                }
            }
            if !whole {
                continue;
            }
            after = after.max(newest);
            tokio::select! {
                () = sender.closed() => return Ok(()),
                grown = grown.changed() => grown.map_err(|_| stopping())?,
                changed = changed.changed() => changed.map_err(|_| stopping())?,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Sends one line; false when the reader has gone.
    async fn send_line(
        &self,
        call: &Call,
        line: StoredLine,
        sender: &mpsc::Sender<Tailed>,
    ) -> Result<bool, BrokerError> {
        loop {
            match tokio::time::timeout(LOOK_EVERY, sender.reserve()).await {
                Ok(Ok(room)) => {
                    room.send(Ok(line));
                    return Ok(true);
                }
                Ok(Err(_)) => return Ok(false),
                Err(_) => self.may_still_read(call).await?,
            }
        }
    }

    /// The decision as of now: the token may have been revoked or have ended,
    /// the role been taken away.
    async fn may_still_read(&self, call: &Call) -> Result<(), BrokerError> {
        let caller = self.caller_again(&call.caller.token).await?;
        let record = Arc::new(CallRecord::new(call.record.method, call.record.source.clone()));
        self.permit(&Call { record, caller }, Permission::AuditRead).await?;
        Ok(())
    }
}

fn no_place(none: NoPlace) -> BrokerError {
    let (code, message) = match none {
        NoPlace::Full => ("TOO_MANY_TAILS", "too many readers follow the ledger".to_owned()),
        NoPlace::OwnFull(limit) => (
            "PRINCIPAL_TAILS",
            format!(
                "you follow the ledger {limit} times, the most of one principal; end some, or have an operator raise \
                 limits.principal_share"
            ),
        ),
    };
    BrokerError::Exhausted { code, message, retry_after: Some(PLACE_AFTER) }
}

const fn stopping() -> BrokerError {
    BrokerError::Unavailable { code: "STOPPING", message: "the server is stopping" }
}

//! Watch a credential: the next one is pushed before the last one ends, and
//! the stream ends when the caller's rights do.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::domain::Timestamp;

use super::super::detach::detach;
use super::super::{Broker, BrokerError, Call, CallRecord};
use super::hand_out::HandedOut;
use super::plan::MintAsk;

/// The most streams at once.
pub(in crate::broker) const WATCHES_MAX: usize = 4_096;
/// The longest time between two looks at the clock: a clock that jumps, or a
/// token that ends, is seen within this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure that may pass.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause while the credential that serves is due, and the next one
/// is not to be had yet.
const DUE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What a watcher receives.
pub type Pushed = Result<HandedOut, BrokerError>;

impl Broker {
    /// Pushes a credential now and the next one in time, until the caller
    /// goes away or may no longer have it; the last item is then the error.
    ///
    /// # Errors
    /// `Exhausted` when too many streams are open.
    pub fn watch_credential(
        self: &Arc<Self>,
        call: &Call,
        ask: MintAsk,
    ) -> Result<mpsc::Receiver<Pushed>, BrokerError> {
        let place = Arc::clone(&self.watches).try_acquire_owned().map_err(|_| BrokerError::Exhausted {
            code: "TOO_MANY_WATCHES",
            message: "too many credentials are being watched".to_owned(),
            retry_after: Some(Duration::from_secs(10)),
        })?;
        // One item: a slow reader holds back its own stream only.
        let (sender, receiver) = mpsc::channel(1);
        let (broker, call) = (Arc::clone(self), call.clone());
        detach(async move {
            broker.push_until_over(call, &ask, &sender).await;
            drop(place);
        });
        Ok(receiver)
    }

    async fn push_until_over(self: &Arc<Self>, call: Call, ask: &MintAsk, sender: &mpsc::Sender<Pushed>) {
        let mut call = call;
        let mut delivered = false;
        while !sender.is_closed() {
            let next = match self.mint_credential(&call, ask).await {
                Ok(out) => {
                    let now = self.clock.now();
                    let pause = (out.minted().expires_at.since(now) / 10).clamp(RETRY_PAUSE, DUE_PAUSE_MAX);
                    let at = out.refresh_at.max(now.plus(pause));
                    if sender.send(Ok(out)).await.is_err() {
                        return;
                    }
                    delivered = true;
                    at
                }
                Err(error) if delivered && passes(&error) => self.clock.now().plus(RETRY_PAUSE),
                Err(error) => {
                    drop(sender.send(Err(error)).await);
                    return;
                }
            };
            match self.wait_allowed(&call, ask, next, sender).await {
                Ok(Some(again)) => call = again,
                Ok(None) => return,
                Err(error) => {
                    drop(sender.send(Err(error)).await);
                    return;
                }
            }
        }
    }

    /// Waits until `next`, looking at the caller's rights after each change
    /// of the store. Nothing when the reader has gone.
    async fn wait_allowed(
        self: &Arc<Self>,
        call: &Call,
        ask: &MintAsk,
        next: Timestamp,
        sender: &mpsc::Sender<Pushed>,
    ) -> Result<Option<Call>, BrokerError> {
        let mut revision = self.store.watch_revision();
        let mut seen = None;
        let mut current = call.clone();
        loop {
            let newest = *revision.borrow_and_update();
            if seen != Some(newest) {
                current = self.allowed_again(&current, ask).await?;
                seen = Some(newest);
            }
            if self.clock.now() >= current.caller.token_expires_at {
                return Err(BrokerError::Unauthenticated);
            }
            if self.clock.now() >= next {
                return Ok(Some(current));
            }
            tokio::select! {
                () = sender.closed() => return Ok(None),
                changed = revision.changed() => if changed.is_err() {
                    return Err(BrokerError::Unavailable { code: "STOPPING", message: "the server is stopping" });
                },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// The caller as of now, still allowed; each push has a record of its own.
    async fn allowed_again(&self, call: &Call, ask: &MintAsk) -> Result<Call, BrokerError> {
        let caller = self.caller_again(&call.caller.token).await?;
        let record = Arc::new(CallRecord::new(call.record.method, call.record.source.clone()));
        let call = Call { record, caller };
        self.plan(&call, ask).await?;
        Ok(call)
    }
}

/// Whether a watcher that has a credential waits for this to pass.
const fn passes(error: &BrokerError) -> bool {
    match error {
        BrokerError::Upstream(error) => error.recoverable(),
        BrokerError::Unavailable { .. } | BrokerError::Exhausted { .. } => true,
        BrokerError::Unauthenticated
        | BrokerError::Denied { .. }
        | BrokerError::NotFound { .. }
        | BrokerError::Invalid(_)
        | BrokerError::Stale { .. }
        | BrokerError::NameTaken { .. }
        | BrokerError::Precondition { .. }
        | BrokerError::DataLoss { .. }
        | BrokerError::Internal { .. } => false,
    }
}

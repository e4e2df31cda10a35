//! Watch a credential: the next one is pushed before the last one ends, and
//! the stream ends when the caller's rights do.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::connectors::UpstreamError;
use crate::domain::Timestamp;

use super::super::detach::detach;
use super::super::{Broker, BrokerError, Call, CallRecord, NoPlace};
use super::hand_out::HandedOut;
use super::outliving::outlives;
use super::plan::MintAsk;

/// The most streams at once.
pub(in crate::broker) const WATCHES_MAX: usize = 4_096;
/// The longest time between two looks at the clock: a clock that jumps, or a
/// token that ends, is seen within this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure that may pass, at least and at most.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// When to ask for a place again.
const PLACE_AFTER: Duration = Duration::from_secs(10);
/// How long the last item waits for its reader.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a watcher receives.
pub type Pushed = Result<HandedOut, BrokerError>;

impl Broker {
    /// Pushes a credential now and the next one in time, until the caller
    /// goes away or may no longer have it; the last item is then the error.
    ///
    /// # Errors
    /// `Exhausted` when too many streams are open, or too many of the caller's.
    pub fn watch_credential(
        self: &Arc<Self>,
        call: &Call,
        ask: MintAsk,
    ) -> Result<mpsc::Receiver<Pushed>, BrokerError> {
        let place = self.watches.take(call.principal().id).map_err(no_place)?;
        // One item: a slow reader holds back its own stream only.
        let (sender, receiver) = mpsc::channel(1);
        let (broker, call) = (Arc::clone(self), call.clone());
        detach(async move {
            broker.push_until_over(call, &ask, &sender).await;
            drop(place);
        });
        Ok(receiver)
    }

    /// Each credential once: what repeats the last one is neither pushed nor
    /// written down.
    async fn push_until_over(self: &Arc<Self>, mut call: Call, ask: &MintAsk, sender: &mpsc::Sender<Pushed>) {
        let mut last = None;
        while !sender.is_closed() {
            let next = match self.mint_next(&call, ask, last).await {
                Ok(Some(out)) => {
                    let (at, issuance) = (out.refresh_at, out.issuance());
                    match self.while_allowed(&call, ask, sender.reserve()).await {
                        // It was withdrawn while its reader was slow: another one, with a line of its own.
                        Ok((_, Ok(_))) if self.cache.withdrawn(issuance) => self.clock.now(),
                        Ok((_, Ok(room))) => {
                            room.send(Ok(out));
                            last = Some(issuance);
                            at.max(self.clock.now().plus(LOOK_EVERY))
                        }
                        Ok((_, Err(_))) => return,
                        Err(error) => return give_up(sender, error).await,
                    }
                }
                Ok(None) => self.clock.now().plus(LOOK_EVERY),
                // What it has serves on, to its end.
                Err(error) if last.is_some() && outlives(&error) => self.clock.now().plus(RETRY_PAUSE_MAX),
                Err(error) if last.is_some() && passes(&error) => self.clock.now().plus(pause(&error)),
                Err(error) => return give_up(sender, error).await,
            };
            let waited = async {
                tokio::select! {
                    () = sender.closed() => {}
                    () = self.until(next) => {}
                }
            };
            match self.while_allowed(&call, ask, waited).await {
                Ok((again, ())) => call = again,
                Err(error) => return give_up(sender, error).await,
            }
        }
    }

    /// Waits for `event`, looking at the caller's rights after each change of
    /// the store and at the end of its token: also while a reader is slow.
    async fn while_allowed<T>(
        self: &Arc<Self>,
        call: &Call,
        ask: &MintAsk,
        event: impl Future<Output = T>,
    ) -> Result<(Call, T), BrokerError> {
        let mut event = pin!(event);
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
            tokio::select! {
                done = &mut event => return Ok((current, done)),
                changed = revision.changed() => if changed.is_err() {
                    return Err(BrokerError::Unavailable { code: "STOPPING", message: "the server is stopping" });
                },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Until the clock says so, however it jumps.
    async fn until(&self, time: Timestamp) {
        while self.clock.now() < time {
            tokio::time::sleep(LOOK_EVERY).await;
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

fn no_place(none: NoPlace) -> BrokerError {
    let (code, message) = match none {
        NoPlace::Full => ("TOO_MANY_WATCHES", "too many credentials are being watched".to_owned()),
        NoPlace::OwnFull(limit) => (
            "PRINCIPAL_WATCHES",
            format!(
                "you are watching {limit} credentials, the most of one principal; end some, or mint without --watch, \
                 or have an operator raise limits.principal_share"
            ),
        ),
    };
    BrokerError::Exhausted { code, message, retry_after: Some(PLACE_AFTER) }
}

/// The last item. A reader that takes nothing does not keep its place for it.
async fn give_up(sender: &mpsc::Sender<Pushed>, error: BrokerError) {
    drop(sender.send_timeout(Err(error), FAREWELL).await);
}

/// How long to wait after a failure: as the cloud wishes, or a little.
fn pause(error: &BrokerError) -> Duration {
    let wish = if let BrokerError::Upstream(UpstreamError::Throttled { retry_after })
    | BrokerError::Exhausted { retry_after, .. } = error
    {
        *retry_after
    } else {
        None
    };
    wish.unwrap_or(RETRY_PAUSE).clamp(RETRY_PAUSE, RETRY_PAUSE_MAX)
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

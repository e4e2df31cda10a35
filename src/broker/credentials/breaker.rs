//! A cloud that asks to slow down is left alone: for as long as it says, no
//! mint of that connector asks it anything, whatever is asked for. Then one
//! asks, and what it comes to is for all.
//!
//! What is kept goes on to be served. Owns a record of each connector that is
//! waited for, bounded, and of no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::connectors::UpstreamError;
use crate::domain::{ConnectorId, Timestamp};

use super::super::BrokerError;
use super::flight::Landing;

/// How long a cloud is left alone that does not say how long; twice as long
/// each time that it says so again.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest that it is left alone between two asks.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(60);
/// When those should come back who met one that is asking.
const PROBE_TIME: Duration = Duration::from_secs(1);
/// The most connectors of which that is known.
pub(super) const PAUSED_MAX: usize = 4_096;

struct Paused {
    until: Timestamp,
    /// How often in a row the cloud said so.
    times: u32,
    /// Somebody is asking.
    probed: bool,
}

/// The connectors whose clouds asked to slow down.
#[derive(Clone, Default)]
pub(in crate::broker) struct Breakers(Arc<Mutex<HashMap<ConnectorId, Paused>>>);

/// The leave to ask a cloud; what it answers is told with [`Self::landed`].
pub(super) struct Pass {
    breakers: Breakers,
    connector: ConnectorId,
    /// It asks for all others.
    probe: bool,
}

impl Breakers {
    /// The leave to ask the cloud of this connector.
    ///
    /// # Errors
    /// `Upstream`, with the time that is left, while it is to be left alone.
    pub(super) fn pass(&self, connector: ConnectorId, now: Timestamp) -> Result<Pass, BrokerError> {
        let mut paused = self.paused();
        let probe = match paused.get_mut(&connector) {
            None => false,
            Some(pause) if pause.until > now => return Err(slow_down(pause.until.since(now))),
            Some(pause) if pause.probed => return Err(slow_down(PROBE_TIME)),
            Some(pause) => {
                pause.probed = true;
                true
            }
        };
        Ok(Pass { breakers: self.clone(), connector, probe })
    }

    /// Nothing is known of a connector any more that was changed.
    pub(in crate::broker) fn forget(&self, connector: ConnectorId) {
        self.paused().remove(&connector);
    }

    fn paused(&self) -> MutexGuard<'_, HashMap<ConnectorId, Paused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// What the cloud's answer came to.
    pub(super) fn landed(self, landing: &Landing, now: Timestamp) {
        let mut paused = self.breakers.paused();
        if let Err(BrokerError::Upstream(UpstreamError::Throttled { retry_after })) = landing {
            self.pause(&mut paused, *retry_after, now);
        } else if self.probe {
            // An answer, whatever it is. One that was asked before the pause
            // says nothing about now.
            paused.remove(&self.connector);
        }
    }

    fn pause(&self, paused: &mut HashMap<ConnectorId, Paused>, said: Option<Duration>, now: Timestamp) {
        if paused.len() >= PAUSED_MAX && !paused.contains_key(&self.connector) {
            // Those whose time is over have nothing to wait for.
            paused.retain(|_, pause| pause.until > now || pause.probed);
            if paused.len() >= PAUSED_MAX {
                return;
            }
        }
        let pause = paused.entry(self.connector).or_insert(Paused { until: now, times: 0, probed: false });
        // Many that were under way together are one answer.
        if self.probe || pause.times == 0 {
            pause.times = pause.times.saturating_add(1);
        }
        let doubled = PAUSE.saturating_mul(1 << (pause.times.min(6) - 1));
        let length = said.unwrap_or(doubled).clamp(PROBE_TIME, PAUSE_MAX);
        pause.until = pause.until.max(now.plus(length));
        tracing::warn!(
            connector = %self.connector,
            seconds = pause.until.since(now).as_secs(),
            "the cloud asks to slow down; it is not asked until then"
        );
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Also when nothing landed: the next one may ask.
        if self.probe
            && let Some(pause) = self.breakers.paused().get_mut(&self.connector)
        {
            pause.probed = false;
        }
    }
}

fn slow_down(left: Duration) -> BrokerError {
    UpstreamError::Throttled { retry_after: Some(left) }.into()
}

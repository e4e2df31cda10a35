//! What goes on beside the calls: accepting, writing counted lines each
//! second, and looking whether the certificate has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::listener::{Certificates, Reloaded};
use super::serve::House;
use crate::audit::Line;
use crate::domain::Clock;
use crate::telemetry::{Chain, Sampler};

/// Between two writings of counts.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Looks at the certificate, in flushes: renewals come days ahead.
const FLUSHES_PER_LOOK: u32 = 30;

/// Starts both; they run until aborted. `unwritten` is the line of the start,
/// when there was no room for it.
#[allow(clippy::disallowed_methods)] // the switchboard's own two tasks
pub(super) fn start(house: &House, socket: TcpListener, unwritten: Option<Line>) -> (JoinHandle<()>, JoinHandle<()>) {
    let listener = Arc::clone(&house.listener);
    let listening = tokio::spawn(async move { listener.run(socket).await });
    let store = Arc::clone(&house.store);
    let ticking = keep_up(house, unwritten);
    let upkeep = tokio::spawn(async move {
        tokio::join!(store.carry_answers(), ticking);
    });
    (listening, upkeep)
}

fn keep_up(house: &House, mut start: Option<Line>) -> impl Future<Output = ()> + Send + use<> {
    let (door, certificates, clock) =
        (Arc::clone(&house.door), Arc::clone(&house.certificates), Arc::clone(&house.clock));
    let ledger = house.ledger.clone();
    async move {
        let unwritten = Sampler::default();
        let mut tick = tokio::time::interval(FLUSH_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for flushes in 1_u32.. {
            tick.tick().await;
            if let Some(line) = &start
                && ledger.write(line.clone()).await.is_ok()
            {
                start = None;
            }
            if let Err(error) = door.flush(false).await
                && unwritten.due(clock.monotonic()).is_some()
            {
                tracing::error!(error = %Chain(&error), "counted lines cannot be written; they are kept");
            }
            if flushes % FLUSHES_PER_LOOK == 0 {
                reload(&certificates, &*clock);
            }
        }
    }
}

/// Reads the certificate again; a bad one is an alarm, not an end.
pub(super) fn reload(certificates: &Certificates, clock: &dyn Clock) {
    match certificates.reload(clock.now()) {
        Ok(Reloaded::Changed) => tracing::info!("serving the new certificate"),
        Ok(Reloaded::Unchanged) => {}
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the new certificate is no good; the old one goes on serving");
        }
    }
}

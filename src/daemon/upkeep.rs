//! What goes on beside the calls: accepting, writing counted lines and jumps
//! of the clock each second, and looking whether the certificate has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::listener::{Certificates, Reloaded};
use super::serve::House;
use super::timekeeping;
use crate::audit::Line;
use crate::domain::Clock;
use crate::telemetry::{Chain, Sampler};

/// Between two writings of counts.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Looks at the certificate, in flushes: renewals come days ahead.
const FLUSHES_PER_LOOK: u32 = 30;

/// Where connections are accepted.
pub(super) struct Sockets {
    pub(super) clients: TcpListener,
    /// For the issuer's documents, when there is an issuer.
    pub(super) documents: Option<TcpListener>,
}

/// Starts all of it; it runs until aborted. `unwritten` is the line of the
/// start, when there was no room for it.
#[allow(clippy::disallowed_methods)] // the switchboard's own tasks
pub(super) fn start(house: &House, sockets: Sockets, unwritten: Option<Line>) -> Vec<JoinHandle<()>> {
    let (listener, store) = (Arc::clone(&house.listener), Arc::clone(&house.store));
    let mut tasks = vec![tokio::spawn(async move { listener.run(sockets.clients).await })];
    if let (Some(issuing), Some(socket)) = (&house.issuing, sockets.documents) {
        let door = Arc::clone(&issuing.door);
        tasks.push(tokio::spawn(async move { door.run(socket).await }));
    }
    let (ticking, issuing) = (keep_up(house, unwritten), house.issuing.clone());
    let keeping = async move {
        if let Some(issuing) = issuing {
            issuing.keep_up().await;
        }
    };
    tasks.push(tokio::spawn(async move {
        tokio::join!(store.carry_answers(), ticking, keeping);
    }));
    tasks
}

fn keep_up(house: &House, mut start: Option<Line>) -> impl Future<Output = ()> + Send + use<> {
    let (door, certificates, watch) = (Arc::clone(&house.door), house.certificates(), Arc::clone(&house.watch));
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
            timekeeping::write_news(&watch, &ledger).await;
            if let Err(error) = door.flush(false).await
                && unwritten.due(watch.monotonic()).is_some()
            {
                tracing::error!(error = %Chain(&error), "counted lines cannot be written; they are kept");
            }
            if flushes % FLUSHES_PER_LOOK == 0 {
                reload(&certificates, &*watch);
            }
        }
    }
}

/// Reads the certificates again; a bad one is an alarm, not an end.
pub(super) fn reload(certificates: &[Arc<Certificates>], clock: &dyn Clock) {
    for certificate in certificates {
        match certificate.reload(clock.now()) {
            Ok(Reloaded::Changed) => tracing::info!("serving the new certificate"),
            Ok(Reloaded::Unchanged) => {}
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the new certificate is no good; the old one goes on serving");
            }
        }
    }
}

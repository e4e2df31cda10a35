//! The OpenID issuer at work: its keys from the store, its door, and the look
//! at its schedule each second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;

use super::error::DaemonError;
use super::issuer_door::{IssuerDoor, IssuerDoorLimits};
use super::listener::Certificates;
use crate::audit::Ledger;
use crate::config::IssuerConfig;
use crate::domain::{Clock, Entropy};
use crate::issuer::{Issuer, IssuerError, IssuerParts, Rules};
use crate::sealing::Keyring;
use crate::store::{Store, StoreError};
use crate::telemetry::{Chain, Sampler};

/// Between two looks at the schedule.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What an issuer takes of the daemon.
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// The server's, for an issuer without its own.
    pub(super) certificates: Arc<Certificates>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// An issuer that is served.
#[derive(Clone)]
pub(super) struct Issuing {
    pub(super) issuer: Arc<Issuer>,
    pub(super) door: Arc<IssuerDoor>,
    /// Its own, when it has its own.
    pub(super) certificates: Option<Arc<Certificates>>,
    clock: Arc<dyn Clock>,
}

/// The issuer of this config, when it has one.
pub(super) async fn open(config: &IssuerConfig, parts: Parts) -> Result<Option<Issuing>, DaemonError> {
    let Some(url) = config.url()? else { return Ok(None) };
    let own = if config.tls_certificate.as_os_str().is_empty() {
        None
    } else {
        Some(Certificates::load(config.tls_certificate.clone(), config.tls_key.clone(), parts.clock.now())?)
    };
    let tls = TlsAcceptor::from(own.as_ref().unwrap_or(&parts.certificates).document_config()?);
    let rules = Rules { rotation_period: config.rotation_period.0, max_age: config.jwks_max_age.0 };
    let clock = Arc::clone(&parts.clock);
    let issuer = Issuer::open(IssuerParts {
        url,
        rules,
        token_ttl_max: config.token_ttl_max.0,
        store: parts.store,
        keyring: parts.keyring,
        ledger: parts.ledger,
        clock: parts.clock,
        entropy: parts.entropy,
    });
    let issuer = Arc::new(issuer.await?);
    let door = Arc::new(IssuerDoor::new(Arc::clone(&issuer), tls, IssuerDoorLimits::default(), parts.stopping));
    Ok(Some(Issuing { issuer, door, certificates: own, clock }))
}

impl Issuing {
    /// Makes the keys that are missing, before anybody is served: once, and
    /// for seconds. A full disk is no reason not to start.
    pub(super) async fn begin(&self) -> Result<(), DaemonError> {
        match self.issuer.keep().await {
            Ok(()) => tracing::info!(issuer = %self.issuer.url(), "an OpenID issuer"),
            Err(IssuerError::Store(StoreError::Unwritable)) => {
                tracing::error!("the disk is full: the keys of the issuer stay as they are");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Does what is due, for as long as it is polled.
    pub(super) async fn keep_up(&self) {
        let failures = Sampler::default();
        let mut tick = tokio::time::interval(LOOK_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.issuer.keep().await
                && let Some(held_back) = failures.due(self.clock.monotonic())
            {
                tracing::error!(error = %Chain(&error), held_back, "the keys of the issuer stay as they are");
            }
        }
    }
}

//! The one way out to clouds: address rules on every connect, deadlines, size
//! caps, no redirects, one shared HTTP client.
//!
//! SDKs and hand-signed calls share [`Outbound::http_client`], and every
//! request of either passes the same connector; calls over a connector's own
//! TLS pass the same checks ([`PrivateTls`]): nothing goes around it. What an
//! SDK asks that takes no client of ours is sent on from a loopback relay. It
//! must never put a cloud's body, a URL or a header into an error or a log.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};
use rustls::RootCertStore;

mod address;
mod bounded;
mod call;
mod clouds;
mod endpoint;
mod error;
mod implicit;
mod private_tls;
mod resolve;
#[cfg(test)]
mod tests;
mod tls;
mod unverified;

pub(crate) use call::seconds as retry_after;
pub use call::{BODY_BYTES_MAX, Call, Response, Unheard};
pub use error::OutboundError;
pub use implicit::{ImplicitIdentities, ImplicitIdentity};
pub use private_tls::{ClientIdentity, PrivateTls, check_roots};

use bounded::{BoundedClient, Connectors};
use endpoint::Endpoints;

/// What the server's config says about going out.
#[derive(Debug, Clone)]
pub struct OutboundRules {
    /// Endpoints (`scheme://host[:port]`) that connectors may name besides the
    /// clouds' own; the only way to loopback and private addresses.
    pub allowed_endpoints: Vec<String>,
    /// PEM bundle of extra roots, for private endpoints.
    pub extra_roots_pem: Option<String>,
    /// For one connect.
    pub connect_timeout: Duration,
    /// For one call, retries included.
    pub call_timeout: Duration,
    /// AWS profiles (or other named implicit identities) that `implicit`
    /// connectors may use.
    pub implicit_identities: Vec<String>,
    /// Where a library that reads the environment by itself would go astray.
    pub detours: Detours,
}

/// What the server's environment would have a library do that reads it by
/// itself, in place of calling loopback. Nothing here reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detours {
    /// Call loopback through a proxy.
    pub proxied: bool,
    /// Take another server for Google's metadata server than the one it is told.
    pub metadata_host: bool,
}

/// The way out.
pub struct Outbound {
    rules: OutboundRules,
    endpoints: Arc<Endpoints>,
    connector: SharedHttpConnector,
    /// The same with a longer deadline; see [`Outbound::call_once`].
    patient: SharedHttpConnector,
    implicit: Option<Arc<dyn ImplicitIdentities>>,
    /// The system's roots and the config's; read by the first call over a
    /// connector's own TLS that names no roots.
    roots: OnceLock<Arc<RootCertStore>>,
}

impl Outbound {
    /// A way out under these rules; reads the system's root certificates.
    ///
    /// # Errors
    /// [`OutboundError::Rules`] names the rule that does not parse.
    pub fn new(rules: OutboundRules) -> Result<Self, OutboundError> {
        let endpoints = Arc::new(Endpoints::new(&rules.allowed_endpoints)?);
        let Connectors { usual: connector, patient } = bounded::connectors(&rules, &endpoints)?;
        Ok(Self { rules, endpoints, connector, patient, implicit: None, roots: OnceLock::new() })
    }

    /// The same way out, with the identities that `implicit` connectors may
    /// borrow; only those named by [`OutboundRules::implicit_identities`] are.
    #[must_use]
    pub fn with_implicit(mut self, identities: Arc<dyn ImplicitIdentities>) -> Self {
        self.implicit = Some(identities);
        self
    }

    /// The same way out, with its identities, where no call may take longer.
    #[cfg(test)]
    pub(crate) fn within(&self, call_timeout: Duration) -> Self {
        let hurried = Self::new(OutboundRules { call_timeout, ..self.rules.clone() }).unwrap();
        Self { implicit: self.implicit.clone(), ..hurried }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &OutboundRules {
        &self.rules
    }

    /// How long [`Outbound::call_once`] waits.
    #[must_use]
    pub fn patience(&self) -> Duration {
        bounded::patience(&self.rules)
    }

    /// Checks an endpoint (`scheme://host[:port]`) before anything is stored
    /// or sent; connects are checked again by themselves.
    ///
    /// # Errors
    /// [`OutboundError::AddressRefused`].
    pub fn check_endpoint(&self, endpoint: &str) -> Result<(), OutboundError> {
        self.endpoints.check(endpoint)
    }

    /// The client for an SDK. Bounded and checked like [`Outbound::call`].
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(BoundedClient(self.connector.clone()))
    }

    /// The implicit identity with this name, if the config allows it.
    #[must_use]
    pub fn implicit(&self, name: &str) -> Option<ImplicitIdentity> {
        let allowed = self.rules.implicit_identities.iter().any(|allowed| allowed == name);
        if allowed { self.implicit.as_ref().and_then(|port| port.identity(name)) } else { None }
    }
}

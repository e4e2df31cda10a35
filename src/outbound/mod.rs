//! The one way out to clouds: address rules on every connect, deadlines, size
//! caps, no redirects, one shared HTTP client.

use std::time::Duration;

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
}

/// The way out.
pub struct Outbound {
    rules: OutboundRules,
}

impl Outbound {
    /// A way out under these rules.
    #[must_use]
    pub fn new(rules: OutboundRules) -> Self {
        Self { rules }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &OutboundRules {
        &self.rules
    }
}

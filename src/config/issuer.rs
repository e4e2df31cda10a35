//! The OpenID issuer in the config: off until it has a URL.
//!
//! Owns the bounds of its times. The URL is what clouds compare byte by byte,
//! so it is refused unless it is in its one spelling.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::IssuerUrl;

use super::error::ConfigError;
use super::span::Span;
use super::within;

/// The OpenID issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IssuerConfig {
    /// Names the issuer to clouds; empty: there is none.
    pub url: String,
    /// Address and port of its own HTTPS listener.
    pub listen: SocketAddr,
    /// PEM chain; empty: that of the server.
    pub tls_certificate: PathBuf,
    /// PEM key; empty: that of the server.
    pub tls_key: PathBuf,
    /// The longest life of a token.
    pub token_ttl_max: Span,
    /// How long a key signs.
    pub rotation_period: Span,
    /// How long clouds may keep the published keys.
    pub jwks_max_age: Span,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7444)),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            token_ttl_max: Span::seconds(600),
            rotation_period: Span::seconds(30 * 86_400),
            jwks_max_age: Span::seconds(3600),
        }
    }
}

impl IssuerConfig {
    /// The URL, when there is an issuer.
    ///
    /// # Errors
    /// When it is not one.
    pub fn url(&self) -> Result<Option<IssuerUrl>, ConfigError> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let refused = |error: crate::domain::IssuerUrlError| ConfigError::key("issuer.url", &error.to_string());
        IssuerUrl::parse(&self.url).map(Some).map_err(refused)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.url()?;
        // Google takes no token that lives longer than a day, AWS none that
        // ended; an hour is long enough for every exchange.
        within("issuer.token_ttl_max", self.token_ttl_max, Span::seconds(5), Span::seconds(3600))?;
        within("issuer.rotation_period", self.rotation_period, Span::seconds(3600), Span::seconds(366 * 86_400))?;
        within("issuer.jwks_max_age", self.jwks_max_age, Span::seconds(1), Span::seconds(86_400))?;
        if self.jwks_max_age >= self.rotation_period {
            return Err(ConfigError::key("issuer.rotation_period", "must be longer than issuer.jwks_max_age"));
        }
        if self.tls_certificate.as_os_str().is_empty() != self.tls_key.as_os_str().is_empty() {
            return Err(ConfigError::key("issuer.tls_key", "set it together with issuer.tls_certificate, or neither"));
        }
        Ok(())
    }
}

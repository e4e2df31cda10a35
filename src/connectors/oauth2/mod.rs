//! The OAuth 2.0 workshop: bearer tokens of any API whose tokens come from a
//! token endpoint, by a client's own right or by somebody's refresh token.
//!
//! `settings` and `scope` decide, purely; the `upstream*` files ask. A token
//! must never have more scope than was asked for, and a refresh token that
//! the provider rotated must never be lost with an answer.

use std::time::Duration;

use async_trait::async_trait;

use crate::connectors::clear::in_the_clear;
use crate::connectors::{
    Ask, Challenge, ConnectorType, ListAsk, MadeKey, MintOutcome, SecretEnd, TypeDescription, Upstream, UpstreamError,
    Verified, unsupported,
};
use crate::domain::{
    Attribution, AuthMethodName, EnforcedScope, Entropy, FieldError, FieldErrors, Issuance, Reach, ResourceId,
    ResourceTypeName, ShapeName, Timestamp, Ttl, TtlRange,
};
use crate::sealing::SourceCredential;

mod description;
#[cfg(test)]
mod fake;
mod scope;
mod settings;
mod settings_check;
#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_lost;
mod upstream;
mod upstream_secret;
mod upstream_verify;

pub use scope::Scope;
pub use settings::Settings;

use description::{DESCRIPTION, LONGEST, RANGE};

/// What a connector that names a server over http is warned of.
const IN_THE_CLEAR: &str = "IN THE CLEAR: the API or its token endpoint is spoken to over http, and whoever is \
                            in between reads the client's secret, the source credential and all that is \
                            minted; name it with https";

/// The connector type `oauth2`.
pub struct OAuth2;

#[async_trait]
impl ConnectorType for OAuth2 {
    type Settings = Settings;
    type Scope = Scope;

    fn description(&self) -> &'static TypeDescription {
        &DESCRIPTION
    }

    fn check(&self, settings: &Settings) -> Result<(), FieldErrors> {
        settings_check::check(settings)
    }

    fn complete(&self, settings: Settings, _: &dyn Entropy) -> Result<Settings, FieldErrors> {
        Ok(settings)
    }

    fn secret_end(&self, _: &Settings, secret: &SourceCredential) -> Option<SecretEnd> {
        upstream_secret::end(secret)
    }

    fn key_id(&self, _: &Settings, _: &SourceCredential) -> Option<String> {
        None
    }

    fn check_secret(
        &self,
        settings: &Settings,
        secret: &SourceCredential,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), FieldErrors> {
        settings_check::check_secret(settings, secret, expires_at, now)
    }

    fn dangers(&self, settings: &Settings) -> Vec<&'static str> {
        let named = [Some(settings.api_url()), settings.client().map(|client| client.token_url)];
        if named.into_iter().flatten().any(in_the_clear) { vec![IN_THE_CLEAR] } else { Vec::new() }
    }

    fn destination(&self, settings: &Settings) -> Vec<u8> {
        settings.destination()
    }

    fn ttl_range(&self, _: &Settings) -> TtlRange {
        RANGE
    }

    fn canonical(
        &self,
        settings: &Settings,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError> {
        scope::canonical(settings, resource_type, raw)
    }

    /// An API is one resource: nothing lies within it but itself.
    fn contains(&self, _: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        outer == inner
    }

    fn narrow(&self, settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
        scope::narrow(settings, ask)
    }

    fn shape(&self, _: &Settings, _: &Scope) -> ShapeName {
        ShapeName::Bearer
    }

    fn exclusive(&self, settings: &Settings) -> bool {
        matches!(settings, Settings::RefreshToken(_))
    }

    /// Token endpoints take no lifetime.
    fn obeys_ttl(&self, _: &Settings, _: &Scope) -> bool {
        false
    }

    fn enforced(&self, settings: &Settings, scope: &Scope) -> EnforcedScope {
        scope::enforced(settings, scope)
    }

    fn passthrough(
        &self,
        settings: &Settings,
        scope: &Scope,
        secret_expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let limit = now.plus(Duration::from_secs(u64::from(LONGEST)));
        let long_lived = secret_expires_at.is_none_or(|end| end > limit);
        let wider = scope::level_of(settings) > scope.access;
        matches!(settings, Settings::Token(_)) && (long_lived || wider)
    }

    async fn verify(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        focus: &ListAsk,
    ) -> Result<Verified, UpstreamError> {
        upstream_verify::verify(upstream, settings, secret, focus).await
    }

    async fn list_resources(
        &self,
        _: &Upstream,
        settings: &Settings,
        _: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError> {
        Ok(upstream_verify::reach(settings, ask))
    }

    /// The provider alone says how long a token lives: `ttl` is not asked for.
    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        secret_expires_at: Option<Timestamp>,
        scope: &Scope,
        _: Ttl,
        _: &Attribution,
    ) -> Result<MintOutcome, UpstreamError> {
        let passthrough = self.passthrough(settings, scope, secret_expires_at, upstream.clock.now());
        upstream::mint(upstream, settings, secret, secret_expires_at, scope, passthrough).await
    }

    async fn sign(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Scope,
        _: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        Err(unsupported("oauth2 lends no signatures; mint instead"))
    }

    async fn make_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential) -> Result<MadeKey, UpstreamError> {
        Err(unsupported("rotate it with connector rotate-secret"))
    }

    async fn delete_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential, _: &str) -> Result<(), UpstreamError> {
        Err(unsupported("delete it at the provider"))
    }

    /// RFC 7009 takes the token itself, which is stored nowhere.
    async fn revoke(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Issuance,
    ) -> Result<bool, UpstreamError> {
        Ok(false)
    }

    #[allow(clippy::expect_used, reason = "the three names are literals, each parsed by a test")]
    fn auth_method(&self, settings: &Settings) -> AuthMethodName {
        AuthMethodName::parse(settings.method()).expect("the name of an auth method is a word")
    }
}

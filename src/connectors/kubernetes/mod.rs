//! The Kubernetes workshop: tokens of one service account for each access
//! level, from the cluster's own TokenRequest.
//!
//! `settings`, `ids` and `scope` decide, purely; the `upstream*` files ask.
//! The stored token, certificate or password is plaintext in `upstream.rs` and
//! `upstream_secret.rs` alone, and is never what is handed out. What a minted
//! token may do is its account's RBAC: nothing here can widen it.

use async_trait::async_trait;

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
mod hostile;
mod ids;
mod scope;
mod settings;
#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_secret;
mod upstream_token;
mod upstream_verify;

pub use hostile::fuzz_answer;
pub use scope::Scope;
pub use settings::Settings;

use description::DESCRIPTION;
use upstream::Api;

/// What a connector whose API server is not verified is warned of.
const UNVERIFIED: &str = "INSECURE: insecure is on, so the API server's certificate is not verified, and whoever is in \
                          between reads the source credential and all that is minted; set certificate_authority to \
                          the cluster's own and insecure to false";

/// The connector type `kubernetes`.
pub struct Kubernetes;

#[async_trait]
impl ConnectorType for Kubernetes {
    type Settings = Settings;
    type Scope = Scope;

    fn description(&self) -> &'static TypeDescription {
        &DESCRIPTION
    }

    fn check(&self, settings: &Settings) -> Result<(), FieldErrors> {
        settings.cluster().check()
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
        upstream_secret::check(settings, secret, expires_at, now)
    }

    fn dangers(&self, settings: &Settings) -> Vec<&'static str> {
        if settings.cluster().insecure { vec![UNVERIFIED] } else { Vec::new() }
    }

    fn destination(&self, settings: &Settings) -> Vec<u8> {
        settings.cluster().destination()
    }

    fn ttl_range(&self, settings: &Settings) -> TtlRange {
        settings.cluster().ttl_range()
    }

    fn canonical(
        &self,
        settings: &Settings,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError> {
        ids::canonical(settings.cluster(), resource_type, raw)
    }

    fn contains(&self, _: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        ids::contains(outer, inner)
    }

    fn narrow(&self, settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
        scope::narrow(settings.cluster(), ask)
    }

    fn shape(&self, _: &Settings, _: &Scope) -> ShapeName {
        ShapeName::Bearer
    }

    fn exclusive(&self, _: &Settings) -> bool {
        false
    }

    fn obeys_ttl(&self, _: &Settings, _: &Scope) -> bool {
        true
    }

    fn enforced(&self, settings: &Settings, scope: &Scope) -> EnforcedScope {
        scope::enforced(settings.cluster(), scope)
    }

    /// Never: what is handed out is always a token of another account.
    fn passthrough(&self, _: &Settings, _: &Scope, _: Option<Timestamp>, _: Timestamp) -> bool {
        false
    }

    async fn verify(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        focus: &ListAsk,
    ) -> Result<Verified, UpstreamError> {
        upstream_verify::verify(&Api::new(upstream, settings, secret)?, focus).await
    }

    async fn list_resources(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError> {
        upstream_verify::list(&Api::new(upstream, settings, secret)?, ask).await
    }

    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        secret_expires_at: Option<Timestamp>,
        scope: &Scope,
        ttl: Ttl,
        attribution: &Attribution,
    ) -> Result<MintOutcome, UpstreamError> {
        if secret_expires_at.is_some_and(|end| end <= upstream.clock.now()) {
            return Err(UpstreamError::Expired);
        }
        let api = Api::new(upstream, settings, secret)?;
        Ok(upstream_token::mint(&api, scope, ttl, attribution).await?.into())
    }

    async fn sign(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Scope,
        _: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        Err(unsupported("kubernetes lends no signatures; mint instead"))
    }

    async fn make_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential) -> Result<MadeKey, UpstreamError> {
        Err(unsupported("rotate it with connector rotate-secret"))
    }

    async fn delete_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential, _: &str) -> Result<(), UpstreamError> {
        Err(unsupported("delete it in the cluster"))
    }

    /// Deletes the Secret that the token was bound to; a token that was bound
    /// to nothing lives on.
    async fn revoke(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        issuance: &Issuance,
    ) -> Result<bool, UpstreamError> {
        upstream_token::revoke(&Api::new(upstream, settings, secret)?, issuance).await
    }

    #[allow(clippy::expect_used, reason = "the two names are literals, each parsed by a test")]
    fn auth_method(&self, settings: &Settings) -> AuthMethodName {
        AuthMethodName::parse(settings.method()).expect("the name of an auth method is a word")
    }
}

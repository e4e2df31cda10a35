//! The workshop of OCI registries: a token for one repository from the
//! registry's token service, asked for with a login that nobody sees.
//!
//! `place`, `challenge`, `scope` and `token` decide, purely; the `upstream*`
//! files ask. The password goes to a host that the engineer agreed to, never
//! to one that a registry names; a token is never handed out for more than
//! was asked for.

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

mod challenge;
mod description;
#[cfg(test)]
mod fake;
mod hostile;
mod place;
mod scope;
mod settings;
mod settings_check;
#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
mod token;
mod upstream;
mod upstream_list;
mod upstream_secret;

pub use hostile::fuzz_challenge;
pub use scope::Scope;
pub use settings::Settings;

use description::{DESCRIPTION, RANGE};
use settings::Login;
use upstream::Registry;

/// What a connector that speaks http is warned of.
const IN_THE_CLEAR: &str = "IN THE CLEAR: the registry or its token service is spoken to over http, and whoever is in \
                            between reads the password and all that is minted; name it with https";

/// The connector type `docker`.
pub struct Docker;

#[async_trait]
impl ConnectorType for Docker {
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
        if settings.in_the_clear() { vec![IN_THE_CLEAR] } else { Vec::new() }
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

    fn contains(&self, _: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        scope::contains(outer, inner)
    }

    fn narrow(&self, settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
        scope::narrow(settings, ask)
    }

    fn shape(&self, settings: &Settings, _: &Scope) -> ShapeName {
        match settings.login() {
            Login::Token => ShapeName::Bearer,
            Login::Basic => ShapeName::Basic,
        }
    }

    fn exclusive(&self, _: &Settings) -> bool {
        false
    }

    /// Token services take no lifetime.
    fn obeys_ttl(&self, _: &Settings, _: &Scope) -> bool {
        false
    }

    fn enforced(&self, settings: &Settings, scope: &Scope) -> EnforcedScope {
        scope::enforced(settings, scope)
    }

    /// A registry that takes passwords alone can be given nothing less.
    fn passthrough(&self, settings: &Settings, _: &Scope, _: Option<Timestamp>, _: Timestamp) -> bool {
        settings.login() == Login::Basic
    }

    async fn verify(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        focus: &ListAsk,
    ) -> Result<Verified, UpstreamError> {
        upstream_list::verify(upstream, settings, secret, focus).await
    }

    async fn list_resources(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError> {
        upstream_list::list(upstream, settings, secret, ask).await
    }

    /// The token service alone says how long a token lives.
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
        Ok(Registry::new(upstream, settings, secret)?.mint(scope, secret_expires_at).await?.into())
    }

    async fn sign(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Scope,
        _: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        Err(unsupported("docker lends no signatures; mint instead"))
    }

    async fn make_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential) -> Result<MadeKey, UpstreamError> {
        Err(unsupported("rotate it with connector rotate-secret"))
    }

    async fn delete_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential, _: &str) -> Result<(), UpstreamError> {
        Err(unsupported("delete it at the registry"))
    }

    /// Registries take no token back.
    async fn revoke(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Issuance,
    ) -> Result<bool, UpstreamError> {
        Ok(false)
    }

    #[allow(clippy::expect_used, reason = "the name is a literal, parsed by a test")]
    fn auth_method(&self, _: &Settings) -> AuthMethodName {
        AuthMethodName::parse("password").expect("the name of an auth method is a word")
    }
}

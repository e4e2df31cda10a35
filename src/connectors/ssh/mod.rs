//! The SSH workshop: certificates for the caller's own key, signed by a CA
//! key, and signatures lent from a private key that never leaves.
//!
//! `hosts`, `public_key`, `scope`, `certificate` and `challenge` decide and
//! write, purely; the `upstream*` files hold the source key. No host is ever
//! called: who signs in where is between the caller and the host. Nothing is
//! signed that is not a sign-in to a pinned host as the configured user.

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

mod certificate;
mod challenge;
mod crt;
mod description;
#[cfg(test)]
mod fake;
mod hostile;
mod hosts;
mod public_key;
mod scope;
mod settings;
mod settings_check;
#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_key;
mod upstream_secret;

pub use hostile::fuzz_keys;
pub use scope::Scope;
pub use settings::Settings;

use description::{DESCRIPTION, TTL};

/// The connector type `ssh`.
pub struct Ssh;

#[async_trait]
impl ConnectorType for Ssh {
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

    /// Nothing: a private key has no end.
    fn secret_end(&self, _: &Settings, _: &SourceCredential) -> Option<SecretEnd> {
        None
    }

    fn key_id(&self, _: &Settings, _: &SourceCredential) -> Option<String> {
        None
    }

    fn check_secret(
        &self,
        settings: &Settings,
        secret: &SourceCredential,
        _: Option<Timestamp>,
        _: Timestamp,
    ) -> Result<(), FieldErrors> {
        upstream_secret::check(settings, secret)
    }

    fn dangers(&self, _: &Settings) -> Vec<&'static str> {
        Vec::new()
    }

    /// Nowhere: the key is not sent to anybody under any settings. What is
    /// signed with it is bound to a session with the host that proved its key.
    fn destination(&self, _: &Settings) -> Vec<u8> {
        Vec::new()
    }

    fn ttl_range(&self, _: &Settings) -> TtlRange {
        TTL
    }

    fn canonical(
        &self,
        settings: &Settings,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError> {
        hosts::canonical(settings.hosts(), resource_type, raw)
    }

    fn contains(&self, _: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        outer == inner
    }

    fn narrow(&self, settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
        scope::narrow(settings, ask)
    }

    fn shape(&self, _: &Settings, scope: &Scope) -> ShapeName {
        match scope {
            Scope::Certificate(_) => ShapeName::SshCertificate,
            Scope::Session(_) => ShapeName::SigningSession,
        }
    }

    fn exclusive(&self, _: &Settings) -> bool {
        false
    }

    fn obeys_ttl(&self, _: &Settings, _: &Scope) -> bool {
        true
    }

    fn enforced(&self, _: &Settings, scope: &Scope) -> EnforcedScope {
        scope.enforced()
    }

    fn passthrough(&self, _: &Settings, _: &Scope, _: Option<Timestamp>, _: Timestamp) -> bool {
        false
    }

    async fn verify(
        &self,
        _: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        focus: &ListAsk,
    ) -> Result<Verified, UpstreamError> {
        upstream::verify(settings, secret, focus).await
    }

    async fn list_resources(
        &self,
        _: &Upstream,
        settings: &Settings,
        _: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError> {
        upstream::reach(settings, ask)
    }

    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        _: Option<Timestamp>,
        scope: &Scope,
        ttl: Ttl,
        attribution: &Attribution,
    ) -> Result<MintOutcome, UpstreamError> {
        upstream::mint(upstream, settings, secret, scope, ttl, attribution).await.map(MintOutcome::from)
    }

    async fn sign(
        &self,
        _: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        scope: &Scope,
        challenge: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        upstream::sign(settings, secret, scope, challenge).await
    }

    async fn make_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential) -> Result<MadeKey, UpstreamError> {
        Err(unsupported("make the next key with ssh-keygen, and rotate to it with connector rotate-secret"))
    }

    async fn delete_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential, _: &str) -> Result<(), UpstreamError> {
        Err(unsupported("remove the old key from the hosts"))
    }

    /// A certificate lives until it ends: no host asks us about it. A signing
    /// session is over at once, because every signature is made here.
    async fn revoke(
        &self,
        _: &Upstream,
        settings: &Settings,
        _: &SourceCredential,
        _: &Issuance,
    ) -> Result<bool, UpstreamError> {
        Ok(matches!(settings, Settings::PrivateKey(_)))
    }

    #[allow(clippy::expect_used, reason = "the two names are literals, each parsed by a test")]
    fn auth_method(&self, settings: &Settings) -> AuthMethodName {
        AuthMethodName::parse(settings.method()).expect("the name of an auth method is a word")
    }
}

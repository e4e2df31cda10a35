//! The GCP workshop: access tokens within an access boundary, GKE tokens and
//! registry logins, from any of Google's ways to authenticate.
//!
//! `ids`, `boundary` and `scope` decide, purely; the `upstream*` files ask.
//! Source credentials are plaintext in `upstream_secret` alone. A bucket's
//! token must never be wider than its scope; what Google cannot narrow is said
//! to be `downscope: none`, or passthrough where it is the source itself.

use std::time::Duration;

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

mod boundary;
mod client;
mod description;
mod errors;
#[cfg(test)]
mod fake;
mod hostile;
mod ids;
mod place;
mod scope;
mod settings;
mod settings_check;
#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_client;
mod upstream_container;
mod upstream_keys;
mod upstream_metadata;
mod upstream_registry;
mod upstream_secret;
mod upstream_source;
mod upstream_storage;
mod upstream_subject;
mod upstream_tokens;
mod upstream_verify;

pub use hostile::{fuzz_answer, fuzz_credentials};
pub use scope::Scope;
pub use settings::Settings;

use description::{AN_HOUR, DESCRIPTION, LONGEST, range};
use ids::Target;
use settings::{HOUR, Way};

/// What a connector that names a server over http is warned of.
const IN_THE_CLEAR: &str = "IN THE CLEAR: Google's endpoint or the metadata server is set to one that is \
                            spoken to over http, and whoever is in between reads the source credential and all \
                            that is minted; name it with https";

/// The connector type `gcp`.
pub struct Gcp;

#[async_trait]
impl ConnectorType for Gcp {
    type Settings = Settings;
    type Scope = Scope;

    fn description(&self) -> &'static TypeDescription {
        &DESCRIPTION
    }

    fn check(&self, settings: &Settings) -> Result<(), FieldErrors> {
        settings_check::check(settings)
    }

    /// Nothing of GCP's is random by default.
    fn complete(&self, settings: Settings, _: &dyn Entropy) -> Result<Settings, FieldErrors> {
        Ok(settings)
    }

    fn secret_end(&self, settings: &Settings, secret: &SourceCredential) -> Option<SecretEnd> {
        upstream_secret::end(settings, secret)
    }

    fn key_id(&self, settings: &Settings, secret: &SourceCredential) -> Option<String> {
        upstream_secret::key_id(settings, secret)
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
        settings.place().encode(settings.metadata_url())
    }

    fn ttl_range(&self, settings: &Settings) -> TtlRange {
        match settings.way() {
            Way::Impersonation(target) | Way::External(Some(target)) => {
                range(300, target.lifetime_max.min(HOUR), target.lifetime_max)
            }
            Way::Key | Way::User | Way::External(None) | Way::Implicit => AN_HOUR,
            Way::HandedIn => range(1, LONGEST, LONGEST),
        }
    }

    fn canonical(
        &self,
        settings: &Settings,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError> {
        ids::canonical(&settings.place(), resource_type, raw)
    }

    fn contains(&self, resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        ids::contains(resource_type, outer, inner)
    }

    fn narrow(&self, settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
        scope::narrow(settings, ask)
    }

    fn shape(&self, _: &Settings, scope: &Scope) -> ShapeName {
        match scope.target() {
            Some(Target::Repository { .. } | Target::Legacy { .. }) => ShapeName::Basic,
            Some(Target::Generic { .. } | Target::Bucket { .. } | Target::Cluster { .. }) | None => ShapeName::Bearer,
        }
    }

    fn exclusive(&self, _: &Settings) -> bool {
        false
    }

    fn obeys_ttl(&self, settings: &Settings, _: &Scope) -> bool {
        settings.way() != Way::HandedIn
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
        let leaves = match scope.target() {
            // Within its boundary another token leaves.
            Some(Target::Bucket { .. }) => false,
            Some(Target::Generic { .. }) | None => long_lived,
            // The token as it is, and wider than the one resource.
            Some(Target::Cluster { .. } | Target::Repository { .. } | Target::Legacy { .. }) => true,
        };
        settings.way() == Way::HandedIn && leaves
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
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError> {
        upstream_verify::list(upstream, settings, secret, ask).await
    }

    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        secret_expires_at: Option<Timestamp>,
        scope: &Scope,
        ttl: Ttl,
        _: &Attribution,
    ) -> Result<MintOutcome, UpstreamError> {
        let passthrough = self.passthrough(settings, scope, secret_expires_at, upstream.clock.now());
        let mint = upstream::Mint { upstream, settings, secret, secret_expires_at, scope, ttl };
        Ok(mint.run(passthrough).await?.into())
    }

    async fn sign(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Scope,
        _: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        Err(unsupported("gcp lends no signatures; mint instead"))
    }

    async fn make_key(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
    ) -> Result<MadeKey, UpstreamError> {
        match settings.way() {
            Way::Key | Way::Impersonation(_) => upstream_keys::make(upstream, settings, secret).await,
            Way::User | Way::External(_) | Way::HandedIn | Way::Implicit => {
                Err(unsupported("only keys of service accounts rotate; use connector rotate-secret"))
            }
        }
    }

    async fn delete_key(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        key_id: &str,
    ) -> Result<(), UpstreamError> {
        match settings.way() {
            Way::Key | Way::Impersonation(_) => upstream_keys::delete(upstream, settings, secret, key_id).await,
            Way::User | Way::External(_) | Way::HandedIn | Way::Implicit => Err(unsupported("delete it at the cloud")),
        }
    }

    /// Google takes back no token of a service account. A person's could be,
    /// with the refresh token and every other token of that login.
    async fn revoke(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Issuance,
    ) -> Result<bool, UpstreamError> {
        Ok(false)
    }

    #[allow(clippy::expect_used, reason = "the six names are literals, each parsed by a test")]
    fn auth_method(&self, settings: &Settings) -> AuthMethodName {
        AuthMethodName::parse(settings.method()).expect("the name of an auth method is a word")
    }
}

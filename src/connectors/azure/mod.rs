//! The Azure workshop: signed URLs narrowed to a container or directory,
//! registry tokens narrowed to a repository, and Entra tokens that are said to
//! be as wide as they are.
//!
//! `ids`, `scope` and `sas` decide, purely; the `upstream*` files ask. Source
//! credentials are plaintext in `upstream_secret.rs` alone. The long-lived
//! secret never leaves, and a cluster's admin kubeconfig is never asked for.

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

mod claims;
mod description;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fake_cloud;
#[cfg(test)]
mod fake_keys;
mod hostile;
mod ids;
mod place;
mod sas;
mod scope;
mod settings;
mod settings_check;
#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_acr;
mod upstream_aks;
mod upstream_arm;
mod upstream_blob;
mod upstream_entra;
mod upstream_list;
mod upstream_secret;
mod upstream_verify;

pub use hostile::fuzz_answer;
pub use scope::Scope;
pub use settings::Settings;

use description::{DESCRIPTION, HANDED_IN, MADE};
use scope::Handed;
use settings::Way;
use upstream_entra::HANDED_IN_MAX;

/// What a connector that names a server over http is warned of.
const IN_THE_CLEAR: &str = "IN THE CLEAR: the machine's identity endpoint is set to one that is spoken to over \
                            http, and whoever is in between reads all that is minted; name it with https";

/// The connector type `azure`.
pub struct Azure;

#[async_trait]
impl ConnectorType for Azure {
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

    fn secret_end(&self, settings: &Settings, secret: &SourceCredential) -> Option<SecretEnd> {
        upstream_secret::end(settings, secret)
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
        if settings.place().in_the_clear() { vec![IN_THE_CLEAR] } else { Vec::new() }
    }

    fn destination(&self, settings: &Settings) -> Vec<u8> {
        settings.place().encode(settings.tenant().unwrap_or_default())
    }

    fn ttl_range(&self, settings: &Settings) -> TtlRange {
        match settings.way() {
            Way::Application { .. } | Way::Machine { .. } => MADE,
            Way::HandedIn => HANDED_IN,
        }
    }

    fn canonical(
        &self,
        settings: &Settings,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError> {
        ids::canonical(settings, resource_type, raw)
    }

    fn contains(&self, resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        ids::contains(resource_type, outer, inner)
    }

    fn narrow(&self, settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
        scope::narrow(settings, ask)
    }

    fn shape(&self, _: &Settings, scope: &Scope) -> ShapeName {
        match scope.handed() {
            Some(Handed::Signed { .. }) => ShapeName::SignedUrl,
            Some(Handed::Login { .. }) => ShapeName::Basic,
            Some(Handed::Token(_) | Handed::Cluster { .. } | Handed::Repository { .. }) | None => ShapeName::Bearer,
        }
    }

    fn exclusive(&self, _: &Settings) -> bool {
        false
    }

    /// Entra and registries take no lifetime; a signature says its own.
    fn obeys_ttl(&self, _: &Settings, scope: &Scope) -> bool {
        matches!(scope.handed(), Some(Handed::Signed { .. }))
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
        let limit = now.plus(Duration::from_secs(u64::from(HANDED_IN_MAX)));
        let long_lived = secret_expires_at.is_none_or(|end| end > limit);
        // What is signed or exchanged is another credential, and narrower.
        let leaves = matches!(scope.handed(), Some(Handed::Token(_) | Handed::Cluster { .. }) | None);
        // The token is for all of Storage, and one container was asked for.
        let wider = scope.entra_token;
        settings.way() == Way::HandedIn && leaves && (long_lived || wider)
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
        attribution: &Attribution,
    ) -> Result<MintOutcome, UpstreamError> {
        let passthrough = self.passthrough(settings, scope, secret_expires_at, upstream.clock.now());
        let mint = upstream::Mint { upstream, settings, secret, secret_expires_at, scope, ttl };
        Ok(mint.run(attribution, passthrough).await?.into())
    }

    async fn sign(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Scope,
        _: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        Err(unsupported("azure lends no signatures; mint instead"))
    }

    async fn make_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential) -> Result<MadeKey, UpstreamError> {
        Err(unsupported("rotate it with connector rotate-secret"))
    }

    async fn delete_key(&self, _: &Upstream, _: &Settings, _: &SourceCredential, _: &str) -> Result<(), UpstreamError> {
        Err(unsupported("delete it at the cloud"))
    }

    /// Entra and registries take no token back. Signed URLs end with all
    /// delegation keys of the account, and that is its owner's decision.
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

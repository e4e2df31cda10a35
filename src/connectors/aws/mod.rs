//! The AWS workshop: sessions narrowed by session policies, ECR logins and EKS
//! tokens, from any of AWS's ways to authenticate.
//!
//! `ids`, `grants`, `policy` and `scope` decide, purely; the `upstream*` files
//! ask. Source credentials are plaintext in `upstream.rs` alone. A session
//! must never be wider than its scope: what cannot be narrowed is refused, or
//! said to be passthrough.

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

mod attribution;
mod description;
mod errors;
#[cfg(test)]
mod fake;
mod glob;
mod grants;
mod hostile;
mod ids;
mod judge;
mod place;
mod policy;
pub mod profile;
mod scope;
mod settings;
mod settings_check;
#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_ecr;
mod upstream_eks;
mod upstream_iam;
mod upstream_mfa;
mod upstream_s3;
mod upstream_signed;
mod upstream_sts;
mod upstream_verify;
mod xml;

pub use hostile::{fuzz_answer, fuzz_policy};
pub use scope::Scope;
pub use settings::Settings;

use description::{DESCRIPTION, LONGEST, range};
use ids::Target;
use settings::Way;

/// What a connector that names a server over http is warned of.
const IN_THE_CLEAR: &str = "IN THE CLEAR: STS or a service is spoken to over http, and whoever is in between \
                            reads all that is minted; name it with https";

/// The connector type `aws`.
pub struct Aws;

#[async_trait]
impl ConnectorType for Aws {
    type Settings = Settings;
    type Scope = Scope;

    fn description(&self) -> &'static TypeDescription {
        &DESCRIPTION
    }

    fn check(&self, settings: &Settings) -> Result<(), FieldErrors> {
        settings_check::check(settings)
    }

    fn complete(&self, settings: Settings, entropy: &dyn Entropy) -> Result<Settings, FieldErrors> {
        settings_check::complete(settings, entropy)
    }

    /// Nothing: keys last until they are deleted, and a session's token is opaque.
    fn secret_end(&self, _: &Settings, _: &SourceCredential) -> Option<SecretEnd> {
        None
    }

    fn key_id(&self, _: &Settings, secret: &SourceCredential) -> Option<String> {
        upstream::key_id(secret)
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
        let place = settings.place();
        let named = [place.endpoint_url, place.sts_endpoint_url];
        if named.into_iter().flatten().any(in_the_clear) { vec![IN_THE_CLEAR] } else { Vec::new() }
    }

    fn destination(&self, settings: &Settings) -> Vec<u8> {
        settings.place().encode()
    }

    fn ttl_range(&self, settings: &Settings) -> TtlRange {
        match settings.way() {
            Way::Role(way) => range(900, way.duration_max.min(3600), way.duration_max),
            Way::WebIdentity(way) => range(900, way.duration_max.min(3600), way.duration_max),
            Way::Key => range(900, 3600, LONGEST),
            // An identity of the machine with no role to assume: what is made
            // is a federation's session, with STS's own bounds of it, and not
            // a role's. An hour by default, as for its key in `secret-key`.
            Way::Federation if matches!(settings, Settings::Implicit(_)) => range(900, 3600, LONGEST),
            Way::Session | Way::Federation => range(900, 43_200, LONGEST),
            Way::HandedIn => range(1, LONGEST, LONGEST),
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
        match scope.target() {
            Some(Target::Registry { .. }) => ShapeName::Basic,
            Some(Target::Cluster { .. }) => ShapeName::Bearer,
            Some(Target::Generic { .. } | Target::Bucket { .. }) | None => ShapeName::AwsSession,
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
        let leaves = matches!(scope.target(), Some(Target::Generic { .. }) | None);
        settings.way() == Way::HandedIn && (scope.unscoped(settings) || (leaves && long_lived))
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
        Err(unsupported("aws lends no signatures; mint instead"))
    }

    async fn make_key(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
    ) -> Result<MadeKey, UpstreamError> {
        upstream_iam::make_key(upstream, settings, secret).await
    }

    async fn delete_key(
        &self,
        upstream: &Upstream,
        settings: &Settings,
        secret: &SourceCredential,
        key_id: &str,
    ) -> Result<(), UpstreamError> {
        upstream_iam::delete_key(upstream, settings, secret, key_id).await
    }

    /// STS takes no session back; only a role's sessions all together can be
    /// cut off, and that is the account owner's decision.
    async fn revoke(
        &self,
        _: &Upstream,
        _: &Settings,
        _: &SourceCredential,
        _: &Issuance,
    ) -> Result<bool, UpstreamError> {
        Ok(false)
    }

    #[allow(clippy::expect_used, reason = "the seven names are literals, each parsed by a test")]
    fn auth_method(&self, settings: &Settings) -> AuthMethodName {
        AuthMethodName::parse(settings.method()).expect("the name of an auth method is a word")
    }
}

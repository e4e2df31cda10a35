//! What the author of a connector type writes.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{
    AccessLevel, Attribution, AuthMethodName, Clock, EnforcedScope, Entropy, FieldError, FieldErrors, Issuance, Minted,
    Reach, ResourceId, ResourceTypeName, Timestamp, Ttl, TtlRange,
};
use crate::outbound::Outbound;
use crate::sealing::SourceCredential;

use super::description::TypeDescription;
use super::upstream_error::UpstreamError;

/// What is wished for, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The resource type.
    pub resource_type: ResourceTypeName,
    /// Canonical.
    pub resource: ResourceId,
    /// The access level.
    pub access: AccessLevel,
}

/// What a cloud is asked with: the one way out, time and randomness.
#[derive(Clone)]
pub struct Upstream {
    /// The only way to a cloud.
    pub outbound: Arc<Outbound>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Which resources to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAsk {
    /// Of this type only; every type otherwise.
    pub resource_type: Option<ResourceTypeName>,
    /// This resource only, canonical and of `resource_type`: it is looked at
    /// by itself, with no list around it.
    pub resource: Option<ResourceId>,
    /// At most this many ids of each type.
    pub limit: u32,
    /// Where to go on; what an earlier `Reach::next_page` said.
    pub page: Option<String>,
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who the source credential is, for example an ARN.
    pub identity: String,
    /// One entry for each resource type that was looked at.
    pub reach: Vec<Reach>,
}

/// A connector type. No default methods: each type says what it does.
///
/// `Settings` is an enum tagged by `auth_method`, so that a method and its
/// fields are one sum type. `Scope` is what `narrow` makes of an ask: all that
/// `mint` needs to know, and the key under which a minted credential is kept.
#[async_trait]
pub trait ConnectorType: Send + Sync + 'static {
    /// The settings of all auth methods, without secrets.
    type Settings: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// A narrowed ask.
    type Scope: Serialize + DeserializeOwned + Send + Sync;

    /// What the type says of itself; built once.
    fn description(&self) -> &'static TypeDescription;

    /// Checks what the types of the fields cannot say.
    ///
    /// # Errors
    /// Names each refused field as `settings.FIELD`.
    fn check(&self, settings: &Self::Settings) -> Result<(), FieldErrors>;

    /// Fills in, once at registration, what is random by default, for example
    /// an external id. What was given stays as it is.
    ///
    /// # Errors
    /// Names the field that could not be filled in.
    fn complete(&self, settings: Self::Settings, entropy: &dyn Entropy) -> Result<Self::Settings, FieldErrors>;

    /// Checks a source credential against the settings, without the cloud.
    ///
    /// # Errors
    /// Names each refused field as `secrets.FIELD`, never its content.
    fn check_secret(
        &self,
        settings: &Self::Settings,
        secret: &SourceCredential,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), FieldErrors>;

    /// The settings that decide where the secret is sent, injectively encoded:
    /// endpoint, region, partition. A change of it needs the secret again.
    fn destination(&self, settings: &Self::Settings) -> Vec<u8>;

    /// The range of lifetimes under these settings.
    fn ttl_range(&self, settings: &Self::Settings) -> TtlRange;

    /// The canonical form of `raw`, or of what the settings imply when there
    /// is none.
    ///
    /// # Errors
    /// Names `resource_id` or `resource_type`.
    fn canonical(
        &self,
        settings: &Self::Settings,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError>;

    /// Whether `inner` lies within `outer`; both canonical.
    fn contains(&self, resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool;

    /// Narrows an ask: pure, refuses what it cannot narrow, never widens.
    ///
    /// # Errors
    /// Names the field that asks for too much or too little.
    fn narrow(&self, settings: &Self::Settings, ask: &Ask) -> Result<Self::Scope, FieldError>;

    /// What the cloud will really enforce for a scope.
    fn enforced(&self, settings: &Self::Settings, scope: &Self::Scope) -> EnforcedScope;

    /// Whether minting this scope could only hand out the source credential
    /// itself, either in long-lived form or wider than what was asked for.
    fn passthrough(
        &self,
        settings: &Self::Settings,
        scope: &Self::Scope,
        secret_expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> bool;

    /// Asks the cloud who the source credential is and what it reaches.
    async fn verify(
        &self,
        upstream: &Upstream,
        settings: &Self::Settings,
        secret: &SourceCredential,
        focus: &ListAsk,
    ) -> Result<Verified, UpstreamError>;

    /// Lists what the source credential reaches.
    async fn list_resources(
        &self,
        upstream: &Upstream,
        settings: &Self::Settings,
        secret: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError>;

    /// Mints a credential of this scope for about `ttl`; `expires_at` of the
    /// reply is what the cloud said.
    #[allow(clippy::too_many_arguments)]
    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &Self::Settings,
        secret: &SourceCredential,
        secret_expires_at: Option<Timestamp>,
        scope: &Self::Scope,
        ttl: Ttl,
        attribution: &Attribution,
    ) -> Result<Minted, UpstreamError>;

    /// Ends issued credentials at the cloud. True only when the cloud will
    /// refuse them from now on.
    async fn revoke(
        &self,
        upstream: &Upstream,
        settings: &Self::Settings,
        secret: &SourceCredential,
        issuance: &Issuance,
    ) -> Result<bool, UpstreamError>;

    /// The auth method of these settings.
    fn auth_method(&self, settings: &Self::Settings) -> AuthMethodName;
}

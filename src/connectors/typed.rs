//! What the author of a connector type writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{
    AccessLevel, Attribution, AuthMethodName, Clock, EnforcedScope, Entropy, FieldError, FieldErrors, IdentityError,
    IdentityTokens, Issuance, Minted, Reach, ResourceId, ResourceTypeName, SecretText, ShapeName, Subject, SubjectForm,
    Timestamp, Ttl, TtlRange,
};
use crate::outbound::Outbound;
use crate::sealing::SourceCredential;

use super::description::TypeDescription;
use super::secret_end::SecretEnd;
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
    /// By name; only those that the resource type describes.
    pub parameters: BTreeMap<String, String>,
}

/// What a cloud is asked with: the one way out, time, randomness, and the
/// identity that the broker vouches for.
#[derive(Clone)]
pub struct Upstream {
    /// The only way to a cloud.
    pub outbound: Arc<Outbound>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The broker's own issuer, or that there is none.
    pub identities: Arc<dyn IdentityTokens>,
    /// Who this call is about; set by the broker for each call.
    pub subject: Option<Arc<Subject>>,
}

impl Upstream {
    /// A token of the broker's own issuer about whom this call is for; its
    /// `sub` names the principal. For clouds that match by patterns.
    ///
    /// # Errors
    /// `NotEnabled` when the server has no issuer.
    pub fn identity_token(&self, audience: &str, ttl: Ttl) -> Result<SecretText, UpstreamError> {
        self.identity_token_as(SubjectForm::Principal, audience, ttl)
    }

    /// The same with a `sub` that is the same for every principal of the
    /// connector. For clouds that compare all of it: Entra.
    ///
    /// # Errors
    /// `NotEnabled` when the server has no issuer.
    pub fn connector_identity_token(&self, audience: &str, ttl: Ttl) -> Result<SecretText, UpstreamError> {
        self.identity_token_as(SubjectForm::Connector, audience, ttl)
    }

    fn identity_token_as(&self, form: SubjectForm, audience: &str, ttl: Ttl) -> Result<SecretText, UpstreamError> {
        let subject = self.subject.as_ref().ok_or(UpstreamError::NotEnabled { remedy: ISSUER_OFF })?;
        let subject = Subject { form, ..Subject::clone(subject) };
        self.identities.token(&subject, audience, ttl).map_err(|error| match error {
            IdentityError::Off => UpstreamError::NotEnabled { remedy: ISSUER_OFF },
            IdentityError::Unsigned => UpstreamError::Unavailable { what: "the identity token cannot be signed" },
        })
    }
}

const ISSUER_OFF: &str = "set [issuer] url and listen, so that the cloud can trust this server's identity tokens";

/// What a mint came to.
pub struct MintOutcome {
    /// For the caller; or why there is nothing for it, where the cloud rotated
    /// the source credential all the same, so that the successor must be kept.
    pub minted: Result<Minted, UpstreamError>,
    /// The source credential that replaces the one used, whole, when the
    /// cloud rotated it: stored before anything is handed out or told.
    pub successor: Option<SourceCredential>,
}

impl From<Minted> for MintOutcome {
    fn from(minted: Minted) -> Self {
        Self { minted: Ok(minted), successor: None }
    }
}

/// A key that a cloud made beside the one that asked for it.
pub struct MadeKey {
    /// The whole new source credential.
    pub secret: SourceCredential,
    /// The new key's id at the cloud; not secret.
    pub key_id: String,
    /// The id of the key that asked for it; not secret.
    pub old_key_id: String,
}

/// What a live issuance asks to have signed by the source key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// What is to be signed, as it came.
    pub data: Vec<u8>,
    /// The algorithm flags of the SSH agent protocol.
    pub flags: u32,
    /// Which host it is for.
    pub binding: Option<HostBinding>,
}

/// Proof of which host a session is with (`session-bind@openssh.com`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBinding {
    /// The host's public key, encoded.
    pub host_key: Vec<u8>,
    /// The session's id.
    pub session_id: Vec<u8>,
    /// The host key's signature of the session id.
    pub signature: Vec<u8>,
}

/// The answer of a type that cannot do something.
#[must_use]
pub fn unsupported(remedy: &str) -> UpstreamError {
    UpstreamError::Rejected { code: "UNSUPPORTED".to_owned(), remedy: remedy.to_owned() }
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
    /// How far that was looked at: [`CLOUD_ACCEPTED`], or what else was done.
    pub reason: &'static str,
}

/// What verification says where a cloud was shown the source credential.
pub const CLOUD_ACCEPTED: &str = "the cloud accepted the source credential";

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

    /// When a source credential ends by its own word: a certificate's or a
    /// token's. Nothing of what is opaque, and nothing of what does not parse:
    /// [`ConnectorType::check_secret`] refuses that.
    fn secret_end(&self, settings: &Self::Settings, secret: &SourceCredential) -> Option<SecretEnd>;

    /// The id that the cloud has for the key in a source credential, where the
    /// method `rotates`; not secret. Connectors with the same one hold the same
    /// key, in whatever form: what deletes it for one deletes it for all.
    fn key_id(&self, settings: &Self::Settings, secret: &SourceCredential) -> Option<String>;

    /// Checks a source credential against the settings, without the cloud.
    /// `expires_at` is the earlier of what was said and its own end.
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

    /// What is dangerous in these settings though an engineer may want it, each
    /// `HEAD: what is so; what to do` as in `domain::warnings`, with nothing of
    /// the settings in it: everybody who may list the connector is told.
    fn dangers(&self, settings: &Self::Settings) -> Vec<&'static str>;

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

    /// The shape in which this scope is handed out.
    fn shape(&self, settings: &Self::Settings, scope: &Self::Scope) -> ShapeName;

    /// Whether a mint may use the source credential up, so that the mints of
    /// one connector go one at a time, each with what the last one left. Such
    /// a connector is verified by a mint: `verify` is not asked, and
    /// `list_resources` must leave the source credential as it is.
    fn exclusive(&self, settings: &Self::Settings) -> bool;

    /// Whether what is minted for a scope lives no longer than the `ttl` that
    /// it is minted for. Otherwise somebody else decides that: the provider, or
    /// whoever made what was handed in.
    fn obeys_ttl(&self, settings: &Self::Settings, scope: &Self::Scope) -> bool;

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

    /// Mints a credential of this scope for about `ttl`, where the cloud lets
    /// itself be told; `expires_at` of the reply is what the cloud said, and
    /// the broker hands nothing out that a ceiling forbids.
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
    ) -> Result<MintOutcome, UpstreamError>;

    /// Signs with the source key on behalf of a live issuance of this scope.
    /// Types that lend no signatures answer [`unsupported`].
    async fn sign(
        &self,
        upstream: &Upstream,
        settings: &Self::Settings,
        secret: &SourceCredential,
        scope: &Self::Scope,
        challenge: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError>;

    /// Makes a second key for the same identity at the cloud, the first step
    /// of a rotation. Only where the method says that it `rotates`.
    async fn make_key(
        &self,
        upstream: &Upstream,
        settings: &Self::Settings,
        secret: &SourceCredential,
    ) -> Result<MadeKey, UpstreamError>;

    /// Deletes a key by its id, the last step of a rotation; asked with a key
    /// that stays. A key that is not there counts as deleted.
    async fn delete_key(
        &self,
        upstream: &Upstream,
        settings: &Self::Settings,
        secret: &SourceCredential,
        key_id: &str,
    ) -> Result<(), UpstreamError>;

    /// Ends issued credentials at the cloud. True only when the cloud has ended
    /// them: what it remembers of its own answers may last some seconds more.
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

//! Minting: the source credential becomes a token of Entra, and that the shape
//! that was asked for. A token of Entra leaves only where it is what was asked
//! for, and said to be as wide as it is.

use std::time::Duration;

use uuid::Uuid;

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::{Attribution, Minted, MintedShape, Revocable, SecretText, Timestamp, Ttl};
use crate::sealing::SourceCredential;

use super::claims::Claims;
use super::place::{KUBERNETES, REGISTRY, STORAGE};
use super::sas::Grant;
use super::scope::{Handed, Scope, enforced};
use super::settings::{Settings, Way};
use super::upstream_acr::Registry;
use super::upstream_aks;
use super::upstream_arm::Manager;
use super::upstream_blob;
use super::upstream_entra::{Asker, Token};
use super::upstream_secret::source;

/// The longest life of a delegation key and of what it signs.
const SIGNED_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Who logs in to a registry with a token.
const REGISTRY_USER: &str = "00000000-0000-0000-0000-000000000000";

/// A mint, with all that each step needs.
pub struct Mint<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// The connector's.
    pub settings: &'a Settings,
    /// The source credential.
    pub secret: &'a SourceCredential,
    /// When the source credential ends.
    pub secret_expires_at: Option<Timestamp>,
    /// What was narrowed.
    pub scope: &'a Scope,
    /// Granted.
    pub ttl: Ttl,
}

/// What a step made.
struct Made {
    shape: MintedShape,
    expires_at: Timestamp,
    revocable: Revocable,
    attribution: String,
}

impl Mint<'_> {
    /// Mints; see `ConnectorType::mint`.
    pub async fn run(&self, attribution: &Attribution, passthrough: bool) -> Result<Minted, UpstreamError> {
        let (upstream, settings) = (self.upstream, self.settings);
        let source = source(upstream, settings, self.secret)?;
        let asker = Asker { upstream, settings, source: &source, secret_expires_at: self.secret_expires_at };
        let made = match self.scope.handed().ok_or(UpstreamError::StoredSettings)? {
            Handed::Token(audience) => {
                let token = asker.token(&audience).await?;
                self.made(bearer(token.text, None, None), token.expires_at)
            }
            Handed::Signed { account, container, directory } => {
                let token = asker.token(STORAGE).await?;
                self.signed(&token, (&account, &container, directory.as_deref()), attribution).await?
            }
            Handed::Cluster { group, cluster } => self.cluster(&asker, &group, &cluster).await?,
            Handed::Repository { host, repository } => self.repository(&asker, &host, &repository).await?,
            Handed::Login { host } => {
                let token = self.registry_token(&asker).await?;
                let login = self.registry(&host, &token).exchange(&token.0).await?;
                let shape = MintedShape::Basic {
                    username: REGISTRY_USER.to_owned(),
                    password: login.text,
                    endpoint: Some(format!("https://{host}")),
                };
                self.made(shape, login.expires_at)
            }
        };
        Ok(Minted {
            shape: made.shape,
            expires_at: made.expires_at,
            enforced: enforced(settings, self.scope),
            revocable: made.revocable,
            attribution: made.attribution,
            passthrough,
        })
    }

    fn made(&self, shape: MintedShape, expires_at: Timestamp) -> Made {
        let attribution = match self.settings.way() {
            Way::Application { client_id, .. } => format!("the application {client_id}: Entra's tokens take no name"),
            Way::Machine { .. } => "the server's managed identity: Entra's tokens take no name".to_owned(),
            Way::HandedIn => "whoever got the handed-in token".to_owned(),
        };
        Made { shape, expires_at, revocable: Revocable::No, attribution }
    }

    /// The account's logs show the issuance as correlation id. Only Azure's
    /// own endpoints know it: on others the signature would be refused.
    async fn signed(
        &self,
        token: &Token,
        (account, container, directory): (&str, &str, Option<&str>),
        attribution: &Attribution,
    ) -> Result<Made, UpstreamError> {
        let place = self.settings.place();
        let now = self.upstream.clock.now();
        let asked = Timestamp::from_seconds(now.plus(self.ttl.as_duration().min(SIGNED_LIFE_MAX)).seconds());
        let key = upstream_blob::delegation_key(self.upstream, &place, account, token, asked).await?;
        let expires_at = asked.min(key.expires_at);
        let correlation = Uuid::from_bytes(*attribution.issuance.as_bytes()).hyphenated().to_string();
        let azures_own = place.blob_url.is_none();
        let grant = Grant {
            endpoint: &place.blobs(account),
            account,
            container,
            directory,
            permissions: self.scope.permissions(self.settings.common().hierarchical_namespace),
            expires_at,
            correlation: azures_own.then_some(&*correlation),
        };
        let url = grant.url(&key).ok_or(UpstreamError::StoredSettings)?;
        let attribution = if azures_own {
            format!("principal {}, correlation id {correlation}", key.object)
        } else {
            format!("principal {}: this endpoint takes no correlation id", key.object)
        };
        // By revoking all delegation keys of the account, which is its owner's decision.
        Ok(Made { shape: MintedShape::SignedUrl { url }, expires_at, revocable: Revocable::RoleWide, attribution })
    }

    async fn cluster(&self, asker: &Asker<'_>, group: &str, cluster: &str) -> Result<Made, UpstreamError> {
        let common = self.settings.common();
        let subscription = common.subscription_id.ok_or(UpstreamError::StoredSettings)?;
        let manager_token = asker.token(common.place.cloud.management()).await?;
        let manager = Manager { upstream: self.upstream, place: common.place, token: &manager_token };
        let path = upstream_aks::path(subscription, group, cluster);
        let (address, token) = tokio::try_join!(upstream_aks::address(&manager, &path), asker.token(KUBERNETES))?;
        let shape = bearer(token.text, Some(address.endpoint), Some(address.certificate_authority));
        Ok(self.made(shape, token.expires_at))
    }

    async fn repository(&self, asker: &Asker<'_>, host: &str, repository: &str) -> Result<Made, UpstreamError> {
        let token = self.registry_token(asker).await?;
        let registry = self.registry(host, &token);
        let refresh = registry.exchange(&token.0).await?;
        let scoped = registry.scoped(&refresh, repository, self.scope.actions()).await?;
        Ok(self.made(bearer(scoped.text, Some(format!("https://{host}")), None), scoped.expires_at))
    }

    /// The Entra token that a registry exchanges, and the tenant it is of.
    async fn registry_token(&self, asker: &Asker<'_>) -> Result<(Token, String), UpstreamError> {
        let place = self.settings.place();
        let token = asker.token_of(&[REGISTRY, place.cloud.management()]).await?;
        let tenant = tenant(self.settings, &token).ok_or(UpstreamError::BadAnswer { what: "a token of no tenant" })?;
        Ok((token, tenant))
    }

    fn registry<'b>(&'b self, host: &'b str, token: &'b (Token, String)) -> Registry<'b> {
        Registry { upstream: self.upstream, place: self.settings.place(), host, tenant: &token.1 }
    }
}

/// The tenant of the settings, or else of the token.
pub fn tenant(settings: &Settings, token: &Token) -> Option<String> {
    let said = || Claims::read(token.text.reveal()).and_then(|claims| claims.tenant().map(str::to_owned));
    settings.tenant().map(str::to_owned).or_else(said)
}

const fn bearer(token: SecretText, endpoint: Option<String>, certificate_authority: Option<String>) -> MintedShape {
    MintedShape::Bearer { token, endpoint, certificate_authority }
}

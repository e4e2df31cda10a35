//! Minting: the source credential becomes an access token, the token a
//! narrower one where Google can, and that the shape that was asked for.
//!
//! google-cloud-auth (read at 1.18.0) says what to ask for the identities that
//! it serves well: a login, a federation, the machine; `client` says how it is
//! kept from secrets and clouds. Own code on ring and the one way out does the
//! rest, because it shows no end of a token, ignores `token_uri`, cannot narrow,
//! and leaves refreshing behind: assertions of a key, generateAccessToken and
//! the boundary (`upstream_tokens`), with every real call, life and error.

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::{Minted, MintedShape, Revocable, SecretText, Timestamp, Ttl};
use crate::sealing::SourceCredential;

use super::ids::Target;
use super::scope::{Scope, enforced};
use super::settings::Settings;
use super::upstream_source::{Access, Sourcing};
use super::{upstream_container, upstream_tokens};

/// What a registry takes as the user of an access token.
const REGISTRY_USER: &str = "oauth2accesstoken";

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

impl Mint<'_> {
    /// Mints; see `ConnectorType::mint`.
    pub async fn run(&self, passthrough: bool) -> Result<Minted, UpstreamError> {
        let target = self.scope.target().ok_or(UpstreamError::StoredSettings)?;
        let sourcing = Sourcing {
            upstream: self.upstream,
            settings: self.settings,
            secret: self.secret,
            secret_expires_at: self.secret_expires_at,
        };
        let scopes: Vec<&str> = self.scope.oauth_scopes.iter().map(String::as_str).collect();
        let source = sourcing.access(&scopes, self.ttl).await?;
        let access = match (&self.scope.boundary, &target) {
            (Some(boundary), Target::Bucket { .. }) => {
                upstream_tokens::bounded_by(self.upstream, &self.settings.place(), &source.access, boundary).await?
            }
            // A bucket's token never leaves without its boundary.
            (None, Target::Bucket { .. }) | (Some(_), _) => return Err(UpstreamError::StoredSettings),
            (None, _) => source.access,
        };
        let Access { token, expires_at } = access;
        Ok(Minted {
            shape: self.shape(&target, token).await?,
            expires_at,
            enforced: enforced(self.settings, self.scope),
            // Google takes back no token of a service account; a person's only
            // together with the refresh token.
            revocable: Revocable::No,
            attribution: source.shown_as,
            passthrough,
        })
    }

    async fn shape(&self, target: &Target, token: SecretText) -> Result<MintedShape, UpstreamError> {
        let place = self.settings.place();
        match target {
            Target::Generic { .. } | Target::Bucket { .. } => {
                let endpoint = place.endpoint_url.map(|url| url.trim_end_matches('/').to_owned());
                Ok(MintedShape::Bearer { token, endpoint, certificate_authority: None })
            }
            Target::Cluster { location, cluster } => {
                let found =
                    upstream_container::address(self.upstream, &place, token.reveal(), (location, cluster)).await?;
                let upstream_container::Address { endpoint, certificate_authority } = found;
                Ok(MintedShape::Bearer { token, endpoint: Some(endpoint), certificate_authority })
            }
            Target::Repository { .. } | Target::Legacy { .. } => {
                let host = self.scope.resource.split('/').next().unwrap_or_default();
                let endpoint = Some(format!("https://{host}"));
                Ok(MintedShape::Basic { username: REGISTRY_USER.to_owned(), password: token, endpoint })
            }
        }
    }
}

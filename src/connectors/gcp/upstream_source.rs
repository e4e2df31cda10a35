//! From a source credential to an access token of the identity that a
//! connector is for, by each auth method.
//!
//! Says with it whom Google's audit log will show: GCP has no session tags, so
//! that is a service account, who it was delegated by, or a federated subject.

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::{SecretText, Timestamp, Ttl, claims_text};
use crate::sealing::SourceCredential;

use super::scope::CLOUD_PLATFORM;
use super::settings::{ExternalAccount, Settings, Target, Way};
use super::upstream_secret::{self, ServiceAccountKey, unreadable};
use super::{upstream_client, upstream_metadata, upstream_subject, upstream_tokens};

/// Only for asking for tokens of other service accounts.
const IAM: &str = "https://www.googleapis.com/auth/iam";
/// For one exchange; Google takes identity tokens of up to a day.
const IDENTITY_TTL: Ttl = Ttl::seconds(600);
/// The longest subject that is repeated; Google's own limit is 127 bytes.
const SUBJECT_LENGTH_MAX: usize = 256;
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An access token. No Debug.
pub struct Access {
    /// The token.
    pub token: SecretText,
    /// When Google ends it.
    pub expires_at: Timestamp,
}

/// An access token and who it is. No Debug.
pub struct Source {
    /// The token.
    pub access: Access,
    /// In Google's audit log.
    pub shown_as: String,
}

/// What it takes to get a token.
pub struct Sourcing<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// The connector's.
    pub settings: &'a Settings,
    /// The source credential.
    pub secret: &'a SourceCredential,
    /// When the source credential ends.
    pub secret_expires_at: Option<Timestamp>,
}

impl Sourcing<'_> {
    /// A token with these OAuth scopes, where the method takes any.
    pub async fn access(&self, scopes: &[&str], ttl: Ttl) -> Result<Source, UpstreamError> {
        match (self.settings, self.settings.way()) {
            (Settings::ExternalAccount(own), Way::External(target)) => self.federated(own, target, scopes, ttl).await,
            (_, Way::Impersonation(target)) => {
                let source = self.key(&[IAM]).await?;
                self.impersonated(source, target, scopes, ttl).await
            }
            (_, Way::Key) => self.key(scopes).await,
            (_, Way::User) => self.user(scopes).await,
            (_, Way::HandedIn) => self.handed_in().await,
            (Settings::Implicit(own), Way::Implicit) => {
                let access = upstream_client::machine(self.upstream, own).await?;
                let shown_as = upstream_metadata::email(self.upstream, own).await?;
                Ok(Source { access, shown_as })
            }
            (_, Way::External(_) | Way::Implicit) => Err(UpstreamError::StoredSettings),
        }
    }

    /// The parsed key, where the method has one.
    pub fn service_account(&self) -> Result<ServiceAccountKey, UpstreamError> {
        upstream_secret::service_account(&self.settings.place(), self.secret).map_err(unreadable)
    }

    /// A token of the key's own service account.
    pub async fn key(&self, scopes: &[&str]) -> Result<Source, UpstreamError> {
        let key = self.service_account()?;
        let access = upstream_tokens::asserted(self.upstream, &self.settings.place(), &key, scopes).await?;
        Ok(Source { access, shown_as: key.email })
    }

    async fn user(&self, scopes: &[&str]) -> Result<Source, UpstreamError> {
        let place = self.settings.place();
        let login = upstream_secret::user_login(&place, self.secret).map_err(unreadable)?;
        let access = upstream_client::refreshed(self.upstream, &place, &login, scopes).await?;
        let shown_as = format!("the user who logged in through the client {}", login.client_id);
        Ok(Source { access, shown_as })
    }

    async fn handed_in(&self) -> Result<Source, UpstreamError> {
        let token = upstream_secret::handed_in(self.secret).map_err(unreadable)?;
        let said = self.secret_expires_at.ok_or(UpstreamError::StoredSettings)?;
        if said <= self.upstream.clock.now() {
            return Err(UpstreamError::Expired);
        }
        // Whoever handed it in may be wrong about its end; Google is not.
        let known = upstream_tokens::introspected(self.upstream, &self.settings.place(), &token).await?;
        let shown_as = known.email.unwrap_or_else(|| "whoever the handed-in token is of".to_owned());
        Ok(Source { access: Access { token, expires_at: known.expires_at.min(said) }, shown_as })
    }

    async fn federated(
        &self,
        own: &ExternalAccount,
        target: Option<Target<'_>>,
        scopes: &[&str],
        ttl: Ttl,
    ) -> Result<Source, UpstreamError> {
        let place = self.settings.place();
        let (audience, subject) = self.subject(own).await?;
        // What only asks for another token needs no more than that.
        let asked = if target.is_some() { &[IAM][..] } else { scopes };
        let exchange = upstream_client::Exchange {
            audience: &audience,
            subject: &subject.token,
            subject_type: &subject.kind,
            scopes: if asked.is_empty() { &[CLOUD_PLATFORM] } else { asked },
        };
        let access = match upstream_client::exchanged(self.upstream, &place, exchange).await {
            // Our own issuer's token is no source credential that anybody could rotate.
            Err(UpstreamError::CredentialRefused { code }) if own.audience.is_some() => {
                return Err(UpstreamError::Rejected { code, remedy: upstream_client::EXCHANGING.remedy.to_owned() });
            }
            access => access?,
        };
        let source = Source { access, shown_as: subject.shown_as };
        match target {
            Some(target) => self.impersonated(source, target, scopes, ttl).await,
            None => Ok(source),
        }
    }

    /// The provider and the token that it is to believe.
    async fn subject(&self, own: &ExternalAccount) -> Result<(String, Subject), UpstreamError> {
        let Some(audience) = &own.audience else {
            let found = upstream_secret::federation(&self.settings.place(), self.secret).map_err(unreadable)?;
            let token = upstream_subject::fetch(self.upstream, &found.source).await?;
            let shown_as = format!("whoever the subject token for {} names", found.audience);
            return Ok((found.audience, Subject { token, kind: found.subject_token_type, shown_as }));
        };
        let own_name = format!("https:{audience}");
        let token_audience = own.token_audience.as_ref().unwrap_or(&own_name);
        let token = self.upstream.identity_token(token_audience, IDENTITY_TTL)?;
        let shown_as = principal(audience, &token);
        Ok((audience.clone(), Subject { token, kind: JWT.to_owned(), shown_as }))
    }

    async fn impersonated(
        &self,
        source: Source,
        target: Target<'_>,
        scopes: &[&str],
        ttl: Ttl,
    ) -> Result<Source, UpstreamError> {
        let place = self.settings.place();
        let access =
            upstream_tokens::impersonated(self.upstream, &place, &source.access.token, target, scopes, ttl).await?;
        let chain = target.delegates.iter().map(String::as_str).chain([source.shown_as.as_str()]);
        let chain: Vec<&str> = chain.collect();
        Ok(Source { access, shown_as: format!("{}, delegated by {}", target.email, chain.join(", ")) })
    }
}

/// A token for an exchange. No Debug.
struct Subject {
    token: SecretText,
    kind: String,
    shown_as: String,
}

/// The federated principal as Google's audit log writes it, when the provider
/// maps `google.subject` from the token's `sub`, as the manual says to do.
fn principal(audience: &str, token: &SecretText) -> String {
    let pool = audience.split("/providers/").next().unwrap_or_default();
    format!("principal:{pool}/subject/{}", subject_of(token).unwrap_or_default())
}

/// The `sub` of a token that this server has just signed.
fn subject_of(token: &SecretText) -> Option<String> {
    let claims: serde_json::Value = serde_json::from_slice(&claims_text(token.reveal())?).ok()?;
    let subject = claims.get("sub")?.as_str()?;
    let fits = subject.len() <= SUBJECT_LENGTH_MAX && !subject.chars().any(char::is_control);
    fits.then(|| subject.to_owned())
}

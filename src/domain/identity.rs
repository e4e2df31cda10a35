//! The identity that the broker itself vouches for: who a token of its own
//! OpenID issuer is about, and the port that makes one.
//!
//! Clouds that trust the issuer take such a token instead of a stored secret.
//! The nouns and the port are here; the keys are in the strongroom.

use super::ids::IssuanceId;
use super::name::Name;
use super::principal::PrincipalKind;
use super::secret_text::SecretText;
use super::ttl::Ttl;

/// Who a token is about. Names what a trust policy of a cloud may match on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The project's name.
    pub project: Name,
    /// The connector's name.
    pub connector: Name,
    /// Who asked, and what kind of principal that is.
    pub principal: (PrincipalKind, Name),
    /// What it is minted for; none while a connector is verified.
    pub issuance: Option<IssuanceId>,
}

/// Why there is no token. Named by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The server's config has no issuer: enable it.
    #[error("the server's OpenID issuer is off")]
    Off,
    /// Signing failed; a fault of ours.
    #[error("the identity token cannot be signed")]
    Unsigned,
}

/// Makes identity tokens. Local work: no I/O, no waiting.
pub trait IdentityTokens: Send + Sync {
    /// A signed JWT about `subject` for `audience`, alive for `ttl`.
    ///
    /// # Errors
    /// `Off` when the server has no issuer.
    fn token(&self, subject: &Subject, audience: &str, ttl: Ttl) -> Result<SecretText, IdentityError>;
}

/// A server without an issuer.
#[derive(Debug, Clone, Copy)]
pub struct NoIssuer;

impl IdentityTokens for NoIssuer {
    fn token(&self, _: &Subject, _: &str, _: Ttl) -> Result<SecretText, IdentityError> {
        Err(IdentityError::Off)
    }
}

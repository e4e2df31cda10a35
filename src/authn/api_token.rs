//! Our own tokens: `vk1_KIND_` (user, service account or run) and 22 characters of id, 43 of secret, 6 of
//! CRC-32, all base 62.
//!
//! The CRC lets a scanner, and the server before any lookup, tell a token
//! from noise; it protects nothing. The secret is 256 random bits, so its
//! digest needs no slow hash. What is presented or issued is wiped on drop
//! and has no Debug.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::domain::{Entropy, EntropyError, PrincipalKind, SecretText, TokenDigest, TokenId};

use super::base62;

/// Matches every token and nothing else of that length: for secret scanners.
pub const TOKEN_REGEX: &str = r"\bvk1_[usr]_[0-9A-Za-z]{71}\b";
/// Characters of a token.
pub const TOKEN_LENGTH: usize = PREFIX_LENGTH + ID_WIDTH + SECRET_WIDTH + CRC_WIDTH;
/// The longest bearer value that is looked at: tokens of other issuers are
/// longer than ours, a header is at most 16 KiB.
pub const BEARER_LENGTH_MAX: usize = 8 * 1024;

const USER_PREFIX: &str = "vk1_u_";
const SERVICE_ACCOUNT_PREFIX: &str = "vk1_s_";
const RUN_PREFIX: &str = "vk1_r_";
const PREFIX_LENGTH: usize = USER_PREFIX.len();
const ID_WIDTH: usize = 22;
const SECRET_WIDTH: usize = 43;
const CRC_WIDTH: usize = 6;
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// Whose token it is, as its first letters say. They are part of what is
/// hashed, so a token is of one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A person's.
    User,
    /// A program's.
    ServiceAccount,
    /// A run's.
    Run,
}

impl TokenKind {
    const ALL: [Self; 3] = [Self::User, Self::ServiceAccount, Self::Run];

    const fn prefix(self) -> &'static str {
        match self {
            Self::User => USER_PREFIX,
            Self::ServiceAccount => SERVICE_ACCOUNT_PREFIX,
            Self::Run => RUN_PREFIX,
        }
    }

    fn of(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }
}

impl From<PrincipalKind> for TokenKind {
    fn from(kind: PrincipalKind) -> Self {
        match kind {
            PrincipalKind::User => Self::User,
            PrincipalKind::ServiceAccount => Self::ServiceAccount,
        }
    }
}

/// What was presented is no token. One shape for every cause: it must not
/// teach how close a guess came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid token was presented")]
pub struct TokenError;

/// A well-formed token that somebody presented; nobody has looked it up yet.
pub struct PresentedToken {
    whole: Zeroizing<String>,
    id: TokenId,
    kind: TokenKind,
}

impl PresentedToken {
    /// The public part, to look it up by.
    #[must_use]
    pub const fn id(&self) -> &TokenId {
        &self.id
    }

    /// Whose it says that it is.
    #[must_use]
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The whole token, for the digest and for nothing else.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.whole.as_bytes()
    }
}

/// A token that was just made; shown once.
pub struct IssuedToken(SecretText);

impl IssuedToken {
    /// The whole token, for the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.reveal().as_bytes()
    }

    /// The token, for the one reply that shows it.
    #[must_use]
    pub fn into_secret(self) -> SecretText {
        self.0
    }
}

/// Checks length, alphabet, kind and CRC, in this order and before anything
/// is looked up.
///
/// # Errors
/// When any of them is wrong; the error does not say which.
pub fn parse(text: &str) -> Result<PresentedToken, TokenError> {
    if text.len() != TOKEN_LENGTH {
        return Err(TokenError);
    }
    let (body, crc) = text.split_at_checked(TOKEN_LENGTH - CRC_WIDTH).ok_or(TokenError)?;
    let (prefix, rest) = body.split_at_checked(PREFIX_LENGTH).ok_or(TokenError)?;
    let kind = TokenKind::of(prefix).ok_or(TokenError)?;
    if !base62::all_digits(rest.as_bytes()) || checksum(body) != crc {
        return Err(TokenError);
    }
    let (id, _) = rest.split_at_checked(ID_WIDTH).ok_or(TokenError)?;
    Ok(PresentedToken { whole: Zeroizing::new(text.to_owned()), id: TokenId(id.to_owned()), kind })
}

/// Makes a token. The caller stores its digest under the id.
///
/// # Errors
/// When the random source fails or stands still.
pub fn issue(kind: impl Into<TokenKind>, entropy: &dyn Entropy) -> Result<(IssuedToken, TokenId), EntropyError> {
    let mut id = [0; ID_BYTES];
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    entropy.fill(&mut id)?;
    entropy.fill(secret.as_mut_slice())?;
    // A source that stands still would show the secret in the id.
    if secret.starts_with(&id) {
        return Err(EntropyError);
    }
    // Room for all of it: text that grows leaves copies behind.
    let mut text = String::with_capacity(TOKEN_LENGTH);
    text.push_str(kind.into().prefix());
    base62::append(&id, ID_WIDTH, &mut text);
    let public = TokenId(text.chars().skip(PREFIX_LENGTH).collect());
    base62::append(secret.as_slice(), SECRET_WIDTH, &mut text);
    let crc = checksum(&text);
    text.push_str(&crc);
    id.zeroize();
    Ok((IssuedToken(SecretText::new(text)), public))
}

/// Whether `found` is the stored digest, in constant time.
#[must_use]
pub fn digest_matches(stored: &TokenDigest, found: &[u8; 32]) -> bool {
    stored.0.ct_eq(found).into()
}

/// The token of an `authorization` header: `Bearer`, one space, and 1 to
/// 8,192 characters of RFC 6750's `b64token`, nothing else.
///
/// # Errors
/// When the header is anything else.
pub fn bearer(header: &[u8]) -> Result<&str, TokenError> {
    let token = header.strip_prefix(b"Bearer ").ok_or(TokenError)?;
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if token.is_empty() || token.len() > BEARER_LENGTH_MAX || !token.iter().all(allowed) {
        return Err(TokenError);
    }
    std::str::from_utf8(token).map_err(|_| TokenError)
}

fn checksum(body: &str) -> String {
    let mut text = String::with_capacity(CRC_WIDTH);
    base62::append(&crc32fast::hash(body.as_bytes()).to_be_bytes(), CRC_WIDTH, &mut text);
    text
}

#[cfg(test)]
mod tests;

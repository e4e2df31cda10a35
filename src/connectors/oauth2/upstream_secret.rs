//! Looking inside the fields of a source credential, without the provider.
//! Source credentials are plaintext here, for one look.

use crate::connectors::SecretEnd;
use crate::domain::jws::{JwsError, SigningKey};
use crate::sealing::{Plaintext, SourceCredential};

use super::settings_check::{ACCESS_TOKEN, REFRESH_TOKEN};

/// The longest client secret, in bytes.
const CLIENT_SECRET_LENGTH_MAX: usize = 1024;

/// Whether it is what RFC 6749 appendix A.2 allows as a client secret.
pub fn printable(field: &Plaintext) -> bool {
    let letter = |byte: &u8| (b' '..=b'~').contains(byte);
    (1..=CLIENT_SECRET_LENGTH_MAX).contains(&field.len()) && field.expose().iter().all(letter)
}

/// When it ends by its own word: many providers' access and refresh tokens
/// are JWTs. A refresh token's successor says anew when that one ends.
pub fn end(secret: &SourceCredential) -> Option<SecretEnd> {
    let of = |field| SecretEnd::of_token(field, secret.field(field)?.expose_text()?);
    of(ACCESS_TOKEN).or_else(|| of(REFRESH_TOKEN))
}

/// Why it is no key that signs; nothing when it is one.
pub fn key_problem(field: &Plaintext) -> Option<JwsError> {
    SigningKey::from_pem(field.expose()).err()
}

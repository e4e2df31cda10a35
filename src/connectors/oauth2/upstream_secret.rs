//! Looking inside the fields of a source credential, without the provider.
//! Source credentials are plaintext here, for one look.

use crate::domain::jws::SigningKey;
use crate::sealing::Plaintext;

/// The longest client secret, in bytes.
const CLIENT_SECRET_LENGTH_MAX: usize = 1024;

/// Whether it is what RFC 6749 appendix A.2 allows as a client secret.
pub fn printable(field: &Plaintext) -> bool {
    let letter = |byte: &u8| (b' '..=b'~').contains(byte);
    (1..=CLIENT_SECRET_LENGTH_MAX).contains(&field.len()) && field.expose().iter().all(letter)
}

/// Whether it is a key that signs.
pub fn signs(field: &Plaintext) -> bool {
    SigningKey::from_pem(field.expose()).is_ok()
}

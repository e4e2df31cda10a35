//! Looking inside the fields of a source credential, without the registry.
//! Source credentials are plaintext here, for one look.

use crate::connectors::SecretEnd;
use crate::sealing::{Plaintext, SourceCredential};

use super::settings_check::{IDENTITY_TOKEN, PASSWORD};

/// The longest name.
const NAME_LENGTH_MAX: usize = 256;
/// The longest password: access tokens of some registries are long.
const PASSWORD_LENGTH_MAX: usize = 8192;

/// RFC 7617: a name has no colon, nothing has control characters.
pub fn user_name(field: &Plaintext) -> bool {
    printable(field, NAME_LENGTH_MAX) && !field.expose().contains(&b':')
}

/// Whether it can be a password of HTTP Basic.
pub fn password(field: &Plaintext) -> bool {
    printable(field, PASSWORD_LENGTH_MAX)
}

/// When it ends by its own word: some registries' passwords and identity
/// tokens are JWTs.
pub fn end(secret: &SourceCredential) -> Option<SecretEnd> {
    let of = |field| SecretEnd::of_token(field, secret.field(field)?.expose_text()?);
    of(IDENTITY_TOKEN).or_else(|| of(PASSWORD))
}

fn printable(field: &Plaintext, length_max: usize) -> bool {
    let text = field.expose_text();
    (1..=length_max).contains(&field.len()) && text.is_some_and(|text| !text.chars().any(char::is_control))
}

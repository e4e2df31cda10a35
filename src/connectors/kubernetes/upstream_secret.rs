//! The source credential by itself: which fields there are, whether a
//! certificate and its key belong together, and when it ends. Looks inside,
//! sends nothing.

use std::collections::BTreeSet;

use crate::connectors::SecretEnd;
use crate::connectors::secret_end::{SECRET_EXPIRES_AT, not_after};
use crate::domain::{FieldError, FieldErrors, Timestamp};
use crate::outbound::ClientIdentity;
use crate::sealing::SourceCredential;

use super::settings::Settings;

/// A bearer token.
pub const TOKEN: &str = "token";
/// A client certificate, PEM.
pub const CLIENT_CERTIFICATE: &str = "client_certificate";
/// Its key, PEM.
pub const CLIENT_KEY: &str = "client_key";
/// A user name.
pub const USERNAME: &str = "username";
/// Its password.
pub const PASSWORD: &str = "password";

/// The longest token: headers of API servers end at 16 KiB or more.
const TOKEN_LENGTH_MAX: usize = 12 * 1024;
/// The longest user name or password.
const LOGIN_LENGTH_MAX: usize = 1024;

/// Checks a source credential; see `ConnectorType::check_secret`.
pub fn check(
    settings: &Settings,
    secret: &SourceCredential,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), FieldErrors> {
    let mut refused = match settings {
        Settings::Token(_) => bearer(secret),
        Settings::Password(_) => login(secret),
    };
    if expires_at.is_some_and(|end| end <= now) {
        refused.push(FieldError::new(SECRET_EXPIRES_AT, "has passed"));
    }
    if refused.is_empty() { Ok(()) } else { Err(FieldErrors(refused)) }
}

/// When it ends by its own word: a client certificate, or a service account's
/// token. Old tokens of service accounts name no end and have none.
pub fn end(secret: &SourceCredential) -> Option<SecretEnd> {
    match secret.field(CLIENT_CERTIFICATE) {
        Some(pem) => SecretEnd::of_certificate(CLIENT_CERTIFICATE, pem.expose()),
        None => SecretEnd::of_token(TOKEN, secret.field(TOKEN)?.expose_text()?),
    }
}

fn bearer(secret: &SourceCredential) -> Vec<FieldError> {
    let given: BTreeSet<&str> =
        [TOKEN, CLIENT_CERTIFICATE, CLIENT_KEY].into_iter().filter(|name| secret.field(name).is_some()).collect();
    let mut refused = strangers(secret, &[TOKEN, CLIENT_CERTIFICATE, CLIENT_KEY]);
    let both = BTreeSet::from([CLIENT_CERTIFICATE, CLIENT_KEY]);
    if given == BTreeSet::from([TOKEN]) {
        let fits = secret
            .field(TOKEN)
            .is_some_and(|value| (1..=TOKEN_LENGTH_MAX).contains(&value.len()) && value.is_one_word());
        refused.extend((!fits).then(|| wrong(TOKEN, "must be 1 to 12,288 printable characters with no blanks")));
    } else if given == both {
        let readable = secret.field(CLIENT_CERTIFICATE).is_some_and(|pem| not_after(pem.expose()).is_some());
        refused.extend((!readable).then(|| wrong(CLIENT_CERTIFICATE, "must be an X.509 certificate in PEM")));
        let fits = identity(secret).is_some_and(|identity| identity.fits());
        let problem = "must be the PEM key (not encrypted) of client_certificate, which is PEM too";
        refused.extend((!fits).then(|| wrong(CLIENT_KEY, problem)));
    } else {
        refused.push(wrong(TOKEN, "must be given, or client_certificate and client_key instead; never both"));
    }
    refused
}

fn login(secret: &SourceCredential) -> Vec<FieldError> {
    let mut refused = strangers(secret, &[USERNAME, PASSWORD]);
    let text = |name: &str| secret.field(name).and_then(|value| value.expose_text());
    let printable = |text: &str| (1..=LOGIN_LENGTH_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    // RFC 7617: the first colon ends the user name.
    let fits = text(USERNAME).is_some_and(|text| printable(text) && !text.contains(':'));
    refused.extend((!fits).then(|| wrong(USERNAME, "must be 1 to 1,024 printable bytes with no colon")));
    let fits = text(PASSWORD).is_some_and(printable);
    refused.extend((!fits).then(|| wrong(PASSWORD, "must be 1 to 1,024 printable bytes")));
    refused
}

fn strangers(secret: &SourceCredential, known: &[&str]) -> Vec<FieldError> {
    let unknown = secret.names().into_iter().filter(|name| !known.contains(&name.as_str()));
    unknown.map(|name| wrong(name.as_str(), "is not a field of this auth method")).collect()
}

fn wrong(field: &str, problem: &str) -> FieldError {
    FieldError::new(format!("secrets.{field}"), problem)
}

/// The client certificate and its key, when they are there.
pub fn identity(secret: &SourceCredential) -> Option<ClientIdentity<'_>> {
    let bytes = |name: &str| secret.field(name).map(|value| value.expose());
    Some(ClientIdentity { certificate: bytes(CLIENT_CERTIFICATE)?, key: bytes(CLIENT_KEY)? })
}

//! What the types of the settings cannot say, and the source credential that
//! goes with them. Errors name fields, never contents.

use crate::connectors::secret_end::SECRET_EXPIRES_AT;
use crate::domain::{FieldError, FieldErrors, Timestamp};
use crate::sealing::SourceCredential;

use super::place::service_url;
use super::settings::{Login, Settings};
use super::upstream_secret;

/// The login's name.
pub const USERNAME: &str = "username";
/// Its password, or an access token of the registry's.
pub const PASSWORD: &str = "password";
/// What `docker login` keeps of some registries in place of a password.
pub const IDENTITY_TOKEN: &str = "identity_token";

/// Checks settings; see `ConnectorType::check`.
pub fn check(settings: &Settings) -> Result<(), FieldErrors> {
    let own = settings.own();
    let mut refused = Vec::new();
    let mut unless = |fits: bool, field: &str, problem: &str| {
        if !fits {
            refused.push(FieldError::new(field, problem));
        }
    };
    unless(settings.place().is_some(), "settings.registry", "must be HOST[:PORT], for example registry.example.com");
    let fits = own.token_url.as_deref().is_none_or(|text| service_url(text).is_some());
    unless(
        fits,
        "settings.token_url",
        "must be an https URL (http only where the server's config names it), with no user and no fragment",
    );
    let printable = |text: &str| (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let fits = own.service.as_deref().is_none_or(printable);
    unless(fits, "settings.service", "must be 1 to 256 printable ASCII characters with no blanks");
    let tokens = settings.login() == Login::Token;
    let problem = "goes with login token only";
    unless(tokens || own.token_url.is_none(), "settings.token_url", problem);
    unless(tokens || own.service.is_none(), "settings.service", problem);
    if refused.is_empty() { Ok(()) } else { Err(FieldErrors(refused)) }
}

/// Checks a source credential; see `ConnectorType::check_secret`.
pub fn check_secret(
    settings: &Settings,
    secret: &SourceCredential,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), FieldErrors> {
    let mut refused = Vec::new();
    let mut unless = |fits: bool, field: &str, problem: &str| {
        if !fits {
            refused.push(FieldError::new(field, problem));
        }
    };
    let name = secret.field(USERNAME).is_some_and(upstream_secret::user_name);
    unless(name, "secrets.username", "must be 1 to 256 printable characters with no colon");
    let (password, token) = (secret.field(PASSWORD), secret.field(IDENTITY_TOKEN));
    let fits = password.is_none_or(upstream_secret::password);
    unless(fits, "secrets.password", "must be 1 to 8,192 printable characters");
    let fits = token.is_none_or(|field| (1..=16_384).contains(&field.len()) && field.is_one_word());
    unless(fits, "secrets.identity_token", "must be 1 to 16,384 characters with no blanks or line ends among them");
    unless(password.is_some() != token.is_some(), "secrets.password", "either this or identity_token must be given");
    let tokens = settings.login() == Login::Token;
    unless(tokens || token.is_none(), "secrets.identity_token", "goes with login token only");
    // What is handed out as it is must say when it ends.
    unless(
        tokens || expires_at.is_some(),
        SECRET_EXPIRES_AT,
        "must say when the password ends, which is handed out as it is: --secret-expires-in LENGTH",
    );
    unless(expires_at.is_none_or(|end| end > now), SECRET_EXPIRES_AT, "has passed");
    if refused.is_empty() { Ok(()) } else { Err(FieldErrors(refused)) }
}

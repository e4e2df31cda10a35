//! The source credential of an SSH connector: which fields each method has,
//! and the key that is in them. The only file of the type that exposes one.

use zeroize::Zeroizing;

use crate::connectors::{Busy, Lane, aside};
use crate::domain::{FieldError, FieldErrors};
use crate::sealing::SourceCredential;

use super::settings::Settings;
use super::upstream_key::{PASSPHRASE_MISSING, PASSPHRASE_WRONG, Problem, SourceKey};

/// The CA's key.
pub const CA_PRIVATE_KEY: &str = "ca_private_key";
/// The passphrase of the CA's key.
pub const CA_PASSPHRASE: &str = "ca_passphrase";
/// A user's key.
pub const BASE64_SSH_KEY: &str = "base64_ssh_key";
/// The passphrase of a user's key.
pub const SSH_PASSPHRASE: &str = "ssh_passphrase";

/// The fields of a method: the key, and its passphrase.
const fn fields(settings: &Settings) -> (&'static str, &'static str) {
    match settings {
        Settings::CaKey(_) => (CA_PRIVATE_KEY, CA_PASSPHRASE),
        Settings::PrivateKey(_) => (BASE64_SSH_KEY, SSH_PASSPHRASE),
    }
}

/// Opens the key.
///
/// # Errors
/// What is wrong with it.
pub fn source_key(settings: &Settings, secret: &SourceCredential) -> Result<SourceKey, Problem> {
    let (key, passphrase) = fields(settings);
    let text = secret.field(key).ok_or("is needed")?;
    let passphrase = secret.field(passphrase).map(|field| field.expose());
    SourceKey::read(text.expose(), passphrase)
}

/// The same beside the thread that serves, when the key has a passphrase: what
/// its bcrypt costs is for whoever encrypted it to say.
///
/// # Errors
/// `Busy`; what is wrong with the key.
pub async fn source_key_aside(
    settings: &Settings,
    secret: &SourceCredential,
) -> Result<Result<SourceKey, Problem>, Busy> {
    let (key, passphrase) = fields(settings);
    let (Some(text), Some(passphrase)) = (secret.field(key), secret.field(passphrase)) else {
        return Ok(source_key(settings, secret));
    };
    let text = Zeroizing::new(text.expose().to_vec());
    let passphrase = Zeroizing::new(passphrase.expose().to_vec());
    aside(Lane::Stored, move || SourceKey::read(&text, Some(&passphrase))).await
}

/// Checks a source credential; see `ConnectorType::check_secret`. The key is
/// opened once, so that a wrong one is told to whoever hands it in.
pub fn check(settings: &Settings, secret: &SourceCredential) -> Result<(), FieldErrors> {
    let (key, passphrase) = fields(settings);
    if let Some(foreign) = secret.names().iter().find(|name| ![key, passphrase].contains(&name.as_str())) {
        return Err(FieldError::new(format!("secrets.{foreign}"), "is not a field of this auth method").into());
    }
    match source_key(settings, secret) {
        Ok(_) => Ok(()),
        Err(problem) if [PASSPHRASE_MISSING, PASSPHRASE_WRONG].contains(&problem) => {
            Err(FieldError::new(format!("secrets.{passphrase}"), problem).into())
        }
        Err(problem) => Err(FieldError::new(format!("secrets.{key}"), problem).into()),
    }
}

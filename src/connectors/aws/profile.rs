//! One profile of an AWS credentials file, for `implicit` connectors. Opens no
//! file: whoever owns files hands in the text, or how to get it.
//!
//! Static keys only. A profile that would run a command, follow a role or read
//! another file is refused: the daemon does none of these on a file's say.

use zeroize::Zeroizing;

use crate::domain::SecretText;
use crate::outbound::{ImplicitIdentities, ImplicitIdentity};

/// The largest credentials file.
const LENGTH_MAX: usize = 64 * 1024;
/// What else a profile may say without changing who it is.
const HARMLESS: &[&str] = &["region", "output"];

/// Why a profile is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Longer than 64 KiB.
    #[error("the credentials file is too large")]
    TooLarge,
    /// No section of this name, or two.
    #[error("the credentials file must have the profile exactly once")]
    NotOnce,
    /// A line that is neither a key nor a comment, or a key twice.
    #[error("the profile has a line that cannot be read")]
    Unreadable,
    /// `credential_process`, roles, SSO and the like.
    #[error("the profile must have static keys only: no credential_process, no role, no SSO")]
    NotStatic,
    /// A key is missing.
    #[error("the profile must have aws_access_key_id and aws_secret_access_key")]
    Incomplete,
}

/// The profiles of a credentials file as implicit identities. `R` reads the
/// file; it is called for each use, so that a rotated key is seen.
pub struct Profiles<R>(R);

impl<R> Profiles<R> {
    /// Profiles of what `read` reads.
    pub const fn new(read: R) -> Self {
        Self(read)
    }
}

impl<R, E> ImplicitIdentities for Profiles<R>
where
    R: Fn() -> Result<Zeroizing<String>, E> + Send + Sync,
    E: std::error::Error,
{
    fn identity(&self, name: &str) -> Option<ImplicitIdentity> {
        let refused = |error: &dyn std::error::Error| tracing::warn!(profile = name, %error, "a profile is not used");
        let text = (self.0)().inspect_err(|error| refused(error)).ok()?;
        parse(&text, name).inspect_err(|error| refused(error)).ok()
    }
}

/// Reads the profile `name` of a credentials file.
///
/// # Errors
/// See [`ProfileError`]; none repeats what is in the file.
pub fn parse(text: &str, name: &str) -> Result<ImplicitIdentity, ProfileError> {
    if text.len() > LENGTH_MAX {
        return Err(ProfileError::TooLarge);
    }
    let mut profile = Profile::default();
    let mut inside = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let section = section.trim();
            inside = section.strip_prefix("profile ").unwrap_or(section).trim() == name;
            profile.seen += u32::from(inside);
        } else if inside {
            profile.take(line)?;
        }
    }
    profile.finish()
}

#[derive(Default)]
struct Profile {
    seen: u32,
    id: Option<SecretText>,
    key: Option<SecretText>,
    token: Option<SecretText>,
}

impl Profile {
    fn take(&mut self, line: &str) -> Result<(), ProfileError> {
        let (name, value) = line.split_once('=').ok_or(ProfileError::Unreadable)?;
        let slot = match name.trim() {
            "aws_access_key_id" => &mut self.id,
            "aws_secret_access_key" => &mut self.key,
            "aws_session_token" => &mut self.token,
            name if HARMLESS.contains(&name) => return Ok(()),
            _ => return Err(ProfileError::NotStatic),
        };
        let twice = slot.replace(SecretText::new(value.trim().to_owned())).is_some();
        if twice { Err(ProfileError::Unreadable) } else { Ok(()) }
    }

    fn finish(self) -> Result<ImplicitIdentity, ProfileError> {
        if self.seen != 1 {
            return Err(ProfileError::NotOnce);
        }
        let (Some(access_key_id), Some(secret_access_key)) = (self.id, self.key) else {
            return Err(ProfileError::Incomplete);
        };
        Ok(ImplicitIdentity { access_key_id, secret_access_key, session_token: self.token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "aws_access_key_id = AKIA1\naws_secret_access_key = s=1\n";

    #[test]
    fn static_keys_of_the_named_profile_are_read() {
        let text = format!("# mine\n[default]\ncredential_process = /bin/evil\n[ml]\nregion = eu-west-1\n{KEYS}");
        let identity = parse(&text, "ml").ok().unwrap();
        assert_eq!((identity.access_key_id.reveal(), identity.secret_access_key.reveal()), ("AKIA1", "s=1"));
        assert!(identity.session_token.is_none());
    }

    #[test]
    fn each_use_reads_anew_and_nothing_readable_is_no_identity() {
        let text = std::sync::Mutex::new(format!("[ml]\n{KEYS}"));
        let profiles = Profiles::new(|| match text.lock().unwrap().as_str() {
            "" => Err(std::io::Error::other("gone")),
            text => Ok(Zeroizing::new(text.to_owned())),
        });
        assert_eq!(profiles.identity("ml").unwrap().access_key_id.reveal(), "AKIA1");
        assert!(profiles.identity("other").is_none());
        *text.lock().unwrap() = format!("[ml]\n{}", KEYS.replace("AKIA1", "AKIA2"));
        assert_eq!(profiles.identity("ml").unwrap().access_key_id.reveal(), "AKIA2");
        text.lock().unwrap().clear();
        assert!(profiles.identity("ml").is_none());
    }

    /// SECURITY E10.
    #[test]
    fn a_profile_that_runs_or_follows_something_is_refused() {
        for line in [
            "credential_process = /bin/evil",
            "role_arn = arn:aws:iam::123456789012:role/a",
            "source_profile = ml",
            "credential_source = Ec2InstanceMetadata",
            "web_identity_token_file = /etc/passwd",
            "sso_session = x",
            "endpoint_url = http://169.254.169.254",
        ] {
            assert_eq!(parse(&format!("[ml]\n{KEYS}{line}\n"), "ml").err(), Some(ProfileError::NotStatic), "{line}");
        }
    }

    #[test]
    fn missing_doubled_and_broken_profiles_are_refused() {
        assert_eq!(parse("", "ml").err(), Some(ProfileError::NotOnce));
        assert_eq!(parse(&format!("[ml]\n{KEYS}[profile ml]\n"), "ml").err(), Some(ProfileError::NotOnce));
        assert_eq!(parse("[ml]\naws_access_key_id = A\n", "ml").err(), Some(ProfileError::Incomplete));
        assert_eq!(parse(&format!("[ml]\n{KEYS}{KEYS}"), "ml").err(), Some(ProfileError::Unreadable));
        assert_eq!(parse("[ml]\njunk\n", "ml").err(), Some(ProfileError::Unreadable));
        assert_eq!(parse(&" ".repeat(LENGTH_MAX + 1), "ml").err(), Some(ProfileError::TooLarge));
    }
}

//! Names by which other tools know what is ours: taken at the door, in the
//! parsers of names, and nowhere else. What is stored and compared is ours.
//!
//! ZenML calls SSH hosts `hyperai`, and names the method after the key.

use super::field_error::FieldError;

/// The other names of an auth method, for the lists that clients look in. A
/// name that is refused with a reason is one of them: the server gives it.
#[must_use]
pub fn of_method(name: &str) -> &'static [&'static str] {
    match name {
        "private-key" => &["rsa-key", "ecdsa-key", "ed25519-key", "dsa-key"],
        _ => &[],
    }
}

/// Our name for what `field` calls `text`; most names are ours already.
///
/// # Errors
/// Names the field, for a name whose thing is refused.
pub fn ours<'a>(field: &str, text: &'a str) -> Result<&'a str, FieldError> {
    match (field, text) {
        ("connector_type", "hyperai") => Ok("ssh"),
        ("resource_type", "hyperai-instance") => Ok("ssh-host"),
        ("auth_method", "rsa-key" | "ecdsa-key" | "ed25519-key") => Ok("private-key"),
        ("auth_method", "dsa-key") => Err(FieldError::new(field, DSA_REFUSED)),
        _ => Ok(text),
    }
}

/// Why a DSA key is never taken.
pub const DSA_REFUSED: &str =
    "DSA keys have 1,024 bits and SHA-1, and OpenSSH no longer takes them; make an ed25519 key: ssh-keygen -t ed25519";

#[cfg(test)]
mod tests {
    use crate::domain::{AuthMethodName, ConnectorTypeName, ResourceTypeName};

    #[test]
    fn names_of_other_tools_become_ours_at_the_door() {
        assert_eq!(ConnectorTypeName::parse("hyperai").unwrap().as_str(), "ssh");
        assert_eq!(ResourceTypeName::parse("hyperai-instance").unwrap().as_str(), "ssh-host");
        for method in ["rsa-key", "ecdsa-key", "ed25519-key", "private-key"] {
            assert_eq!(AuthMethodName::parse(method).unwrap().as_str(), "private-key");
        }
        assert!(AuthMethodName::parse("dsa-key").unwrap_err().problem.contains("DSA"));
        // A name counts in its own field only.
        assert_eq!(ResourceTypeName::parse("hyperai").unwrap().as_str(), "hyperai");
    }
}

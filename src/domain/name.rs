//! Names that people give: `[a-z][a-z0-9-]{0,62}`, ASCII only.
//!
//! Refused, never normalised: a name that is repaired after a check is how
//! policy checks of other vaults were passed by ` Root` (CVE-2025-5999).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const NAME_LENGTH_MAX: usize = 63;

/// A string that is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 63 of a-z, 0-9 and '-', starting with a letter and not ending with '-'")]
pub struct NameError;

/// A checked name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = text.len() <= NAME_LENGTH_MAX
            && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && !text.ends_with('-')
            && text.bytes().all(inner);
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_rather_than_repaired() {
        for bad in ["", " root", "Root", "root ", "-a", "a-", "a_b", "r\u{200b}oot", "r\0", &"a".repeat(64)] {
            assert_eq!(bad.parse::<Name>(), Err(NameError), "{bad:?}");
        }
        for good in ["a", "prod-aws", "x9", &"a".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good:?}");
        }
    }
}

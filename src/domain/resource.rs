//! Resource types and canonical resource ids.
//!
//! Only a connector type makes a `ResourceId` from what somebody sent; ids
//! are compared in canonical form and in no other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::field_error::FieldError;

/// The longest resource id, in bytes.
pub const RESOURCE_ID_LENGTH_MAX: usize = 2048;

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the characters, `[a-z][a-z0-9_-]{0,62}`, and takes
            /// another tool's name for ours.
            ///
            /// # Errors
            /// Names the field.
            pub fn parse(text: &str) -> Result<Self, FieldError> {
                let text = $crate::domain::alias::ours($field, text)?;
                let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
                let fits = text.len() <= 63
                    && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
                    && text.bytes().all(inner);
                if fits {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(FieldError::new($field, "must be 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter"))
                }
            }

            /// The word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(super) use word;

word!(
    /// For example `s3-bucket`.
    ResourceTypeName,
    "resource_type"
);

/// A canonical resource id, for example `s3://datasets/train`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(String);

impl ResourceId {
    /// Takes what a connector type has made canonical.
    ///
    /// # Errors
    /// When it is empty, longer than 2,048 bytes or has control characters.
    pub fn canonical(text: impl Into<String>) -> Result<Self, FieldError> {
        let text = text.into();
        let fits = !text.is_empty() && text.len() <= RESOURCE_ID_LENGTH_MAX && !text.chars().any(char::is_control);
        if fits {
            Ok(Self(text))
        } else {
            Err(FieldError::new("resource_id", "must be 1 to 2,048 bytes with no control characters"))
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

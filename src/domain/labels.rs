//! Labels: at most 64 pairs of a short key and a value, for filters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::field_error::FieldError;

/// The most labels on one record.
pub const LABELS_MAX: usize = 64;
/// The longest key, in bytes.
pub const LABEL_KEY_LENGTH_MAX: usize = 128;
/// The longest value, in bytes.
pub const LABEL_VALUE_LENGTH_MAX: usize = 512;

/// Checked labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Checks number, length and characters.
    ///
    /// # Errors
    /// Names the field `labels` or `labels.KEY`.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, FieldError> {
        let labels: BTreeMap<_, _> = pairs.into_iter().collect();
        if labels.len() > LABELS_MAX {
            return Err(FieldError::new("labels", format!("at most {LABELS_MAX} labels")));
        }
        for (key, value) in &labels {
            check_pair(key, value)?;
        }
        Ok(Self(labels))
    }

    /// The pairs, by key.
    #[must_use]
    pub const fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether every pair of `wanted` is here.
    #[must_use]
    pub fn contain(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(key, value)| self.0.get(key) == Some(value))
    }
}

fn check_pair(key: &str, value: &str) -> Result<(), FieldError> {
    let key_fits = !key.is_empty()
        && key.len() <= LABEL_KEY_LENGTH_MAX
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    if !key_fits {
        return Err(FieldError::new("labels", "a key is 1 to 128 of a-z, A-Z, 0-9 and '-_./'"));
    }
    if value.len() > LABEL_VALUE_LENGTH_MAX || value.chars().any(char::is_control) {
        return Err(FieldError::new(
            format!("labels.{key}"),
            "a value is at most 512 bytes with no control characters",
        ));
    }
    Ok(())
}

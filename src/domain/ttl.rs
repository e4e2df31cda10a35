//! Lifetimes of minted credentials.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::field_error::FieldError;

/// A lifetime in whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(u32);

impl Ttl {
    /// A lifetime of `seconds`, at least one.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self(if seconds == 0 { 1 } else { seconds })
    }

    /// In whole seconds.
    #[must_use]
    pub const fn as_seconds(self) -> u32 {
        self.0
    }

    /// As a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// What an auth method can mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TtlRange {
    /// The shortest.
    pub min: Ttl,
    /// When none is asked for.
    pub default: Ttl,
    /// The longest.
    pub max: Ttl,
}

/// A granted lifetime, and why it is shorter than what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedTtl {
    /// What is granted.
    pub ttl: Ttl,
    /// Why it was cut, or nothing.
    pub note: Option<String>,
}

impl TtlRange {
    /// The lifetime to mint when `asked` is wished for under `ceilings`
    /// (value and whose it is). A longer wish is cut, and the note says so (what
    /// the cloud makes of it is another matter, which the broker looks at); a
    /// ceiling below the cloud's floor is refused, because the cloud would
    /// mint something longer.
    ///
    /// # Errors
    /// Names `ttl_seconds`.
    pub fn grant(self, asked: Option<Ttl>, ceilings: &[(Ttl, &str)]) -> Result<GrantedTtl, FieldError> {
        let mut granted = GrantedTtl { ttl: asked.unwrap_or(self.default), note: None };
        if granted.ttl < self.min {
            let min = self.min.as_seconds();
            return Err(FieldError::new(
                "ttl_seconds",
                format!("the shortest lifetime of this auth method is {min} s"),
            ));
        }
        for (limit, whose) in std::iter::once((self.max, "the auth method")).chain(ceilings.iter().copied()) {
            if granted.ttl > limit {
                granted.ttl = limit;
                granted.note = asked.map(|_| format!("cut to {} s by {whose}", limit.as_seconds()));
            }
        }
        if granted.ttl < self.min {
            return Err(FieldError::new(
                "ttl_seconds",
                format!(
                    "only {} s are allowed, and the shortest lifetime of this auth method is {} s",
                    granted.ttl.as_seconds(),
                    self.min.as_seconds()
                ),
            ));
        }
        Ok(granted)
    }
}

//! What is known of the issuer's signing keys without the keys: their names,
//! their times, and the state that follows from these.
//!
//! A key is published before it signs and after it has signed, so that every
//! token verifies for as long as it lives. When it does what is the issuer's
//! to decide; this is what is stored of it and shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// SHA-256 in base64url without padding.
const ID_LENGTH: usize = 43;

/// Names a signing key: the thumbprint of its public half (RFC 7638), so a
/// name fits one key only. It is the `kid` of tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IssuerKeyId(String);

impl IssuerKeyId {
    /// The name in `text`, when it is 43 characters of base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == ID_LENGTH && text.bytes().all(letter)).then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IssuerKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a signing key is for at the moment. It is published in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssuerKeyState {
    /// Known to the clouds before it signs.
    Next,
    /// Signs.
    Active,
    /// Signs no more; what it signed may still be alive.
    Retired,
}

impl IssuerKeyState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// A signing key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKeyFacts {
    /// Names it for ever.
    pub id: IssuerKeyId,
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it signed for the last time. Invariant: never without the former.
    pub retired_at: Option<Timestamp>,
}

impl IssuerKeyFacts {
    /// What the times say.
    #[must_use]
    pub const fn state(&self) -> IssuerKeyState {
        match (self.activated_at, self.retired_at) {
            (_, Some(_)) => IssuerKeyState::Retired,
            (Some(_), None) => IssuerKeyState::Active,
            (None, None) => IssuerKeyState::Next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_thumbprint_and_nothing_else() {
        let good = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(IssuerKeyId::parse(good).unwrap().to_string(), good);
        for bad in ["", "x", &good[1..], &format!("{good}A"), &good.replace('-', "+"), &good.replace('-', "/")] {
            assert!(IssuerKeyId::parse(bad).is_none(), "{bad}");
        }
    }
}

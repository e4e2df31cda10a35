//! Tokens as they are stored: a public id and a keyed digest.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::clock::Timestamp;
use super::ids::{PrincipalId, ProjectId, RunId};

/// The public part of a token: 22 base-62 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub String);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// HMAC-SHA-256 of the whole token under the store's pepper.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(pub [u8; 32]);

/// A token as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The public part.
    pub id: TokenId,
    /// The tenancy of its principal.
    pub project: ProjectId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What the presented token must hash to.
    pub digest: TokenDigest,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; there is no token without an end.
    pub expires_at: Timestamp,
    /// Who made it; nobody for the first owner's.
    pub created_by: Option<PrincipalId>,
    /// The run that it is the token of; it reaches nothing else.
    pub run: Option<RunId>,
}

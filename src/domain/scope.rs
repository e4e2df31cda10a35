//! What a credential is really narrowed to, and what can be done about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far the cloud itself narrows a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Downscope {
    /// Not at all.
    None,
    /// To the named resource.
    Resource,
    /// To a prefix inside it.
    Prefix,
}

/// What can be done about a credential before it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revocable {
    /// Nothing.
    No,
    /// Only together with every other session of the same role.
    RoleWide,
    /// By itself.
    Single,
}

/// The scope that is really enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnforcedScope {
    /// In words, for example `s3://datasets/train read`.
    pub words: String,
    /// How far the cloud narrows it.
    pub downscope: Downscope,
}

impl fmt::Display for Downscope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Resource => "resource",
            Self::Prefix => "prefix",
        })
    }
}

impl fmt::Display for Revocable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::RoleWide => "role-wide",
            Self::Single => "single",
        })
    }
}

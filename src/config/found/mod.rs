//! What a platform engineer's own machine has that could be registered:
//! kubeconfigs.
//!
//! Reads files, bounded, when the engineer says so. Runs no command, follows
//! no URL, and says by name what it does not take. Nothing here can print a
//! secret.

pub mod kubeconfig;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Something that can be registered as it is. No Debug: it holds the secret.
pub struct Found {
    /// What `--from` takes, for example `aws:default`.
    pub source: String,
    /// A name for the connector.
    pub name: String,
    /// For example `aws`.
    pub connector_type: &'static str,
    /// For example `iam-role`.
    pub auth_method: &'static str,
    /// The settings, without secrets.
    pub settings: Map<String, Value>,
    /// The fields of the source credential.
    pub secrets: Vec<(&'static str, Zeroizing<Vec<u8>>)>,
    /// When it ends, as it was written, when that is known.
    pub secret_expires_at: Option<String>,
    /// What to know before it is registered.
    pub notes: Vec<String>,
}

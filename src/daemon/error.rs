//! Why the daemon does not start. Each says what to do; none holds a secret.

use std::path::PathBuf;

use crate::broker::BrokerError;
use crate::config::ConfigError;
use crate::domain::EntropyError;
use crate::issuer::IssuerError;
use crate::sealing::{RootKeyError, SealingError};
use crate::store::StoreError;
use crate::store::sqlite::OpenError;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The config does not fit.
    #[error("the configuration was refused")]
    Config(#[from] ConfigError),
    /// The kernel refuses what protects the process.
    #[error("the process could not be protected against being read")]
    Hardening {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The data directory is not as it must be.
    #[error("the data directory {}: {problem}", path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What to do about it.
        problem: String,
    },
    /// A file cannot be made or read.
    #[error("{what}")]
    File {
        /// Which, and what was to be done with it.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The root key does not fit.
    #[error("the root key was refused")]
    RootKey(#[from] RootKeyError),
    /// The keys do not open.
    #[error("the keys of this store do not open")]
    Sealing(#[from] SealingError),
    /// The store does not open.
    #[error("the store does not open")]
    Open(#[from] OpenError),
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    /// The broker does not do it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The keys of the issuer cannot be used.
    #[error("the OpenID issuer does not start")]
    Issuer(#[from] IssuerError),
    /// Certificates do not load or cannot be made.
    #[error("the TLS certificate was refused: {problem}")]
    Certificate {
        /// What to do about it.
        problem: String,
    },
    /// What was asked for does not fit.
    #[error("{0}")]
    Refused(String),
}

impl From<EntropyError> for DaemonError {
    fn from(_: EntropyError) -> Self {
        Self::Refused("the system's random source failed".to_owned())
    }
}

impl DaemonError {
    /// A file that could not be made or read.
    pub(super) fn file(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }
}

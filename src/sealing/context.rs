//! Where a sealed value belongs: authenticated, never secret.

use crate::domain::{ConnectorId, ConnectorTypeName, ProjectId};

/// What a sealed credential is bound to. A record opens in no other context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealContext {
    /// The project.
    pub project: ProjectId,
    /// The connector.
    pub connector: ConnectorId,
    /// The connector's type.
    pub connector_type: ConnectorTypeName,
    /// Grows by one with each rotation: an older record does not open.
    pub secret_version: u64,
    /// SHA-256 of the settings that decide where the secret is sent.
    pub destination: [u8; 32],
}

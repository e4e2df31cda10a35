//! Who a credential is minted for, as the cloud's own audit log will show it.
//!
//! The session name is injective: a readable part, then a hash over the exact
//! principal and issuance, so that two principals never share one.

use sha2::{Digest, Sha256};

use super::ids::{IssuanceId, ProjectId};
use super::principal::Principal;

/// The longest session name of AWS, the shortest limit of all clouds.
pub const SESSION_NAME_LENGTH_MAX: usize = 64;
/// Hex characters of the hash part: 80 bits.
const HASH_LENGTH: usize = 20;

/// Names the principal and the issuance to a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// For whom.
    pub principal: Principal,
    /// In which project.
    pub project: ProjectId,
    /// For which issuance; a shared credential names the first.
    pub issuance: IssuanceId,
}

impl Attribution {
    /// 2 to 64 characters of `[\w+=,.@-]`: `vk-NAME-HASH`, different for each
    /// principal and issuance.
    #[must_use]
    pub fn session_name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"valetkey/session-name/v1");
        hash.update(self.project.as_bytes());
        hash.update(self.principal.id.as_bytes());
        hash.update(self.issuance.as_bytes());
        self.readable(&hex::encode(hash.finalize()))
    }

    /// 2 to 64 characters, the same for every session of one principal.
    #[must_use]
    pub fn source_identity(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"valetkey/source-identity/v1");
        hash.update(self.project.as_bytes());
        hash.update(self.principal.id.as_bytes());
        self.readable(&hex::encode(hash.finalize()))
    }

    fn readable(&self, hash: &str) -> String {
        let room = SESSION_NAME_LENGTH_MAX - HASH_LENGTH - "vk--".len();
        let name: String = self.principal.name.as_str().chars().take(room).collect();
        let tail: String = hash.chars().take(HASH_LENGTH).collect();
        format!("vk-{name}-{tail}")
    }
}

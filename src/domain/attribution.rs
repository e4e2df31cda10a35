//! Who a credential is minted for, as the cloud's own audit log will show it.
//!
//! The session name is injective: a readable part, then a hash over the exact
//! principal, run and issuance, so that two of these never share one.

use sha2::{Digest, Sha256};

use super::ids::{IssuanceId, ProjectId, RunId};
use super::principal::Principal;

/// The longest session name of AWS, the shortest limit of all clouds.
pub const SESSION_NAME_LENGTH_MAX: usize = 64;
/// Hex characters of the hash part: 80 bits.
const HASH_LENGTH: usize = 20;
/// Digits of a run's id: a prefix that finds it again.
const RUN_LENGTH: usize = 8;

/// Names the principal, its run and the issuance to a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// For whom.
    pub principal: Principal,
    /// In which project.
    pub project: ProjectId,
    /// In which run, if in one.
    pub run: Option<RunId>,
    /// For which issuance; a shared credential names the first.
    pub issuance: IssuanceId,
}

impl Attribution {
    /// 2 to 64 characters of `[\w+=,.@-]`: `vk-NAME-HASH`, in a run
    /// `vk-NAME-RUN-HASH` with the first eight digits of the run's id;
    /// different for each principal, run and issuance.
    #[must_use]
    pub fn session_name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"valetkey/session-name/v1");
        hash.update(self.project.as_bytes());
        hash.update(self.principal.id.as_bytes());
        hash.update(self.issuance.as_bytes());
        // Of fixed length, and last: without a run it is what it always was.
        let Some(run) = self.run else { return self.readable("", &hash.finalize()) };
        hash.update(run.as_bytes());
        let digits: String = run.to_string().chars().take(RUN_LENGTH).collect();
        self.readable(&format!("-{digits}"), &hash.finalize())
    }

    /// 2 to 64 characters, the same for every session of one principal, in
    /// whichever run.
    #[must_use]
    pub fn source_identity(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"valetkey/source-identity/v1");
        hash.update(self.project.as_bytes());
        hash.update(self.principal.id.as_bytes());
        self.readable("", &hash.finalize())
    }

    fn readable(&self, run: &str, hash: &[u8]) -> String {
        let room = SESSION_NAME_LENGTH_MAX - HASH_LENGTH - run.len() - "vk--".len();
        let name: String = self.principal.name.as_str().chars().take(room).collect();
        let tail: String = hex::encode(hash).chars().take(HASH_LENGTH).collect();
        format!("vk-{name}{run}-{tail}")
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{Name, PrincipalId, PrincipalKind, Timestamp};

    use super::*;

    fn attribution(name: &str, run: Option<u8>) -> Attribution {
        let project = ProjectId::from_bytes([1; 16]);
        let principal = Principal {
            id: PrincipalId::from_bytes([2; 16]),
            project,
            name: name.parse::<Name>().unwrap(),
            kind: PrincipalKind::User,
            description: String::new(),
            created_by: None,
            created_at: Timestamp::from_seconds(0),
        };
        let run = run.map(|byte| RunId::from_bytes([byte; 16]));
        Attribution { principal, project, run, issuance: IssuanceId::from_bytes([3; 16]) }
    }

    #[test]
    fn a_session_in_a_run_shows_the_run_and_its_source_identity_stays_the_principals() {
        let (plain, one, two) =
            (attribution("ada", None), attribution("ada", Some(0xab)), attribution("ada", Some(0xcd)));
        assert!(one.session_name().starts_with("vk-ada-abababab-"), "{}", one.session_name());
        assert!(two.session_name().starts_with("vk-ada-cdcdcdcd-"));
        assert!(!plain.session_name().contains("abab"));
        let tail = |attribution: &Attribution| attribution.session_name().chars().rev().take(20).collect::<String>();
        assert!(tail(&one) != tail(&two) && tail(&one) != tail(&plain));
        assert_eq!(one.source_identity(), plain.source_identity());
        assert_eq!(attribution(&"a".repeat(63), Some(1)).session_name().len(), SESSION_NAME_LENGTH_MAX);
    }
}

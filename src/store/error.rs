//! Why a store did not do it. Named by what the caller can do.

use crate::audit::JournalError;
use crate::domain::{Name, Role};

/// Why not. A foreign, a deleted and a never-existing id are all `NotFound`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such record in this project.
    #[error("no such record")]
    NotFound,
    /// The record has changed since it was read: read it again.
    #[error("the record has changed since it was read")]
    Stale,
    /// The name is taken in this project.
    #[error("the name is taken")]
    NameTaken,
    /// Other records name this one: change them first.
    #[error("other records name this one")]
    Linked {
        /// Their names, at most ten.
        by: Vec<Name>,
    },
    /// It would leave the roles of a project as they may not be.
    #[error("{0}")]
    Roles(RoleRule),
    /// A limit on the number of records is reached.
    #[error("at most {limit} of these")]
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The request id was used by another request.
    #[error("the request id was used before")]
    RequestIdUsed,
    /// A prefix of an id fits more than one.
    #[error("this prefix fits more than one id")]
    Ambiguous,
    /// The disk is full or refuses writes; reads go on.
    #[error("the store cannot be written")]
    Unwritable,
    /// Too many writes or reads wait.
    #[error("the store's queue is full")]
    Full,
    /// The store has stopped.
    #[error("the store has stopped")]
    Stopped,
    /// What is stored makes no sense: altered or from another version.
    #[error("what is stored makes no sense ({what})")]
    Corrupt {
        /// Our own words.
        what: &'static str,
    },
}

/// How the roles of a project always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoleRule {
    /// It has an owner.
    #[error("the last owner of a project cannot be removed")]
    LastOwner,
    /// Nobody holds two that go apart: this one is held already.
    #[error("its holder has the role {0}")]
    Apart(Role),
}

impl From<JournalError> for StoreError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Unwritable => Self::Unwritable,
            JournalError::Full => Self::Full,
            JournalError::Stopped => Self::Stopped,
        }
    }
}

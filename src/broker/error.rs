//! Why a use case did not do it. Named by what the caller can do; no variant
//! holds a secret, an upstream's body, or a foreign id.

use std::time::Duration;

use crate::connectors::UpstreamError;
use crate::domain::{FieldError, FieldErrors};
use crate::sealing::SealingError;
use crate::store::{RoleRule, StoreError};

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Nobody known: present a valid token.
    #[error("no valid credentials were presented")]
    Unauthenticated,
    /// Known, and not allowed: ask an owner for a grant.
    #[error("{permission} is not allowed here")]
    Denied {
        /// The reason code.
        code: &'static str,
        /// What would be needed.
        permission: &'static str,
        /// What to do about it.
        hint: String,
    },
    /// Foreign, deleted or never there.
    #[error("no such {noun}")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
    },
    /// Fields to correct.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// Read it again, then change it.
    #[error("the {noun} has changed since it was read")]
    Stale {
        /// What has changed.
        noun: &'static str,
    },
    /// Choose another name.
    #[error("a {noun} with this name exists")]
    NameTaken {
        /// What exists.
        noun: &'static str,
    },
    /// The state of things does not allow it: change that first.
    #[error("{message}")]
    Precondition {
        /// The reason code.
        code: &'static str,
        /// In our own words.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// Slow down, or stay below a limit.
    #[error("{message}")]
    Exhausted {
        /// The reason code.
        code: &'static str,
        /// In our own words.
        message: String,
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// Try again later.
    #[error("{message}")]
    Unavailable {
        /// The reason code.
        code: &'static str,
        /// In our own words.
        message: &'static str,
    },
    /// The cloud did not do it.
    #[error("{0}")]
    Upstream(UpstreamError),
    /// What is stored was altered: an operator must look.
    #[error("{message}")]
    DataLoss {
        /// In our own words.
        message: &'static str,
    },
    /// The daemon is at fault.
    #[error("internal error: {what}")]
    Internal {
        /// In our own words.
        what: &'static str,
    },
}

impl BrokerError {
    /// A store's answer about a `noun`.
    #[must_use]
    pub fn of(noun: &'static str, error: &StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound { noun },
            StoreError::Stale => Self::Stale { noun },
            StoreError::NameTaken => Self::NameTaken { noun },
            StoreError::Ambiguous => {
                FieldErrors::from(FieldError::new(noun, "this prefix fits more than one; give more of the id")).into()
            }
            StoreError::Linked { by } => {
                let names: Vec<_> = by.iter().map(ToString::to_string).collect();
                Self::Precondition {
                    code: "STILL_LINKED",
                    message: format!("this {noun} is in use by {}", names.join(", ")),
                    hint: "unlink or delete these first".to_owned(),
                }
            }
            StoreError::Roles(rule) => against(*rule),
            StoreError::TooMany { limit } => {
                Self::Exhausted { code: "TOO_MANY", message: format!("at most {limit} of {noun}"), retry_after: None }
            }
            StoreError::RequestIdUsed => request_id_reused(),
            StoreError::Unwritable => Self::Unavailable {
                code: "STORE_UNWRITABLE",
                message: "the store cannot be written; free disk space on the server",
            },
            StoreError::Full => Self::Exhausted {
                code: "OVERLOADED",
                message: "too many writes wait".to_owned(),
                retry_after: Some(Duration::from_secs(1)),
            },
            StoreError::Stopped => Self::Unavailable { code: "STOPPING", message: "the server is stopping" },
            StoreError::Corrupt { what } => Self::DataLoss { message: what },
        }
    }

    /// Whether the same call may be made again as it is: it used no source
    /// credential up, or what replaced it is stored. Clients repeat by it.
    ///
    /// Invariant: whoever used one up says something else than `Unavailable`.
    #[must_use]
    pub const fn nothing_spent(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Unauthenticated
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::Invalid(_)
            | Self::Stale { .. }
            | Self::NameTaken { .. }
            | Self::Precondition { .. }
            | Self::Exhausted { .. }
            | Self::Upstream(_)
            | Self::DataLoss { .. }
            | Self::Internal { .. } => false,
        }
    }

    /// The reason code, for replies and the ledger.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Denied { code, .. }
            | Self::Precondition { code, .. }
            | Self::Exhausted { code, .. }
            | Self::Unavailable { code, .. } => code,
            Self::NotFound { .. } => "NOT_FOUND",
            Self::Invalid(_) => "INVALID_FIELD",
            Self::Stale { .. } => "STALE",
            Self::NameTaken { .. } => "NAME_TAKEN",
            Self::Upstream(error) => error.code(),
            Self::DataLoss { .. } => "DATA_LOSS",
            Self::Internal { .. } => "INTERNAL",
        }
    }
}

fn against(rule: RoleRule) -> BrokerError {
    match rule {
        RoleRule::LastOwner => BrokerError::Precondition {
            code: "LAST_OWNER",
            message: rule.to_string(),
            hint: "give the owner role to somebody else first".to_owned(),
        },
        RoleRule::Apart(held) => {
            let problem = format!(
                "this principal is {held} already, and nobody is both owner and platform-engineer, wherever: take \
                 that binding away first, or give this role to another principal"
            );
            FieldError::new("role", problem).into()
        }
    }
}

/// The same request id with another body.
#[must_use]
pub fn request_id_reused() -> BrokerError {
    BrokerError::Precondition {
        code: "REQUEST_ID_REUSED",
        message: "this request_id was used for another request".to_owned(),
        hint: "choose a fresh UUID for each new request".to_owned(),
    }
}

impl From<FieldErrors> for BrokerError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl From<FieldError> for BrokerError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<UpstreamError> for BrokerError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl From<crate::domain::EntropyError> for BrokerError {
    fn from(_: crate::domain::EntropyError) -> Self {
        Self::Unavailable { code: "NO_ENTROPY", message: "the system's random source failed" }
    }
}

impl From<crate::audit::JournalError> for BrokerError {
    fn from(error: crate::audit::JournalError) -> Self {
        Self::of("ledger line", &StoreError::from(error))
    }
}

impl From<SealingError> for BrokerError {
    fn from(error: SealingError) -> Self {
        match error {
            SealingError::DoesNotOpen | SealingError::WrongRootKey => {
                Self::DataLoss { message: "the sealed record does not open; it was altered, moved or replaced" }
            }
            SealingError::NoKey => Self::DataLoss { message: "the project has no active key" },
            SealingError::NotPermitted => Self::Internal { what: "permit and ledger entry disagree" },
            SealingError::Entropy => {
                Self::Unavailable { code: "NO_ENTROPY", message: "the system's random source failed" }
            }
            SealingError::TooLarge => FieldError::new("secrets", "a field is at most 64 KiB").into(),
        }
    }
}

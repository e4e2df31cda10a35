//! What a cloud answered, in our own words: its bodies never travel.

use std::time::Duration;

/// Why a cloud gave nothing. Named by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The cloud does not accept the source credential: rotate it.
    #[error("the cloud does not accept the source credential ({code}); rotate it")]
    CredentialRefused {
        /// The cloud's code, at most 64 letters.
        code: String,
    },
    /// The cloud does not take a source credential that each use replaces:
    /// somebody else used it, or what replaced it was lost.
    #[error(
        "the cloud does not accept the stored source credential ({code}); each use replaces it, so it was used \
         elsewhere, revoked, or its replacement was lost on its way, when the cloud did not answer in time or the \
         server stopped in the middle of a mint: hand in a new one with connector rotate-secret"
    )]
    UsedUp {
        /// The cloud's code.
        code: String,
    },
    /// The cloud was asked with a source credential that each use replaces,
    /// and its answer was not heard: the same ask again may be taken for theft.
    #[error(
        "the cloud did not answer, and what it was asked uses the source credential up: what replaces it may be \
         lost, and asking again may end all that came of it; hand in a new one with connector rotate-secret"
    )]
    InDoubt,
    /// The source credential may not do this: grant what is missing.
    #[error("the cloud refused this ({code}); {remedy}")]
    Denied {
        /// The cloud's code.
        code: String,
        /// By the cloud's own names.
        missing: Vec<String>,
        /// What to do about it.
        remedy: String,
    },
    /// The cloud refused the ask itself: ask for something else.
    #[error("the cloud refused the ask ({code}); {remedy}")]
    Rejected {
        /// The cloud's code.
        code: String,
        /// What to do about it.
        remedy: String,
    },
    /// The narrowed policy is too large for the cloud: never minted wider.
    #[error("the narrowed policy is too large for the cloud ({percent} % of its limit); shorten prefixes or tags")]
    PolicyTooLarge {
        /// Of the limit.
        percent: u32,
    },
    /// The source credential has ended: hand in another.
    #[error("the source credential has ended; hand in another with rotate-secret")]
    Expired,
    /// The cloud asks to slow down: wait.
    #[error("the cloud asks to slow down")]
    Throttled {
        /// How long, when it said.
        retry_after: Option<Duration>,
    },
    /// The cloud cannot be reached or fails: try again.
    #[error("the cloud cannot be reached or fails ({what})")]
    Unavailable {
        /// Our own words.
        what: &'static str,
    },
    /// The cloud did not answer in time: try again.
    #[error("the cloud did not answer in time")]
    DeadlineExceeded,
    /// The answer makes no sense: nothing of it is used.
    #[error("the cloud's answer makes no sense ({what}); nothing of it was used")]
    BadAnswer {
        /// Our own words.
        what: &'static str,
    },
    /// The server's config does not allow this address.
    #[error("the server's configuration does not allow {origin}; an operator names it in [outbound] allowed_endpoints")]
    AddressRefused {
        /// `scheme://host[:port]`.
        origin: String,
    },
    /// This server's config does not allow the implicit identity.
    #[error("the server's configuration does not allow this; {remedy}")]
    NotEnabled {
        /// What to do about it.
        remedy: &'static str,
    },
    /// Stored settings or scope do not parse.
    #[error("stored settings do not parse; update the connector")]
    StoredSettings,
}

impl UpstreamError {
    /// Whether the same ask may succeed later without a change by anyone.
    #[must_use]
    pub const fn recoverable(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unavailable { .. } | Self::DeadlineExceeded => true,
            Self::CredentialRefused { .. }
            | Self::UsedUp { .. }
            | Self::InDoubt
            | Self::Denied { .. }
            | Self::Rejected { .. }
            | Self::PolicyTooLarge { .. }
            | Self::Expired
            | Self::BadAnswer { .. }
            | Self::AddressRefused { .. }
            | Self::NotEnabled { .. }
            | Self::StoredSettings => false,
        }
    }

    /// Whether what was minted before goes on to serve, though no other one was
    /// to be had: the cloud has not said no.
    #[must_use]
    pub const fn spares_what_is_kept(&self) -> bool {
        self.recoverable() || matches!(self, Self::InDoubt)
    }

    /// Whether the source credential itself is what the cloud does not take.
    #[must_use]
    pub const fn condemns_source(&self) -> bool {
        matches!(self, Self::CredentialRefused { .. } | Self::UsedUp { .. } | Self::InDoubt | Self::Expired)
    }

    /// The reason code, for replies and the ledger.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CredentialRefused { .. } => "SOURCE_CREDENTIAL_REFUSED",
            Self::UsedUp { .. } => "SOURCE_CREDENTIAL_USED_UP",
            Self::InDoubt => "SOURCE_CREDENTIAL_IN_DOUBT",
            Self::Denied { .. } => "UPSTREAM_DENIED",
            Self::Rejected { .. } => "UPSTREAM_REJECTED",
            Self::PolicyTooLarge { .. } => "POLICY_TOO_LARGE",
            Self::Expired => "SOURCE_CREDENTIAL_EXPIRED",
            Self::Throttled { .. } => "UPSTREAM_THROTTLED",
            Self::Unavailable { .. } => "UPSTREAM_UNAVAILABLE",
            Self::DeadlineExceeded => "UPSTREAM_DEADLINE_EXCEEDED",
            Self::BadAnswer { .. } => "UPSTREAM_BAD_ANSWER",
            Self::AddressRefused { .. } => "ADDRESS_REFUSED",
            Self::NotEnabled { .. } => "NOT_ENABLED",
            Self::StoredSettings => "STORED_SETTINGS",
        }
    }
}

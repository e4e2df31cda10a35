//! Why a call gave nothing, in our own words. Holds no body, path, query or
//! header: of a URL the origin alone.

use std::fmt;
use std::io;

/// Why a call gave nothing. Named by what the caller can do.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// A rule of the config does not parse: fix the config.
    #[error("[outbound] {0}")]
    Rules(&'static str),
    /// The rules do not allow this address: name it in the config, or another.
    #[error("{origin} is not allowed")]
    AddressRefused {
        /// `scheme://host[:port]`, as it would be named.
        origin: String,
    },
    /// No connection, or it broke: try again.
    #[error("the cloud cannot be reached")]
    Unreachable,
    /// No full answer in time: try again.
    #[error("the cloud did not answer in time")]
    TimedOut,
    /// The answer is longer than [`super::BODY_BYTES_MAX`].
    #[error("the cloud's answer is too long")]
    TooLong,
    /// The server shows a certificate that is not trusted: check the roots.
    #[error("the server's certificate is not trusted")]
    Untrusted,
    /// The request cannot be sent as it is; a fault of ours.
    #[error("the request cannot be sent")]
    Malformed,
}

impl OutboundError {
    /// Why no connection came about: a certificate that nobody trusts is worth
    /// telling from a server that is not there.
    pub(super) fn of_connect(error: &io::Error) -> Self {
        let Some(inner) = error.get_ref() else { return Self::Unreachable };
        if let Some(wrapped) = inner.downcast_ref::<io::Error>() {
            return Self::of_connect(wrapped);
        }
        match inner.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => Self::Untrusted,
            Some(_) | None => Self::Unreachable,
        }
    }
}

// SDKs demand Debug of what travels inside their errors.
impl fmt::Debug for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

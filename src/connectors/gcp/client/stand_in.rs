//! Words in place of secrets: what Google's client is given to ask with, and
//! what it gets for an answer. Drawn for one ask, worth nothing anywhere else.

use crate::connectors::UpstreamError;
use crate::domain::Entropy;

/// 256 bits, so that nobody guesses one.
const BYTES: usize = 32;

/// A word in place of a secret. No secret itself: it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn(String);

impl StandIn {
    /// A new one; `of` says what it stands for.
    pub fn draw(entropy: &dyn Entropy, of: &str) -> Result<Self, UpstreamError> {
        let mut bytes = [0; BYTES];
        entropy.fill(&mut bytes).map_err(|_| UpstreamError::Unavailable { what: "no randomness" })?;
        Ok(Self(format!("{of}.{}", hex::encode(bytes))))
    }

    /// The word: graphic ASCII that is itself in a URL, a form and JSON.
    pub fn word(&self) -> &str {
        &self.0
    }
}

//! Text that is secret: part of a minted credential or a token.
//!
//! No Debug, Display, Clone, Serialize or PartialEq; wiped when dropped.
//! Source credentials are not this: they are `sealing::Plaintext`.

use zeroize::Zeroizing;

/// Secret text.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text; the caller keeps no copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that hands it out.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Bytes of the text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

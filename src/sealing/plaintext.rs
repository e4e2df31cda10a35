//! Source credentials in the clear: no Debug, Display, Clone, Serialize or
//! PartialEq, wiped when dropped.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::domain::SecretFieldName;

/// The largest secret field, in bytes.
pub const PLAINTEXT_LENGTH_MAX: usize = 64 * 1024;

/// One field of a source credential.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes the bytes; the caller keeps no copy.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Each file that calls this is listed in
    /// `tests/golden/plaintext_sites.txt`.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, when they are UTF-8. Listed like `expose`.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is ASCII with neither blanks nor control characters, as
    /// keys and tokens are.
    #[must_use]
    pub fn is_one_word(&self) -> bool {
        self.0.iter().all(u8::is_ascii_graphic)
    }
}

/// A whole source credential: its fields by name.
#[derive(Default)]
pub struct SourceCredential(BTreeMap<SecretFieldName, Plaintext>);

impl SourceCredential {
    /// A credential of these fields.
    #[must_use]
    pub const fn new(fields: BTreeMap<SecretFieldName, Plaintext>) -> Self {
        Self(fields)
    }

    /// The field with this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Plaintext> {
        self.0.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
    }

    /// The fields by name.
    pub fn fields(&self) -> impl Iterator<Item = (&SecretFieldName, &Plaintext)> {
        self.0.iter()
    }

    /// The names of the fields.
    #[must_use]
    pub fn names(&self) -> Vec<SecretFieldName> {
        self.0.keys().cloned().collect()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

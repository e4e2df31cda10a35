//! Keys derived from the root key, one for each purpose, derived once.
//!
//! Owns the labels. A MAC for one purpose says nothing about another.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::derive::{TooLong, derive};
use super::locked::Locked;

/// What a key derived from the root key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Digests of tokens at rest.
    TokenPepper,
    /// MACs of page tokens.
    PageToken,
    /// Digests of peer addresses in the ledger.
    SourceDigest,
    /// Seals over the records of the store.
    Record,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::TokenPepper => b"valetkey/mac/v1/token-pepper",
            Self::PageToken => b"valetkey/mac/v1/page-token",
            Self::SourceDigest => b"valetkey/mac/v1/source-digest",
            Self::Record => b"valetkey/mac/v1/record",
        }
    }
}

/// As long as a block of SHA-256, which is HMAC's own key length.
type MacKey = Locked<64>;

/// One key for each purpose.
pub(super) struct MacKeys {
    token_pepper: MacKey,
    page_token: MacKey,
    source_digest: MacKey,
    record: MacKey,
}

impl MacKeys {
    pub(super) fn derive(root: &[u8; 32]) -> Result<Self, TooLong> {
        let key = |purpose: Purpose| MacKey::filled(|to| derive(root, None, &[purpose.label()], to));
        Ok(Self {
            token_pepper: key(Purpose::TokenPepper)?,
            page_token: key(Purpose::PageToken)?,
            source_digest: key(Purpose::SourceDigest)?,
            record: key(Purpose::Record)?,
        })
    }

    /// HMAC-SHA-256 of `message`.
    pub(super) fn mac(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(self.key(purpose).bytes().into());
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    pub(super) const fn in_memory(&self) -> bool {
        self.token_pepper.in_memory()
            && self.page_token.in_memory()
            && self.source_digest.in_memory()
            && self.record.in_memory()
    }

    const fn key(&self, purpose: Purpose) -> &MacKey {
        match purpose {
            Purpose::TokenPepper => &self.token_pepper,
            Purpose::PageToken => &self.page_token,
            Purpose::SourceDigest => &self.source_digest,
            Purpose::Record => &self.record,
        }
    }
}

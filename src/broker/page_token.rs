//! Page tokens: opaque, and bound by a MAC to principal, method and filters,
//! so that a token of one listing opens no other.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::domain::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::domain::{FieldError, PageAsk};
use crate::sealing::{Keyring, Purpose};

use super::call::Call;

/// Bytes of the MAC that are kept.
const MAC_LENGTH: usize = 16;
/// The longest token, in characters: clouds give pages that are some KiB long.
const PAGE_TOKEN_LENGTH_MAX: usize = 16 * 1024;

/// Makes and reads page tokens.
pub struct PageTokens(Arc<Keyring>);

impl PageTokens {
    pub(super) const fn new(keyring: Arc<Keyring>) -> Self {
        Self(keyring)
    }

    /// The page that a request asks for. `filters` is the digest of all other
    /// fields of the request.
    ///
    /// # Errors
    /// Names `page_size` or `page_token`.
    pub fn parse(&self, call: &Call, filters: &[u8], size: i32, token: &str) -> Result<PageAsk, FieldError> {
        let size = match u32::try_from(size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => return Err(FieldError::new("page_size", "must not be negative")),
        };
        if token.is_empty() {
            return Ok(PageAsk { size, after: None });
        }
        let after = self
            .open(call, filters, token)
            .ok_or_else(|| FieldError::new("page_token", "is not one of this listing; start again without it"))?;
        Ok(PageAsk { size, after: Some(after) })
    }

    /// The token of the next page; empty when there is none.
    #[must_use]
    pub fn next(&self, call: &Call, filters: &[u8], next: Option<&str>) -> String {
        let Some(key) = next else { return String::new() };
        let mut bytes = self.mac(call, filters, key.as_bytes()).to_vec();
        bytes.extend_from_slice(key.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(&self, call: &Call, filters: &[u8], token: &str) -> Option<String> {
        if token.len() > PAGE_TOKEN_LENGTH_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (mac, key) = bytes.split_at_checked(MAC_LENGTH)?;
        let genuine: bool = self.mac(call, filters, key).ct_eq(mac).into();
        if genuine { String::from_utf8(key.to_vec()).ok() } else { None }
    }

    fn mac(&self, call: &Call, filters: &[u8], key: &[u8]) -> [u8; MAC_LENGTH] {
        let mut message = Vec::new();
        for part in [call.record.method.as_bytes(), call.principal().id.as_bytes().as_slice(), filters, key] {
            message.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            message.extend_from_slice(part);
        }
        let whole = self.0.mac(Purpose::PageToken, &message);
        let mut mac = [0; MAC_LENGTH];
        for (to, from) in mac.iter_mut().zip(whole) {
            *to = from;
        }
        mac
    }
}

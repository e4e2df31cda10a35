//! User-delegation signatures: what is signed, and the URL that carries it.
//! Pure: the delegation key is handed in, and nothing is asked.
//!
//! The order of what is signed is that of the service's versions from
//! 2020-12-06 to before 2025-07-05; Microsoft's own Azurite checks it in a
//! story of the suite.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp as Moment;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::{SecretText, Timestamp};

/// The version of the service that the signature is made for, and that the
/// delegation key is asked from.
pub const VERSION: &str = "2022-11-02";

/// As RFC 3986 leaves unreserved.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, with the slashes of a path.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// A delegation key of an account. No Debug: it signs for its principal.
pub struct DelegationKey {
    /// The principal.
    pub object: String,
    /// Its tenant.
    pub tenant: String,
    /// From when on, as the service wrote it.
    pub start: String,
    /// Until when, as the service wrote it.
    pub expiry: String,
    /// The same, read.
    pub expires_at: Timestamp,
    /// The version that it was made for.
    pub version: String,
    /// The key.
    pub value: Zeroizing<Vec<u8>>,
}

/// What is to be signed.
pub struct Grant<'a> {
    /// The account's endpoint, with no slash at the end.
    pub endpoint: &'a str,
    /// The account.
    pub account: &'a str,
    /// The container.
    pub container: &'a str,
    /// The directory, which narrows.
    pub directory: Option<&'a str>,
    /// In the service's order.
    pub permissions: &'a str,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
    /// A GUID that the account's logs show.
    pub correlation: Option<&'a str>,
}

impl Grant<'_> {
    /// The URL of the container or directory, signed; nothing when a moment
    /// cannot be written.
    pub fn url(&self, key: &DelegationKey) -> Option<SecretText> {
        let path = match self.directory {
            Some(directory) => format!("{}/{directory}", self.container),
            None => self.container.to_owned(),
        };
        let expiry = moment(self.expires_at)?;
        let signature = self.signature(key, &path, &expiry)?;
        let depth = self.directory.map(|directory| directory.split('/').count().to_string());
        let parts = [
            ("sv", Some(VERSION)),
            ("sp", Some(self.permissions)),
            ("se", Some(&*expiry)),
            ("sr", Some(self.kind())),
            ("sdd", depth.as_deref()),
            ("spr", Some("https")),
            ("skoid", Some(&*key.object)),
            ("sktid", Some(&*key.tenant)),
            ("skt", Some(&*key.start)),
            ("ske", Some(&*key.expiry)),
            ("sks", Some("b")),
            ("skv", Some(&*key.version)),
            ("scid", self.correlation),
            ("sig", Some(&*signature)),
        ];
        let mut url = Zeroizing::new(format!("{}/{}?", self.endpoint, utf8_percent_encode(&path, PATH)));
        for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if !url.ends_with('?') {
                url.push('&');
            }
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, QUERY));
        }
        Some(SecretText::new(std::mem::take(&mut *url)))
    }

    const fn kind(&self) -> &'static str {
        if self.directory.is_some() { "d" } else { "c" }
    }

    fn signature(&self, key: &DelegationKey, path: &str, expiry: &str) -> Option<String> {
        let resource = format!("/blob/{}/{path}", self.account);
        let fields = [
            self.permissions,
            "", // start: that of the key
            expiry,
            &resource,
            &key.object,
            &key.tenant,
            &key.start,
            &key.expiry,
            "b",
            &key.version,
            "", // authorized object id
            "", // unauthorized object id
            self.correlation.unwrap_or_default(),
            "", // IP addresses
            "https",
            VERSION,
            self.kind(),
            "", // snapshot
            "", // encryption scope
            "", // five response headers
            "",
            "",
            "",
            "",
        ];
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.value).ok()?;
        mac.update(fields.join("\n").as_bytes());
        Some(STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// `2026-11-24T10:00:00Z`, in whole seconds.
pub fn moment(at: Timestamp) -> Option<String> {
    Some(format!("{:.0}", Moment::from_second(at.seconds()).ok()?))
}

/// Reads what [`moment`] writes.
pub fn read_moment(text: &str) -> Option<Timestamp> {
    text.parse::<Moment>().ok().map(|at| Timestamp::from_seconds(at.as_second()))
}

//! The URL that names the issuer: in every token as `iss`, at every cloud as
//! the one that is trusted.
//!
//! Clouds compare it byte by byte, so it has one spelling: what a parser would
//! write differently is refused, never repaired (CVE-2023-3518 is what comes
//! of two spellings of one issuer).

use std::fmt;

use url::Url;

/// The longest issuer that every cloud takes: AWS's limit.
const LENGTH_MAX: usize = 255;

/// Not the URL of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be https://host[:port][/path] in lower case, as short as it can be written: no slash at the end, no user, \
     query or fragment, no default port"
)]
pub struct IssuerUrlError;

/// `https://host[:port][/path]`, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerUrl {
    text: String,
    path: String,
}

impl IssuerUrl {
    /// The issuer named by `text`.
    ///
    /// # Errors
    /// When it is none, or not in its one spelling.
    pub fn parse(text: &str) -> Result<Self, IssuerUrlError> {
        let url = Url::parse(text).map_err(|_| IssuerUrlError)?;
        let bare = url.query().is_none() && url.fragment().is_none() && !text.contains(['@', '%', '\\', '?', '#']);
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        let path = url.path().trim_end_matches('/').to_owned();
        // A parser writes a slash after a host without a path.
        let written = if url.path() == "/" { url.as_str().trim_end_matches('/') } else { url.as_str() };
        let fits = url.scheme() == "https" && url.has_host() && bare && plain && !text.ends_with('/');
        let short = text.len() <= LENGTH_MAX && !url.path().contains("//");
        if fits && short && written == text { Ok(Self { text: text.to_owned(), path }) } else { Err(IssuerUrlError) }
    }

    /// As it is in tokens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Empty, or `/path`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_one_spelling() {
        for (good, path) in [
            ("https://id.example.com", ""),
            ("https://id.example.com:8443", ""),
            ("https://id.example.com/valetkey", "/valetkey"),
            ("https://127.0.0.1:7444/a/b", "/a/b"),
            ("https://[::1]:7444", ""),
        ] {
            let url = IssuerUrl::parse(good).unwrap();
            assert_eq!((url.as_str(), url.path()), (good, path));
        }
        for bad in [
            "",
            "id.example.com",
            "http://id.example.com",
            "https://id.example.com/",
            "https://id.example.com/a/",
            "https://id.example.com//a",
            "https://id.example.com/a//b",
            "https://id.example.com:443",
            "https://ID.example.com",
            "HTTPS://id.example.com",
            "https://id.example.com?x",
            "https://id.example.com/?",
            "https://id.example.com#x",
            "https://me@id.example.com",
            "https://id.example.com/a/../b",
            "https://id.example.com/a b",
            "https://id.example.com/%61",
            "https://id.example.com\\a",
            " https://id.example.com",
            "https://id.example.com\n",
            "https://0x7f000001",
            "https://",
        ] {
            assert_eq!(IssuerUrl::parse(bad), Err(IssuerUrlError), "{bad:?}");
        }
        let long = format!("https://id.example.com/{}", "a".repeat(240));
        assert!(IssuerUrl::parse(&long).is_err() && IssuerUrl::parse(&long[..255]).is_ok());
    }
}

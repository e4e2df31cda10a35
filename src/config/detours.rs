//! Where a library that reads the environment by itself would go in place of
//! loopback. Google's client is one (`connectors::gcp`), and obeys the proxies
//! that are set; nothing else of the server's does.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// Whether such a library calls loopback through a proxy: one is set, and
/// `NO_PROXY` does not spare 127.0.0.1. Decided by the very code that it
/// decides by, with all of its turns (`ALL_PROXY`, both cases, networks, CGI).
#[must_use]
pub fn loopback_proxied() -> bool {
    proxied(&Matcher::from_system())
}

/// Whether Google's client takes another server for the metadata server than
/// the one it is told. It does so for an empty name, too.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this room is the reader of the environment")]
pub fn metadata_host() -> bool {
    std::env::var_os("GCE_METADATA_HOST").is_some()
}

fn proxied(matcher: &Matcher) -> bool {
    matcher.intercept(&Uri::from_static("http://127.0.0.1/")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_in_the_way_unless_loopback_is_spared() {
        for (proxy, spared) in [("", ""), ("http://proxy:3128", "127.0.0.1"), ("proxy:3128", "a, 127.0.0.0/8")] {
            assert!(!proxied(&Matcher::builder().all(proxy).no(spared).build()), "{proxy} {spared}");
        }
        // An asterisk spares names alone.
        for (proxy, spared) in [("http://p:1", ""), ("p:1", "localhost"), ("socks5://p:1", "127.0.0.2"), ("p:1", "*")] {
            assert!(proxied(&Matcher::builder().all(proxy).no(spared).build()), "{proxy} {spared}");
            assert!(proxied(&Matcher::builder().http(proxy).no(spared).build()), "{proxy} {spared}");
        }
        // What is set for https alone is nobody's way to loopback.
        assert!(!proxied(&Matcher::builder().https("http://proxy:3128").build()));
    }
}

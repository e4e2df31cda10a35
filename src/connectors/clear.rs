//! Servers that are spoken to in the clear: which ones they are, and what a
//! connector that names one is warned of.
//!
//! Plain http to a place beyond the clouds' own is allowed only where the
//! server's config names exactly that endpoint; here it is told to whoever
//! looks at the connector. What stays within the machine nobody overhears.

use url::{Host, Url};

/// Whether whoever is in between can read what is said with this URL: http,
/// to a host that is not this machine. Nothing that is no URL is spoken to.
#[must_use]
pub fn in_the_clear(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !url.host().is_some_and(|host| loopback(&host)))
}

/// 127.0.0.0/8, ::1 and `localhost` (RFC 6761 section 6.3).
fn loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost") || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_beyond_the_machine_is_in_the_clear_and_its_neighbours_are_not() {
        for url in [
            "http://registry.example.com",
            "http://10.0.0.1:5000/v2/",
            "http://128.0.0.1",
            "http://126.255.255.255",
            "http://[::2]:80",
            "http://[::ffff:127.0.0.1]",
            "http://localhost.example.com",
            "http://notlocalhost:80",
            "HTTP://127.0.0.1.example.com",
        ] {
            assert!(in_the_clear(url), "{url}");
        }
        for url in [
            "https://registry.example.com",
            "http://127.0.0.1:5000",
            "http://127.255.255.255",
            "http://127.1",
            "http://[::1]:8080/token",
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://vault.localhost",
            "ftp://a",
            "a",
            "",
        ] {
            assert!(!in_the_clear(url), "{url}");
        }
    }
}

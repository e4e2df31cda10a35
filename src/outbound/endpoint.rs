//! Which endpoints may be called at all: the clouds' own API hosts over https,
//! and exactly those the server's config names. An IP address is only ever
//! allowed by the config.

use std::collections::BTreeSet;

use url::Url;

use super::clouds;
use super::error::OutboundError;

/// The longest name of DNS.
const HOST_LENGTH_MAX: usize = 253;
/// Where clouds serve.
const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;
/// Of what has no origin that could be named.
const NO_ORIGIN: &str = "what is no http address";

/// `scheme://host:port`, normalised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

/// The endpoints that may be called.
#[derive(Debug)]
pub(super) struct Endpoints {
    allowed: BTreeSet<Origin>,
    // Invariant: the hosts of `allowed`; the resolver sees hosts only.
    hosts: BTreeSet<String>,
}

impl Endpoints {
    /// Parses the config's list.
    pub(super) fn new(allowed: &[String]) -> Result<Self, OutboundError> {
        let allowed: BTreeSet<Origin> = allowed
            .iter()
            .map(|text| {
                endpoint(text).ok_or(OutboundError::Rules("allowed_endpoints: each must be scheme://host[:port]"))
            })
            .collect::<Result<_, _>>()?;
        let hosts = allowed.iter().map(|origin| origin.host.clone()).collect();
        Ok(Self { allowed, hosts })
    }

    /// Checks `scheme://host[:port]`.
    pub(super) fn check(&self, text: &str) -> Result<(), OutboundError> {
        self.check_origin(endpoint(text))
    }

    /// Checks the URL of a request.
    pub(super) fn check_request(&self, url: &str) -> Result<(), OutboundError> {
        self.check_origin(Url::parse(url).ok().as_ref().and_then(origin))
    }

    /// Whether the config names this host, so that it may be anywhere.
    pub(super) fn names_host(&self, host: &str) -> bool {
        self.hosts.contains(&host.to_ascii_lowercase())
    }

    fn check_origin(&self, origin: Option<Origin>) -> Result<(), OutboundError> {
        let origin = origin.ok_or_else(|| OutboundError::AddressRefused { origin: NO_ORIGIN.to_owned() })?;
        let cloud = origin.https && origin.port == HTTPS_PORT && clouds::host(&origin.host);
        if cloud || self.allowed.contains(&origin) { Ok(()) } else { Err(refused(&origin)) }
    }
}

/// Why this URL is not called when the name in it leads to an address that it
/// may not have.
pub(super) fn refused_url(url: &str) -> OutboundError {
    let origin = Url::parse(url).ok().as_ref().and_then(origin);
    origin.as_ref().map_or_else(|| OutboundError::AddressRefused { origin: NO_ORIGIN.to_owned() }, refused)
}

fn refused(origin: &Origin) -> OutboundError {
    let Origin { https, host, port } = origin;
    let (scheme, usual) = if *https { ("https", HTTPS_PORT) } else { ("http", HTTP_PORT) };
    let port = if *port == usual { String::new() } else { format!(":{port}") };
    OutboundError::AddressRefused { origin: format!("{scheme}://{host}{port}") }
}

fn endpoint(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains(['@', '\\']);
    if bare { origin(&url) } else { None }
}

fn origin(url: &Url) -> Option<Origin> {
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let host = url.host_str()?.to_ascii_lowercase();
    // One name has one spelling: a trailing dot would be a second.
    let fits = !host.is_empty() && host.len() <= HOST_LENGTH_MAX && !host.ends_with('.');
    if fits { Some(Origin { https, host, port: url.port_or_known_default()? }) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> Endpoints {
        Endpoints::new(&["http://127.0.0.1:8333".to_owned(), "https://s3.internal.example".to_owned()]).unwrap()
    }

    #[test]
    fn api_hosts_of_the_cloud_are_allowed_over_https_only() {
        for text in [
            "https://sts.us-east-1.amazonaws.com",
            "https://sts.amazonaws.com",
            "https://s3.eu-west-3.amazonaws.com/",
            "https://api.ecr.us-gov-west-1.amazonaws.com",
            "https://eks.cn-north-1.amazonaws.com.cn",
            "https://sts.us-east-1.amazonaws.com:443",
        ] {
            assert_eq!(endpoints().check(text), Ok(()), "{text}");
        }
        for text in [
            "http://sts.us-east-1.amazonaws.com",
            "https://sts.us-east-1.amazonaws.com:8443",
            "https://evil.execute-api.us-east-1.amazonaws.com",
            "https://evil.s3.us-east-1.amazonaws.com",
            "https://evil.sts.us-east-1.amazonaws.com",
            "https://ec2-1-2-3-4.compute-1.amazonaws.com",
            "https://sts.us-east-1.amazonaws.com.evil.example",
            "https://sts.us-east-1.evilamazonaws.com",
            "https://amazonaws.com",
        ] {
            assert!(matches!(endpoints().check(text), Err(OutboundError::AddressRefused { .. })), "{text}");
        }
    }

    #[test]
    fn other_endpoints_must_be_named_exactly() {
        for text in ["http://127.0.0.1:8333", "http://127.0.0.1:8333/", "https://S3.internal.example:443"] {
            assert_eq!(endpoints().check(text), Ok(()), "{text}");
        }
        for text in [
            "https://127.0.0.1:8333",
            "http://127.0.0.1:8334",
            "http://127.0.0.1",
            "http://localhost:8333",
            "http://127.1:8334",
            "http://s3.internal.example",
            "https://s3.internal.example.",
            "https://user@s3.internal.example",
            "https://s3.internal.example/path",
            "https://s3.internal.example?x",
            "http://169.254.169.254",
            "http://[::1]:8333",
            "file:///etc/passwd",
            "gopher://127.0.0.1:8333",
            "s3.internal.example",
            "",
        ] {
            assert!(matches!(endpoints().check(text), Err(OutboundError::AddressRefused { .. })), "{text}");
        }
    }

    #[test]
    fn what_is_refused_is_named_as_the_config_would_name_it_and_without_the_rest() {
        for (text, named) in [
            ("https://SSO.example.com:443/realms/ml?token=canary", "https://sso.example.com"),
            ("http://10.0.0.7:8080/x", "http://10.0.0.7:8080"),
            ("http://h:80", "http://h"),
            ("https://h:80", "https://h:80"),
            ("https://[::1]:8333", "https://[::1]:8333"),
            ("https://canary@h", NO_ORIGIN),
            ("file:///canary", NO_ORIGIN),
            ("canary", NO_ORIGIN),
        ] {
            let refused = endpoints().check_request(text).unwrap_err();
            assert_eq!(refused, OutboundError::AddressRefused { origin: named.to_owned() }, "{text}");
            assert_eq!(refused_url(text), refused);
            if named != NO_ORIGIN {
                assert!(Endpoints::new(&[named.to_owned()]).unwrap().check_request(text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn a_rule_that_is_no_endpoint_is_refused_at_start() {
        for text in ["127.0.0.1:80", "http://h/path", "http://u:p@h", "ftp://h"] {
            assert!(matches!(Endpoints::new(&[text.to_owned()]), Err(OutboundError::Rules(_))), "{text}");
        }
    }
}

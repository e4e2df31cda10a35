//! Names to addresses, checked on every connect: a public name that resolves
//! to an inner address does not connect (DNS rebinding).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

use super::address::public;
use super::endpoint::Endpoints;
use super::error::OutboundError;

/// Any port; only addresses are looked at.
const NO_PORT: u16 = 0;

/// The system's resolver behind the address rules.
#[derive(Debug, Clone)]
pub(super) struct CheckedResolver {
    endpoints: Arc<Endpoints>,
}

impl CheckedResolver {
    pub(super) const fn new(endpoints: Arc<Endpoints>) -> Self {
        Self { endpoints }
    }

    /// The addresses that `name` may have now.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, OutboundError> {
        let found = look_up(name).await.map_err(|_| OutboundError::Unreachable)?;
        self.allowed(name, found)
    }

    /// The addresses of `found` that `name` may have.
    fn allowed(&self, name: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, OutboundError> {
        let kept: Vec<IpAddr> = if self.endpoints.names_host(name) {
            found
        } else {
            found.into_iter().filter(|address| public(*address)).collect()
        };
        if kept.is_empty() { Err(OutboundError::AddressRefused { origin: name.to_owned() }) } else { Ok(kept) }
    }
}

impl ResolveDns for CheckedResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { self.addresses(name).await.map_err(ResolveDnsError::new) })
    }
}

async fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, NO_PORT)).await?.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver() -> CheckedResolver {
        let allowed = ["http://private.example:80".to_owned()];
        CheckedResolver::new(Arc::new(Endpoints::new(&allowed).unwrap()))
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_public_name_loses_its_inner_addresses() {
        let found = addresses(&["52.94.1.1", "127.0.0.1", "169.254.169.254", "fd00:ec2::254"]);
        let kept = resolver().allowed("sts.us-east-1.amazonaws.com", found);
        assert_eq!(kept, Ok(addresses(&["52.94.1.1"])));
        let rebound = resolver().allowed("sts.us-east-1.amazonaws.com", addresses(&["10.0.0.1"]));
        assert!(matches!(rebound, Err(OutboundError::AddressRefused { .. })));
    }

    #[test]
    fn a_name_of_the_config_may_be_anywhere() {
        assert_eq!(resolver().allowed("private.example", addresses(&["10.0.0.1"])), Ok(addresses(&["10.0.0.1"])));
        let refused = Err(OutboundError::AddressRefused { origin: "other.example".to_owned() });
        assert_eq!(resolver().allowed("other.example", addresses(&["10.0.0.1"])), refused);
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_does_not_connect() {
        let refused = Err(OutboundError::AddressRefused { origin: "localhost".to_owned() });
        assert_eq!(resolver().addresses("localhost").await, refused);
        let error = resolver().resolve_dns("localhost").await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.downcast_ref().cloned(), refused.err(), "told as it is to the client");
    }
}

//! Where things are in Azure: the three clouds, the endpoints that a
//! connector's calls go to, and the audiences of tokens. Pure; nothing is
//! looked up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connectors::clear;

/// A cloud of Azure: tenants and endpoints of one share nothing with those of
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Cloud {
    /// The public cloud.
    #[default]
    #[serde(rename = "public")]
    Public,
    /// China, run by 21Vianet.
    #[serde(rename = "china")]
    China,
    /// The US government's.
    #[serde(rename = "usgov")]
    UsGov,
}

impl Cloud {
    /// Entra's.
    const fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::China => "https://login.chinacloudapi.cn",
            Self::UsGov => "https://login.microsoftonline.us",
        }
    }

    /// The resource manager's, which is also the audience of its tokens.
    pub const fn management(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com",
            Self::China => "https://management.chinacloudapi.cn",
            Self::UsGov => "https://management.usgovcloudapi.net",
        }
    }

    /// What follows `ACCOUNT.blob.` and `ACCOUNT.dfs.`.
    pub const fn storage_domain(self) -> &'static str {
        match self {
            Self::Public => "core.windows.net",
            Self::China => "core.chinacloudapi.cn",
            Self::UsGov => "core.usgovcloudapi.net",
        }
    }

    /// What follows the name of a registry.
    pub const fn registry_domain(self) -> &'static str {
        match self {
            Self::Public => "azurecr.io",
            Self::China => "azurecr.cn",
            Self::UsGov => "azurecr.us",
        }
    }

    /// The audience of a token of ours that Entra exchanges.
    pub const fn federation_audience(self) -> &'static str {
        match self {
            Self::Public => "api://AzureADTokenExchange",
            Self::China => "api://AzureADTokenExchangeChina",
            Self::UsGov => "api://AzureADTokenExchangeUSGov",
        }
    }
}

/// Of tokens for blobs, in every cloud.
pub const STORAGE: &str = "https://storage.azure.com";
/// Of tokens for registries, in every cloud.
pub const REGISTRY: &str = "https://containerregistry.azure.net";
/// The server application of every AKS cluster with Entra sign-in.
pub const KUBERNETES: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";
/// The application id behind [`STORAGE`], as some tokens name it.
const STORAGE_APPLICATION: &str = "e406a681-f3d4-42a8-90b6-c2b029497af1";
/// Where a machine of Azure asks for its own identity.
const MACHINE: &str = "http://169.254.169.254";

/// What every auth method says about where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Which cloud.
    pub cloud: Cloud,
    /// Entra, when it is not the cloud's own.
    pub authority_url: Option<&'a str>,
    /// The resource manager, when it is not the cloud's own.
    pub management_url: Option<&'a str>,
    /// Blobs, when they are not the cloud's own; accounts are then in the path.
    pub blob_url: Option<&'a str>,
    /// Every registry, when it is not the cloud's own.
    pub registry_url: Option<&'a str>,
    /// The machine's identity endpoint, when it is not Azure's.
    pub identity_url: Option<&'a str>,
}

impl Place<'_> {
    /// Entra, with no slash at the end.
    pub fn authority(&self) -> String {
        bare(self.authority_url.unwrap_or(self.cloud.authority()))
    }

    /// The resource manager, with no slash at the end.
    pub fn management(&self) -> String {
        bare(self.management_url.unwrap_or(self.cloud.management()))
    }

    /// The blobs of an account, with no slash at the end.
    pub fn blobs(&self, account: &str) -> String {
        match self.blob_url {
            Some(url) => format!("{}/{account}", bare(url)),
            None => format!("https://{account}.blob.{}", self.cloud.storage_domain()),
        }
    }

    /// A registry, by its login server.
    pub fn registry(&self, host: &str) -> String {
        self.registry_url.map_or_else(|| format!("https://{host}"), bare)
    }

    /// The machine's identity endpoint, with no slash at the end.
    pub fn machine(&self) -> String {
        bare(self.identity_url.unwrap_or(MACHINE))
    }

    /// Whether whoever is in between can read along. Azure's own identity
    /// endpoint knows http alone, and ends at the machine.
    pub fn in_the_clear(&self) -> bool {
        self.identity_url.is_some_and(|url| bare(url) != MACHINE && clear::in_the_clear(url))
    }

    /// Whether `audience` is what a token for `wanted` says, in any of the
    /// spellings that Entra uses.
    pub fn audience_is(&self, audience: &str, wanted: &str) -> bool {
        let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
        let wanted = plain(wanted);
        let audience = plain(audience);
        let classic = matches!(self.cloud, Cloud::Public) && audience == "https://management.core.windows.net";
        audience == wanted
            || (wanted == STORAGE && audience == STORAGE_APPLICATION)
            || (wanted == self.cloud.management() && classic)
    }

    /// All of it, so that two places have two encodings: each part has its
    /// length before it.
    pub fn encode(&self, tenant: &str) -> Vec<u8> {
        let cloud = match self.cloud {
            Cloud::Public => "public",
            Cloud::China => "china",
            Cloud::UsGov => "usgov",
        };
        let urls = [self.authority_url, self.management_url, self.blob_url, self.registry_url, self.identity_url]
            .map(Option::unwrap_or_default);
        let mut bytes = Vec::new();
        for part in [cloud, tenant].into_iter().chain(urls) {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

fn bare(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place {
        cloud: Cloud::Public,
        authority_url: None,
        management_url: None,
        blob_url: None,
        registry_url: None,
        identity_url: None,
    };

    #[test]
    fn each_cloud_has_hosts_of_its_own() {
        // As Microsoft's pages on national clouds and Azure's own lists of
        // clouds (`az cloud list`) have them, letter for letter.
        for (cloud, authority, management, blobs, registry, audience) in [
            (
                Cloud::Public,
                "https://login.microsoftonline.com",
                "https://management.azure.com",
                "https://acct.blob.core.windows.net",
                "azurecr.io",
                "api://AzureADTokenExchange",
            ),
            (
                Cloud::China,
                "https://login.chinacloudapi.cn",
                "https://management.chinacloudapi.cn",
                "https://acct.blob.core.chinacloudapi.cn",
                "azurecr.cn",
                "api://AzureADTokenExchangeChina",
            ),
            (
                Cloud::UsGov,
                "https://login.microsoftonline.us",
                "https://management.usgovcloudapi.net",
                "https://acct.blob.core.usgovcloudapi.net",
                "azurecr.us",
                "api://AzureADTokenExchangeUSGov",
            ),
        ] {
            let place = Place { cloud, ..PLACE };
            assert_eq!((place.authority(), place.management()), (authority.to_owned(), management.to_owned()));
            assert_eq!(place.blobs("acct"), blobs);
            assert_eq!(
                place.registry(&format!("team.{}", cloud.registry_domain())),
                format!("https://team.{registry}")
            );
            assert_eq!(cloud.federation_audience(), audience);
        }
        assert_eq!(Place { blob_url: Some("https://127.0.0.1:1/"), ..PLACE }.blobs("acct"), "https://127.0.0.1:1/acct");
    }

    #[test]
    fn the_machines_own_endpoint_is_no_danger_and_another_over_http_is() {
        let danger = |url| Place { identity_url: Some(url), ..PLACE }.in_the_clear();
        assert!(danger("http://identity.example.com") && danger("http://169.254.169.25"));
        for url in [MACHINE, "http://169.254.169.254/", "http://127.0.0.1:8080", "https://identity.example.com"] {
            assert!(!danger(url), "{url}");
        }
        assert!(!PLACE.in_the_clear());
    }

    #[test]
    fn an_audience_has_spellings_and_neighbours() {
        for (said, wanted) in [
            ("https://storage.azure.com/", STORAGE),
            ("e406a681-f3d4-42a8-90b6-c2b029497af1", STORAGE),
            ("https://management.core.windows.net/", "https://management.azure.com"),
        ] {
            assert!(PLACE.audience_is(said, wanted), "{said}");
        }
        for (said, wanted) in [
            ("https://storage.azure.com.evil.example", STORAGE),
            ("https://management.azure.com", STORAGE),
            ("https://management.core.windows.net", "https://management.chinacloudapi.cn"),
            ("", STORAGE),
        ] {
            assert!(!PLACE.audience_is(said, wanted), "{said}");
        }
    }

    #[test]
    fn two_places_have_two_encodings() {
        let one = Place { authority_url: Some("https://a"), ..PLACE }.encode("t");
        let two = Place { management_url: Some("https://a"), ..PLACE }.encode("t");
        let three = Place { authority_url: Some("https://a"), ..PLACE }.encode("u");
        assert!(one != two && one != three && PLACE.encode("t") != one);
    }
}

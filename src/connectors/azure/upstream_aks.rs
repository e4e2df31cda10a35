//! AKS: where a cluster answers, and its CA.
//!
//! Both are taken out of the kubeconfig of the cluster's *user*, and nothing
//! else of it: on clusters without Entra sign-in it holds a certificate that
//! is cluster admin's. The admin's own kubeconfig is never asked for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::connectors::answer::{SecretWire, json};
use crate::connectors::{Doing, UpstreamError};

use super::upstream_arm::Manager;

/// The version of the API.
pub const VERSION: &str = "2024-05-01";
/// The longest CA bundle.
const CA_LENGTH_MAX: usize = 64 * 1024;

const DESCRIBING: Doing = Doing {
    permissions: &["Microsoft.ContainerService/managedClusters/read"],
    remedy: "assign Azure Kubernetes Service Cluster User Role and Reader on the cluster",
};
const ADDRESSING: Doing = Doing {
    permissions: &["Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"],
    remedy: "assign Azure Kubernetes Service Cluster User Role on the cluster",
};

/// Where a cluster answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// `https://...`.
    pub endpoint: String,
    /// PEM.
    pub certificate_authority: String,
}

/// The path of a cluster.
pub fn path(subscription: &str, group: &str, cluster: &str) -> String {
    let provider = "providers/Microsoft.ContainerService/managedClusters";
    format!("/subscriptions/{subscription}/resourceGroups/{group}/{provider}/{cluster}")
}

#[derive(Deserialize)]
struct Described {
    properties: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    fqdn: Option<String>,
    #[serde(rename = "privateFQDN")]
    private_fqdn: Option<String>,
    aad_profile: Option<serde_json::Value>,
}

/// Whether the cluster is there and takes Entra's tokens.
pub async fn look(manager: &Manager<'_>, path: &str) -> Result<Vec<String>, UpstreamError> {
    let Described { properties } = manager.get(path, VERSION, DESCRIBING).await?;
    if properties.aad_profile.is_none_or(|profile| profile.is_null()) {
        let remedy = "the cluster has no Entra sign-in: enable it (az aks update --enable-aad)";
        return Err(UpstreamError::Rejected { code: "NO_ENTRA_SIGN_IN".to_owned(), remedy: remedy.to_owned() });
    }
    let hosts: Vec<_> = [properties.fqdn, properties.private_fqdn].into_iter().flatten().collect();
    Ok(hosts.into_iter().map(|host| host.to_ascii_lowercase()).filter(|host| !host.is_empty()).collect())
}

#[derive(Deserialize)]
struct Credentials {
    kubeconfigs: Vec<Kubeconfig>,
}

#[derive(Deserialize)]
struct Kubeconfig {
    /// May hold a key.
    value: SecretWire,
}

/// All that is taken out of a kubeconfig.
#[derive(Deserialize)]
struct Config {
    clusters: Vec<NamedCluster>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Server,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Server {
    server: String,
    certificate_authority_data: String,
}

/// Where the cluster answers.
pub async fn address(manager: &Manager<'_>, path: &str) -> Result<Address, UpstreamError> {
    let hosts = look(manager, path).await?;
    let answer = manager.post(&format!("{path}/listClusterUserCredential"), VERSION, ADDRESSING).await?;
    let all: Credentials = json(&answer)?;
    let [only] = all.kubeconfigs.as_slice() else {
        return Err(NO_ADDRESS);
    };
    read(only.value.0.reveal(), &hosts).ok_or(NO_ADDRESS)
}

const NO_ADDRESS: UpstreamError = UpstreamError::BadAnswer { what: "not a cluster's address" };

/// The address in a kubeconfig as it comes, of a cluster at one of these hosts.
pub fn read(encoded: &str, hosts: &[String]) -> Option<Address> {
    let text = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let config: Config = serde_yaml_ng::from_slice(&text).ok()?;
    let [NamedCluster { cluster }] = config.clusters.as_slice() else {
        return None;
    };
    let url = Url::parse(&cluster.server).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    // The manager names the host twice: one that it names once is another's.
    let own = hosts.iter().any(|host| url.host_str() == Some(host));
    let ca = String::from_utf8(STANDARD.decode(&cluster.certificate_authority_data).ok()?).ok()?;
    let read: Vec<_> = CertificateDer::pem_slice_iter(ca.as_bytes()).collect::<Result<_, _>>().ok()?;
    let certificates_only = !read.is_empty() && ca.len() <= CA_LENGTH_MAX && !ca.contains("PRIVATE KEY");
    (url.scheme() == "https" && bare && own && certificates_only)
        .then(|| Address { endpoint: cluster.server.trim_end_matches('/').to_owned(), certificate_authority: ca })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(server: &str, ca: &str) -> String {
        let text = format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: {server}\n  name: a\nusers:\n- name: u\n  user:\n    client-key-data: c2VjcmV0\n",
            STANDARD.encode(ca)
        );
        STANDARD.encode(text)
    }

    #[test]
    fn only_the_clusters_own_address_is_taken() {
        let hosts = ["train-dns.hcp.westeurope.azmk8s.io".to_owned()];
        let ca = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.pem();
        let good = read(&kubeconfig("https://train-dns.hcp.westeurope.azmk8s.io:443", &ca), &hosts).unwrap();
        assert_eq!(good.endpoint, "https://train-dns.hcp.westeurope.azmk8s.io:443");
        assert_eq!(good.certificate_authority, ca);
        for (server, ca) in [
            ("https://evil.example:443", ca.as_str()),
            ("http://train-dns.hcp.westeurope.azmk8s.io", &ca),
            ("https://train-dns.hcp.westeurope.azmk8s.io/path", &ca),
            ("https://train-dns.hcp.westeurope.azmk8s.io@evil.example", &ca),
            ("https://train-dns.hcp.westeurope.azmk8s.io", "no certificate"),
            ("https://train-dns.hcp.westeurope.azmk8s.io", ""),
        ] {
            assert_eq!(read(&kubeconfig(server, ca), &hosts), None, "{server}");
        }
        for junk in ["", "!!", "e30=", "YTogJnggWyp4LCAqeF0="] {
            assert_eq!(read(junk, &hosts), None);
        }
    }
}

//! GKE: where a cluster is and whom to trust there, and which there are. The
//! access token itself is what clusters take.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::connectors::answer::json;
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::outbound::Response;

use super::errors;
use super::place::{Place, Service};

/// The longest host and CA bundle that are handed on.
const TEXT_LENGTH_MAX: usize = 64 * 1024;
/// What is read of a cluster, and of each in a list: whole clusters with all
/// their node pools are beyond what is taken of an answer.
const ADDRESS: &str =
    "endpoint,masterAuth(clusterCaCertificate),controlPlaneEndpointsConfig(dnsEndpointConfig(endpoint))";
const LISTED: &str = "clusters(name,location)";

const DESCRIBING: Doing = Doing {
    permissions: &["container.clusters.get"],
    remedy: "grant container.clusters.get on the project to the identity, by roles/container.clusterViewer",
};
const LISTING: Doing = Doing {
    permissions: &["container.clusters.list"],
    remedy: "grant container.clusters.list on the project to the identity, by roles/container.clusterViewer",
};

/// Where a cluster is, and whom to trust there.
#[derive(Debug)]
pub struct Address {
    /// `https://...`
    pub endpoint: String,
    /// PEM; none at the endpoint by DNS, whose certificate is a public one.
    pub certificate_authority: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    #[serde(default)]
    endpoint: String,
    master_auth: Option<MasterAuth>,
    control_plane_endpoints_config: Option<Endpoints>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MasterAuth {
    #[serde(default)]
    cluster_ca_certificate: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoints {
    dns_endpoint_config: Option<DnsEndpoint>,
}

#[derive(Deserialize)]
struct DnsEndpoint {
    #[serde(default)]
    endpoint: String,
}

/// Looks a cluster up by location and name.
pub async fn address(
    upstream: &Upstream,
    place: &Place<'_>,
    token: &str,
    (location, cluster): (&str, &str),
) -> Result<Address, UpstreamError> {
    let path = format!("/v1/projects/{}/locations/{location}/clusters/{cluster}?fields={ADDRESS}", place.project);
    let call = errors::get(place.url(Service::Container, &path), token);
    located(&errors::send(upstream, call, DESCRIBING).await?)
}

/// The address in an answer about a cluster.
pub fn located(answer: &Response) -> Result<Address, UpstreamError> {
    let found: Cluster = json(answer)?;
    if host(&found.endpoint) {
        let data = found.master_auth.map(|auth| auth.cluster_ca_certificate).unwrap_or_default();
        // Its CA is of its own: with none, nobody could tell it from another.
        let certificate_authority = Some(pem(&data).ok_or(NO_CLUSTER)?);
        return Ok(Address { endpoint: format!("https://{}", found.endpoint), certificate_authority });
    }
    let by_name = found.control_plane_endpoints_config.and_then(|all| all.dns_endpoint_config);
    let by_name = by_name.map(|dns| dns.endpoint).filter(|name| host(name) && name.ends_with(".gke.goog"));
    let endpoint = by_name.ok_or(NO_CLUSTER)?;
    Ok(Address { endpoint: format!("https://{endpoint}"), certificate_authority: None })
}

/// A name or an address, with a port perhaps; nothing that ends a host.
fn host(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    (1..=253).contains(&text.len()) && text.bytes().all(letter)
}

fn pem(data: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
    (text.len() <= TEXT_LENGTH_MAX && text.starts_with("-----BEGIN CERTIFICATE-----")).then_some(text)
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    clusters: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    location: String,
}

/// Every cluster, as `LOCATION/CLUSTER`; GKE has no pages.
pub async fn clusters(upstream: &Upstream, place: &Place<'_>, token: &str) -> Result<Vec<String>, UpstreamError> {
    let path = format!("/v1/projects/{}/locations/-/clusters?fields={LISTED}", place.project);
    let call = errors::get(place.url(Service::Container, &path), token);
    let found: Clusters = errors::ask(upstream, call, LISTING).await?;
    Ok(found.clusters.into_iter().map(|one| format!("{}/{}", one.location, one.name)).collect())
}

const NO_CLUSTER: UpstreamError = UpstreamError::BadAnswer { what: "no cluster with an endpoint and its CA" };

//! EKS: the bearer token, which is a signed GetCallerIdentity that the cluster
//! sends to STS itself, and where the clusters are.

use std::time::Duration;

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::{SecretText, Timestamp};

use super::errors::Doing;
use super::place::{Place, Service};
use super::upstream_signed::{Plain, QUERY, presigned, send};

/// Clusters honour a token for 15 minutes after its date, whatever this says.
const SIGNATURE_LIFE: Duration = Duration::from_secs(60);
/// One minute less than clusters honour.
pub const TOKEN_LIFE: Duration = Duration::from_secs(14 * 60);
/// A token dies with its session: end this much before it.
pub const SESSION_SLACK: Duration = Duration::from_secs(60);
/// What EKS takes for one page.
const PAGE_MAX: usize = 100;
/// The longest CA bundle and endpoint that are handed on.
const TEXT_LENGTH_MAX: usize = 64 * 1024;

const DESCRIBING: Doing = Doing {
    permissions: &["eks:DescribeCluster"],
    remedy: "allow eks:DescribeCluster on the cluster to the role or user",
};
const LISTING: Doing =
    Doing { permissions: &["eks:ListClusters"], remedy: "allow eks:ListClusters on * to the role or user" };

/// The bearer token for a cluster. Pure: signing needs no call.
pub fn token(
    place: &Place<'_>,
    credentials: &Credentials,
    cluster: &str,
    now: Timestamp,
) -> Result<SecretText, UpstreamError> {
    // Always AWS's own host: the cluster refuses every other.
    let host = place.public_endpoint(Service::Sts);
    let plain = Plain {
        method: "GET",
        url: format!("{host}/?Action=GetCallerIdentity&Version=2011-06-15"),
        headers: vec![("x-k8s-aws-id", cluster.to_owned())],
        body: String::new(),
    };
    let url = presigned(place, Service::Sts, credentials, &plain, SIGNATURE_LIFE, now)?;
    Ok(SecretText::new(format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url))))
}

/// Where a cluster is, and whom to trust there.
#[derive(Debug)]
pub struct Address {
    /// `https://...`
    pub endpoint: String,
    /// PEM, when EKS named one that is PEM.
    pub certificate_authority: Option<String>,
}

#[derive(Deserialize)]
struct Described {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    endpoint: String,
    certificate_authority: CertificateAuthority,
}

#[derive(Deserialize)]
struct CertificateAuthority {
    data: String,
}

/// DescribeCluster.
pub async fn address(
    upstream: &Upstream,
    place: &Place<'_>,
    credentials: &Credentials,
    cluster: &str,
) -> Result<Address, UpstreamError> {
    let plain = get(format!("{}/clusters/{cluster}", place.endpoint(Service::Eks)));
    let answer = send(upstream, place, Service::Eks, credentials, &plain, DESCRIBING).await?;
    located(answer.body())
}

/// The address in an answer about a cluster.
pub fn located(body: &[u8]) -> Result<Address, UpstreamError> {
    let Described { cluster } = serde_json::from_slice(body).map_err(|_| NO_CLUSTER)?;
    let fits = cluster.endpoint.starts_with("https://")
        && cluster.endpoint.len() <= TEXT_LENGTH_MAX
        && cluster.endpoint.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        return Err(NO_CLUSTER);
    }
    let certificate_authority = pem(&cluster.certificate_authority.data);
    Ok(Address { endpoint: cluster.endpoint, certificate_authority })
}

/// Without a CA that it can read, a client refuses the cluster: that fails on
/// the safe side, so a CA that is no PEM is left out.
fn pem(data: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
    (text.len() <= TEXT_LENGTH_MAX && text.starts_with("-----BEGIN CERTIFICATE-----")).then_some(text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Clusters {
    clusters: Vec<String>,
    next_token: Option<String>,
}

/// One page of cluster names, and where the next begins.
pub async fn clusters(
    upstream: &Upstream,
    place: &Place<'_>,
    credentials: &Credentials,
    limit: usize,
    page: Option<&str>,
) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    let mut url = format!("{}/clusters?maxResults={}", place.endpoint(Service::Eks), limit.clamp(1, PAGE_MAX));
    if let Some(page) = page {
        url.push_str("&nextToken=");
        url.extend(utf8_percent_encode(page, QUERY));
    }
    let answer = send(upstream, place, Service::Eks, credentials, &get(url), LISTING).await?;
    let parsed: Clusters = serde_json::from_slice(answer.body()).map_err(|_| NO_LIST)?;
    Ok((parsed.clusters, parsed.next_token))
}

fn get(url: String) -> Plain {
    Plain { method: "GET", url, headers: Vec::new(), body: String::new() }
}

const NO_CLUSTER: UpstreamError = UpstreamError::BadAnswer { what: "not a cluster" };
const NO_LIST: UpstreamError = UpstreamError::BadAnswer { what: "not a list of clusters" };

#[cfg(test)]
mod tests {
    use super::super::place::Partition;
    use super::*;

    /// Own code, botocore and aws-cli agree on this signature (DELIVERY 4.2).
    #[test]
    fn the_token_is_that_of_aws_cli_byte_for_byte() {
        let place =
            Place { region: "us-east-1", partition: Partition::Aws, endpoint_url: None, sts_endpoint_url: None };
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIDEXAMPLE", secret, Some("TOKEN".to_owned()), None, "test");
        // 2026-01-01T00:00:00Z
        let now = Timestamp::from_seconds(1_767_225_600);
        let token = token(&place, &credentials, "demo", now).ok().unwrap();
        let url = URL_SAFE_NO_PAD.decode(token.reveal().strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
        let expected = "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
            &X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260101T000000Z\
            &X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id\
            &X-Amz-Security-Token=TOKEN\
            &X-Amz-Signature=eae1fc317fddb16cb1f4da45d2f70b0f4610ab3c96a1572a2a1df989d442b0e1";
        let parts = |text: &str| {
            let mut parts: Vec<String> = text.split(['?', '&']).map(str::to_owned).collect();
            parts.sort();
            parts
        };
        assert_eq!(parts(std::str::from_utf8(&url).unwrap()), parts(expected));
    }

    #[test]
    fn a_ca_is_handed_on_only_as_pem() {
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(pem(&STANDARD.encode(text)).as_deref(), Some(text));
        assert_eq!(pem(&STANDARD.encode("text")), None);
        assert_eq!(pem("no base64!"), None);
    }
}

//! Which connector types there are. A new one is a folder and a line here.

use super::aws;
use super::azure;
use super::docker;
use super::erased::AnyConnectorType;
use super::gcp;
use super::kubernetes;
use super::oauth2;
use super::ssh;

/// Every connector type.
pub static CATALOG: &[&dyn AnyConnectorType] =
    &[&aws::Aws, &azure::Azure, &docker::Docker, &gcp::Gcp, &kubernetes::Kubernetes, &oauth2::OAuth2, &ssh::Ssh];

/// Whether a connector of some type gives credentials for this resource type.
#[must_use]
pub fn gives(resource_type: &str) -> bool {
    let all = CATALOG.iter().copied();
    #[cfg(test)]
    let all = all.chain(find("paper"));
    all.flat_map(|kind| &kind.description().resources).any(|resource| resource.name == resource_type)
}

/// The connector type with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn AnyConnectorType> {
    // Tests of other rooms need a type without a cloud; it is in no list.
    #[cfg(test)]
    if name == "paper" {
        return Some(&super::paper::Paper);
    }
    CATALOG.iter().copied().find(|t| t.description().name == name)
}

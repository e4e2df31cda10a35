//! Public OCI registries and their token services.

/// Docker Hub and GitHub's.
const HOSTS: &[&str] = &["registry-1.docker.io", "auth.docker.io", "index.docker.io", "ghcr.io"];

/// Whether this host is a public registry.
pub(super) fn host(host: &str) -> bool {
    HOSTS.contains(&host)
}

//! Google Cloud.

/// Each names one API of Google; not `*.googleapis.com`, where buckets have
/// hosts of their own.
const HOSTS: &[&str] = &[
    "oauth2.googleapis.com",
    "sts.googleapis.com",
    "iamcredentials.googleapis.com",
    "iam.googleapis.com",
    "storage.googleapis.com",
    "container.googleapis.com",
    "artifactregistry.googleapis.com",
    "cloudresourcemanager.googleapis.com",
];

/// Whether this host is one of Google's APIs.
pub(super) fn host(host: &str) -> bool {
    HOSTS.contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apis_are_named_and_buckets_are_not() {
        assert!(host("oauth2.googleapis.com") && host("iamcredentials.googleapis.com"));
        for other in ["evil.storage.googleapis.com", "googleapis.com", "oauth2.googleapis.com.evil.example", "gke.goog"]
        {
            assert!(!host(other), "{other}");
        }
    }
}

//! Microsoft Azure: the public, the US government's and China's.

use super::label;

/// Entra and the resource manager of each cloud.
const HOSTS: &[&str] = &[
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "management.azure.com",
    "management.usgovcloudapi.net",
    "management.chinacloudapi.cn",
];
/// Storage accounts and registries: a customer chooses the first label, and
/// Microsoft answers.
const SERVED_DOMAINS: &[&str] = &[
    ".blob.core.windows.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
    ".azurecr.io",
    ".azurecr.us",
    ".azurecr.cn",
];

/// Whether this host is one of Azure's.
pub(super) fn host(host: &str) -> bool {
    HOSTS.contains(&host) || SERVED_DOMAINS.iter().any(|domain| host.strip_suffix(domain).is_some_and(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_one_label_and_other_services_are_left_out() {
        assert!(host("acct.blob.core.windows.net") && host("team.azurecr.io") && host("management.azure.com"));
        for other in [
            "a.b.blob.core.windows.net",
            ".blob.core.windows.net",
            "evil.azurewebsites.net",
            "acct.blob.core.windows.net.evil.example",
            "evil-.azurecr.io",
        ] {
            assert!(!host(other), "{other}");
        }
    }
}

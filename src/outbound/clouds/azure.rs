//! Microsoft Azure: the public, the US government's and China's.

use super::label;

/// Entra and the resource manager of each cloud. China's Entra has two names.
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
    fn each_cloud_is_let_out_to_its_own_hosts_and_to_no_mixture_of_two() {
        for own in [
            "login.microsoftonline.com",
            "management.azure.com",
            "acct.blob.core.windows.net",
            "team.azurecr.io",
            "login.chinacloudapi.cn",
            "login.partner.microsoftonline.cn",
            "management.chinacloudapi.cn",
            "acct.blob.core.chinacloudapi.cn",
            "team.azurecr.cn",
            "login.microsoftonline.us",
            "management.usgovcloudapi.net",
            "acct.blob.core.usgovcloudapi.net",
            "team.azurecr.us",
        ] {
            assert!(host(own), "{own}");
            for other in [
                format!("evil-{own}"),
                format!("{own}.evil.example"),
                own.replace("login.", "login.evil."),
                own.replace("management.", "management-"),
                own.replace(".blob.", ".blob-"),
                own.replace(".azurecr.", ".azurecr-"),
            ] {
                let served = SERVED_DOMAINS.iter().any(|domain| own.ends_with(domain));
                // A first label of the customer's own is no neighbour.
                assert!(other == own || (served && other == format!("evil-{own}")) || !host(&other), "{other}");
            }
        }
        for mixed in [
            "login.microsoftonline.cn",
            "login.chinacloudapi.us",
            "login.usgovcloudapi.net",
            "management.azure.cn",
            "management.azure.us",
            "acct.blob.core.windows.cn",
            "acct.blob.core.azurecr.cn",
            "acct.blob.chinacloudapi.cn",
            "team.azurecr.net",
            "team.azurecr.com",
        ] {
            assert!(!host(mixed), "{mixed}");
        }
    }

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

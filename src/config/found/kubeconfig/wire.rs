//! A kubeconfig (`v1.Config` of client-go), as far as it is looked at. No
//! Debug: users have secrets in them.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The whole file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Kubeconfig {
    #[serde(default)]
    pub(super) clusters: Vec<NamedCluster>,
    #[serde(default)]
    pub(super) users: Vec<NamedUser>,
    #[serde(default)]
    pub(super) contexts: Vec<NamedContext>,
    pub(super) current_context: Option<String>,
}

/// Something in a list, by name.
pub(super) trait Named {
    /// Its name.
    fn name(&self) -> &str;
}

macro_rules! named {
    ($type:ident, $field:ident: $inner:ident) => {
        #[derive(Deserialize)]
        pub(super) struct $type {
            pub(super) name: String,
            pub(super) $field: $inner,
        }

        impl Named for $type {
            fn name(&self) -> &str {
                &self.name
            }
        }
    };
}

named!(NamedCluster, cluster: Cluster);
named!(NamedUser, user: User);
named!(NamedContext, context: Context);

/// Where a cluster is.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    #[serde(default)]
    pub(super) server: String,
    pub(super) tls_server_name: Option<String>,
    #[serde(default)]
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) certificate_authority: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) proxy_url: Option<String>,
}

/// Who somebody is there.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) client_certificate: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) client_key_data: Option<String>,
    pub(super) token: Option<String>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<String>,
    #[serde(rename = "as")]
    pub(super) impersonate: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) auth_provider: Option<IgnoredAny>,
    pub(super) exec: Option<IgnoredAny>,
}

/// Who where.
#[derive(Deserialize)]
pub(super) struct Context {
    pub(super) cluster: String,
    #[serde(default)]
    pub(super) user: String,
}

/// What is set: client-go takes an empty text for none.
pub(super) fn set(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

//! What a platform engineer sets on an Azure connector: one struct for each
//! auth method, none of it secret. The JSON schema that clients prompt from is
//! derived from here, doc comments included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::place::{Cloud, Place};

/// The settings of all auth methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "auth_method", rename_all = "kebab-case")]
pub enum Settings {
    /// An application: by secret, by certificate, or by valetkey's own issuer.
    ServicePrincipal(ServicePrincipal),
    /// An access token that somebody else got and handed in.
    AccessToken(AccessToken),
    /// The managed identity of the daemon's own machine.
    Implicit(Implicit),
}

/// A struct with the fields that every method has, and its own.
macro_rules! method {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$attr])* pub $field: $type,)*
            /// The subscription to work in. Needed for clusters, and to list
            /// accounts, clusters and registries.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Subscription", example = &"0b1f6471-1bf0-4dda-aec3-cb9272f09590")]
            pub subscription_id: Option<String>,
            /// The subscription's display name, so that it is taken for the id.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Subscription name", length(min = 1, max = 64), example = &"ml-production")]
            pub subscription_name: Option<String>,
            /// The resource group of clusters that are named without one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Resource group", length(min = 1, max = 90), example = &"ml")]
            pub resource_group: Option<String>,
            /// The only storage account to work in.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Storage account", length(min = 3, max = 24), example = &"mldata")]
            pub storage_account: Option<String>,
            /// The storage accounts have a hierarchical namespace, so that a
            /// directory can be enforced. Without it only whole containers are
            /// minted for.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            #[schemars(title = "Hierarchical namespace", example = true)]
            pub hierarchical_namespace: bool,
            /// What azure-generic may be asked tokens for; anything when this
            /// is empty.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            #[schemars(title = "Audiences", length(max = 20), example = ["https://vault.azure.net"])]
            pub audiences: Vec<String>,
            /// The cloud: public, china or usgov.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Cloud", example = &"public")]
            pub cloud: Option<Cloud>,
            /// Entra's endpoint, when it is not the cloud's own. This and the
            /// other endpoints must be named in [outbound] allowed_endpoints
            /// of the server's config.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Authority", example = &"https://login.example.com")]
            pub authority_url: Option<String>,
            /// The resource manager's endpoint, when it is not the cloud's own.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Management endpoint", example = &"https://management.example.com")]
            pub management_url: Option<String>,
            /// The blob endpoint, when it is not the cloud's own. Accounts are
            /// then the first part of the path.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Blob endpoint", example = &"https://blobs.example.com")]
            pub blob_url: Option<String>,
            /// The registry's endpoint, when it is not the cloud's own.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Registry endpoint", example = &"https://registry.example.com")]
            pub registry_url: Option<String>,
        }

        impl $name {
            fn common(&self) -> Common<'_> {
                let place = Place {
                    cloud: self.cloud.unwrap_or_default(),
                    authority_url: self.authority_url.as_deref(),
                    management_url: self.management_url.as_deref(),
                    blob_url: self.blob_url.as_deref(),
                    registry_url: self.registry_url.as_deref(),
                    identity_url: None,
                };
                Common {
                    place,
                    subscription_id: self.subscription_id.as_deref(),
                    subscription_name: self.subscription_name.as_deref(),
                    resource_group: self.resource_group.as_deref(),
                    storage_account: self.storage_account.as_deref(),
                    hierarchical_namespace: self.hierarchical_namespace,
                    audiences: &self.audiences,
                }
            }
        }
    };
}

method!(
    /// An application: by secret, by certificate, or by valetkey's own issuer.
    ServicePrincipal {
        /// The tenant, by its id or one of its domains.
        #[schemars(title = "Tenant", example = &"72f988bf-86f1-41af-91ab-2d7cd011db47")]
        tenant_id: String,
        /// The application's client id.
        #[schemars(title = "Client id", example = &"00001111-aaaa-2222-bbbb-3333cccc4444")]
        client_id: String,
        /// The application trusts valetkey's own issuer by a federated
        /// credential, and nothing is stored.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        #[schemars(title = "Federated", example = true)]
        federated: bool,
    }
);

method!(
    /// An access token that somebody else got and handed in.
    AccessToken {
        /// The tenant, by its id or one of its domains; otherwise what the
        /// token says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Tenant", example = &"72f988bf-86f1-41af-91ab-2d7cd011db47")]
        tenant_id: Option<String>,
    }
);

method!(
    /// The managed identity of the daemon's own machine.
    Implicit {
        /// The tenant, by its id or one of its domains; otherwise what the
        /// token says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Tenant", example = &"72f988bf-86f1-41af-91ab-2d7cd011db47")]
        tenant_id: Option<String>,
        /// The client id of a user-assigned identity; otherwise the machine's
        /// own. The server's config must name azure:CLIENT_ID, or
        /// azure:system, in [outbound] implicit_identities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Client id", example = &"00001111-aaaa-2222-bbbb-3333cccc4444")]
        client_id: Option<String>,
        /// The machine's identity endpoint, when it is not
        /// http://169.254.169.254. Either must be named in [outbound]
        /// allowed_endpoints.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Identity endpoint", example = &"http://169.254.169.254")]
        identity_url: Option<String>,
    }
);

/// What every method says.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// Where calls go.
    pub place: Place<'a>,
    /// A GUID.
    pub subscription_id: Option<&'a str>,
    /// Its name.
    pub subscription_name: Option<&'a str>,
    /// Of clusters named without one.
    pub resource_group: Option<&'a str>,
    /// The only one.
    pub storage_account: Option<&'a str>,
    /// Directories can be enforced.
    pub hierarchical_namespace: bool,
    /// What azure-generic may be asked tokens for.
    pub audiences: &'a [String],
}

/// How tokens are got under some settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// From Entra, as this application.
    Application {
        /// In this tenant.
        tenant: &'a str,
        /// With this id.
        client_id: &'a str,
        /// By valetkey's own issuer.
        federated: bool,
    },
    /// The handed-in token itself.
    HandedIn,
    /// From the machine.
    Machine {
        /// Of a user-assigned identity.
        client_id: Option<&'a str>,
    },
}

impl Settings {
    /// What every method says.
    pub fn common(&self) -> Common<'_> {
        match self {
            Self::ServicePrincipal(own) => own.common(),
            Self::AccessToken(own) => own.common(),
            Self::Implicit(own) => {
                let common = own.common();
                Common { place: Place { identity_url: own.identity_url.as_deref(), ..common.place }, ..common }
            }
        }
    }

    /// Where calls go.
    pub fn place(&self) -> Place<'_> {
        self.common().place
    }

    /// How tokens are got.
    pub fn way(&self) -> Way<'_> {
        match self {
            Self::ServicePrincipal(own) => {
                Way::Application { tenant: &own.tenant_id, client_id: &own.client_id, federated: own.federated }
            }
            Self::AccessToken(_) => Way::HandedIn,
            Self::Implicit(own) => Way::Machine { client_id: own.client_id.as_deref() },
        }
    }

    /// The tenant, when the settings say it.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::ServicePrincipal(own) => Some(&own.tenant_id),
            Self::AccessToken(own) => own.tenant_id.as_deref(),
            Self::Implicit(own) => own.tenant_id.as_deref(),
        }
    }

    /// The name of the auth method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::ServicePrincipal(_) => "service-principal",
            Self::AccessToken(_) => "access-token",
            Self::Implicit(_) => "implicit",
        }
    }
}

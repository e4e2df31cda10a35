//! What a platform engineer sets on a GCP connector: one struct for each auth
//! method, none of it secret. The JSON schema that clients prompt from is
//! derived from here, doc comments included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connectors::clear;

use super::place::Place;

/// The settings of all auth methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "auth_method", rename_all = "kebab-case")]
pub enum Settings {
    /// A service account's key; access tokens are minted from it.
    ServiceAccount(ServiceAccount),
    /// A service account's key that impersonates another service account.
    Impersonation(Impersonation),
    /// A person's refresh token.
    UserAccount(UserAccount),
    /// A workload identity federation: a token of this server's own issuer, or
    /// of another one, exchanged at Google.
    ExternalAccount(ExternalAccount),
    /// An access token that somebody else minted and handed in.
    #[serde(rename = "oauth2-token")]
    HandedIn(HandedIn),
    /// The service account of the daemon's own machine.
    Implicit(Implicit),
}

/// A struct with the fields that every method has, and its own.
macro_rules! method {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The id of the project to work in, not its number or name.
            #[schemars(title = "Project", length(min = 6, max = 30), example = &"ml-prod-123456")]
            pub project_id: String,
            /// The region or zone of clusters that are named without one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Location of clusters", length(min = 1, max = 40), example = &"europe-west4")]
            pub location: Option<String>,
            /// Endpoint for every service, for a cloud that is not Google's own.
            /// The server's config must name it in [outbound] allowed_endpoints.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Endpoint", example = &"https://google.example.com")]
            pub endpoint_url: Option<String>,
            $($(#[$attr])* pub $field: $type,)*
        }

        impl $name {
            fn place(&self) -> Place<'_> {
                Place {
                    project: &self.project_id,
                    location: self.location.as_deref(),
                    endpoint_url: self.endpoint_url.as_deref(),
                }
            }
        }
    };
}

method!(
    /// A service account's key.
    ServiceAccount {}
);

method!(
    /// A service account's key and the service account it impersonates.
    Impersonation {
        /// The service account to impersonate, by its e-mail.
        #[schemars(title = "Target", length(min = 6, max = 254), example = &"ml-data@ml-prod-123456.iam.gserviceaccount.com")]
        target_principal: String,
        /// Service accounts in between, in order: each may impersonate the
        /// next, and the last one the target.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(title = "Delegates", length(max = 4), example = ["hub@ml-prod-123456.iam.gserviceaccount.com"])]
        delegates: Vec<String>,
        /// The longest token, in seconds. More than an hour needs the
        /// organisation policy iam.allowServiceAccountCredentialLifetimeExtension.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Lifetime", range(min = 300, max = 43200), example = 3600)]
        lifetime: Option<u32>,
    }
);

method!(
    /// A person's refresh token.
    UserAccount {}
);

method!(
    /// A workload identity federation.
    ExternalAccount {
        /// The provider at Google that trusts this server's own issuer. Set it
        /// when there is no external_account_json; then nothing is stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Provider", length(max = 400), example = &"//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/valetkey/providers/valetkey")]
        audience: Option<String>,
        /// The audience of this server's identity tokens, when the provider
        /// allows another than the default, which is https: and its own name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Audience of the token", length(max = 400), example = &"https://valetkey.example.com")]
        token_audience: Option<String>,
        /// The service account to impersonate with the federated token, by its
        /// e-mail; otherwise the federated principal's own rights are used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Target", length(min = 6, max = 254), example = &"ml-data@ml-prod-123456.iam.gserviceaccount.com")]
        target_principal: Option<String>,
        /// The longest token of the target, in seconds. More than an hour needs
        /// the organisation policy
        /// iam.allowServiceAccountCredentialLifetimeExtension.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Lifetime", range(min = 300, max = 43200), example = 3600)]
        lifetime: Option<u32>,
    }
);

method!(
    /// An access token that somebody else minted and handed in.
    HandedIn {}
);

method!(
    /// The service account of the daemon's own machine.
    Implicit {
        /// The machine's service account, by its e-mail; otherwise the default
        /// one. [outbound] implicit_identities of the server's config must name
        /// it, as gcp:E-MAIL or gcp:default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Service account", length(min = 6, max = 254), example = &"daemon@ml-prod-123456.iam.gserviceaccount.com")]
        service_account: Option<String>,
        /// The metadata server; http://metadata.google.internal when not given.
        /// [outbound] allowed_endpoints of the server's config must name it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(title = "Metadata server", example = &"http://metadata.google.internal")]
        metadata_url: Option<String>,
    }
);

/// Google's own metadata server.
const METADATA_URL: &str = "http://metadata.google.internal";
/// The longest token that Google mints without an organisation's exception.
pub const HOUR: u32 = 3600;

/// How access tokens are made under some settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// A signed assertion for an access token (RFC 7523).
    Key,
    /// The same, then generateAccessToken.
    Impersonation(Target<'a>),
    /// A refresh token for an access token.
    User,
    /// A token exchange (RFC 8693), then generateAccessToken if there is a
    /// target.
    External(Option<Target<'a>>),
    /// The handed-in token itself.
    HandedIn,
    /// From the metadata server.
    Implicit,
}

/// A service account to impersonate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its e-mail.
    pub email: &'a str,
    /// The service accounts in between.
    pub delegates: &'a [String],
    /// Its longest token, in seconds.
    pub lifetime_max: u32,
}

impl Settings {
    /// Where calls go.
    pub fn place(&self) -> Place<'_> {
        match self {
            Self::ServiceAccount(own) => own.place(),
            Self::Impersonation(own) => own.place(),
            Self::UserAccount(own) => own.place(),
            Self::ExternalAccount(own) => own.place(),
            Self::HandedIn(own) => own.place(),
            Self::Implicit(own) => own.place(),
        }
    }

    /// The name of the auth method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::ServiceAccount(_) => "service-account",
            Self::Impersonation(_) => "impersonation",
            Self::UserAccount(_) => "user-account",
            Self::ExternalAccount(_) => "external-account",
            Self::HandedIn(_) => "oauth2-token",
            Self::Implicit(_) => "implicit",
        }
    }

    /// How tokens are made.
    pub fn way(&self) -> Way<'_> {
        match self {
            Self::ServiceAccount(_) => Way::Key,
            Self::Impersonation(own) => Way::Impersonation(Target {
                email: &own.target_principal,
                delegates: &own.delegates,
                lifetime_max: own.lifetime.unwrap_or(HOUR),
            }),
            Self::UserAccount(_) => Way::User,
            Self::ExternalAccount(own) => Way::External(own.target()),
            Self::HandedIn(_) => Way::HandedIn,
            Self::Implicit(_) => Way::Implicit,
        }
    }

    /// Whether whoever is in between can read along. Google's own metadata
    /// server knows http alone, and ends at the machine.
    pub fn in_the_clear(&self) -> bool {
        let metadata = self.metadata_url().filter(|url| *url != METADATA_URL);
        [self.place().endpoint_url, metadata].into_iter().flatten().any(clear::in_the_clear)
    }

    /// The metadata server, where there is one to ask.
    pub fn metadata_url(&self) -> Option<&str> {
        match self {
            Self::Implicit(own) => Some(own.metadata_url().trim_end_matches('/')),
            Self::ServiceAccount(_)
            | Self::Impersonation(_)
            | Self::UserAccount(_)
            | Self::ExternalAccount(_)
            | Self::HandedIn(_) => None,
        }
    }
}

impl Way<'_> {
    /// Whether Google takes OAuth scopes for the token and enforces them. A
    /// user's refresh token has the scopes it was granted with, by name; a
    /// machine those it was started with.
    pub const fn takes_scopes(self) -> bool {
        match self {
            Self::Key | Self::Impersonation(_) | Self::External(_) => true,
            Self::User | Self::HandedIn | Self::Implicit => false,
        }
    }
}

impl ExternalAccount {
    fn target(&self) -> Option<Target<'_>> {
        let email = self.target_principal.as_deref()?;
        Some(Target { email, delegates: &[], lifetime_max: self.lifetime.unwrap_or(HOUR) })
    }
}

impl Implicit {
    /// The metadata server.
    pub fn metadata_url(&self) -> &str {
        self.metadata_url.as_deref().unwrap_or(METADATA_URL)
    }

    /// As in paths of the metadata server and, after `gcp:`, in the config.
    pub fn account(&self) -> &str {
        self.service_account.as_deref().unwrap_or("default")
    }
}

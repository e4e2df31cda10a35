//! What a platform engineer sets on an OAuth 2.0 connector: one struct for
//! each auth method, none of it secret. The JSON schema that clients prompt
//! from is derived from here, doc comments included.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::AccessLevel;

/// The settings of all auth methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "auth_method", rename_all = "kebab-case")]
pub enum Settings {
    /// A client that asks for tokens of its own.
    ClientCredentials(ClientCredentials),
    /// A client with a refresh token of somebody.
    RefreshToken(RefreshToken),
    /// An access token that was handed in.
    Token(Token),
}

/// How a client proves who it is (RFC 6749 section 2.3, RFC 7523).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// HTTP Basic with the client's id and secret.
    Basic,
    /// The client's id and secret in the form.
    Post,
    /// A short-lived token signed by the client's key.
    PrivateKeyJwt,
    /// The client's id alone: a public client, only with a refresh token.
    None,
}

macro_rules! client {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The base URL of the API that the tokens are for.
            #[schemars(title = "API URL", length(max = 512), example = &"https://api.example.com/v1")]
            pub api_url: String,
            /// The provider's token endpoint. The server's config must name
            /// its host in [outbound] allowed_endpoints.
            #[schemars(title = "Token URL", length(max = 512), example = &"https://login.example.com/oauth2/token")]
            pub token_url: String,
            /// The client's id at the provider.
            #[schemars(title = "Client id", length(min = 1, max = 512), example = &"ml-platform")]
            pub client_id: String,
            /// Scopes to ask for, with blanks between them; for every access
            /// level that has none of its own.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Scope", length(max = 2048), example = &"models.read models.write")]
            pub scope: Option<String>,
            /// Scopes for the access level read.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Scope for read", length(max = 2048), example = &"models.read")]
            pub read_scope: Option<String>,
            /// Scopes for the access level write.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Scope for write", length(max = 2048), example = &"models.read models.write")]
            pub write_scope: Option<String>,
            /// Scopes for the access level admin.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Scope for admin", length(max = 2048), example = &"models.admin")]
            pub admin_scope: Option<String>,
            /// The audience to ask for, where the provider takes one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Audience", length(max = 512), example = &"https://api.example.com")]
            pub audience: Option<String>,
            /// How the client proves who it is; basic when it is not given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Client authentication", example = ClientAuth::Basic)]
            pub client_auth_method: Option<ClientAuth>,
            /// The key's id, in the header of the token that the client signs.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Key id", length(min = 1, max = 256), example = &"2026-11")]
            pub key_id: Option<String>,
            /// The audience of the token that the client signs; the token URL
            /// when it is not given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Assertion audience", length(max = 512), example = &"https://login.example.com")]
            pub assertion_audience: Option<String>,
            /// Further parameters of the request, for example resource.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            #[schemars(title = "Token parameters", example = example_params())]
            pub token_params: BTreeMap<String, String>,
            /// Further headers of the request; none that authenticates.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            #[schemars(title = "Token headers", example = example_headers())]
            pub token_headers: BTreeMap<String, String>,
            /// The lifetime of a token in seconds where the provider does not
            /// say it. Without it such an answer is refused.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(title = "Assumed lifetime", range(min = 60, max = 86400), example = 600)]
            pub assumed_lifetime: Option<u32>,
        }

        impl $name {
            fn client(&self) -> Client<'_> {
                Client {
                    token_url: &self.token_url,
                    client_id: &self.client_id,
                    scope: self.scope.as_deref(),
                    own_scopes: [&self.read_scope, &self.write_scope, &self.admin_scope].map(Option::as_deref),
                    audience: self.audience.as_deref(),
                    auth: self.client_auth_method.unwrap_or(ClientAuth::Basic),
                    key_id: self.key_id.as_deref(),
                    assertion_audience: self.assertion_audience.as_deref(),
                    params: &self.token_params,
                    headers: &self.token_headers,
                    assumed_lifetime: self.assumed_lifetime,
                }
            }
        }
    };
}

client!(
    /// A client that asks for tokens of its own.
    ClientCredentials
);

client!(
    /// A client with a refresh token of somebody.
    RefreshToken
);

/// An access token that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The base URL of the API that the token is for.
    #[schemars(title = "API URL", length(max = 512), example = &"https://api.example.com/v1")]
    pub api_url: String,
    /// The access level that the token has; admin when it is not given. Asks
    /// for a lower one are refused unless the connector allows passthrough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Access level", with = "Option<Level>", example = Level::Write)]
    pub access: Option<AccessLevel>,
}

/// The access levels, for the schema.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "the schema names them all")]
enum Level {
    Read,
    Write,
    Admin,
}

fn example_params() -> BTreeMap<String, String> {
    BTreeMap::from([("resource".to_owned(), "https://api.example.com".to_owned())])
}

fn example_headers() -> BTreeMap<String, String> {
    BTreeMap::from([("x-tenant".to_owned(), "ml".to_owned())])
}

/// What both client methods have.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The token endpoint.
    pub token_url: &'a str,
    /// The client's id.
    pub client_id: &'a str,
    /// For every level without one of its own.
    pub scope: Option<&'a str>,
    /// For read, write and admin.
    pub own_scopes: [Option<&'a str>; 3],
    /// What to ask for.
    pub audience: Option<&'a str>,
    /// How it proves who it is.
    pub auth: ClientAuth,
    /// Of its key.
    pub key_id: Option<&'a str>,
    /// Of the token that it signs.
    pub assertion_audience: Option<&'a str>,
    /// Further parameters.
    pub params: &'a BTreeMap<String, String>,
    /// Further headers.
    pub headers: &'a BTreeMap<String, String>,
    /// Where the provider says none.
    pub assumed_lifetime: Option<u32>,
}

impl<'a> Client<'a> {
    /// The scopes of an access level as they were set: of its own, or those
    /// of every level. Nothing when this level is not served.
    pub fn level(&self, access: AccessLevel) -> Option<Option<&'a str>> {
        let [read, write, admin] = self.own_scopes;
        let own = match access {
            AccessLevel::Read => read,
            AccessLevel::Write => write,
            AccessLevel::Admin => admin,
        };
        match own.or(self.scope) {
            Some(scope) => Some(Some(scope)),
            None if self.own_scopes.iter().any(Option::is_some) => None,
            None => Some(None),
        }
    }
}

impl Settings {
    /// What both client methods have; nothing for a handed-in token.
    pub fn client(&self) -> Option<Client<'_>> {
        match self {
            Self::ClientCredentials(own) => Some(own.client()),
            Self::RefreshToken(own) => Some(own.client()),
            Self::Token(_) => None,
        }
    }

    /// The API, as it was set.
    pub fn api_url(&self) -> &str {
        match self {
            Self::ClientCredentials(own) => &own.api_url,
            Self::RefreshToken(own) => &own.api_url,
            Self::Token(own) => &own.api_url,
        }
    }

    /// The name of the method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::ClientCredentials(_) => "client-credentials",
            Self::RefreshToken(_) => "refresh-token",
            Self::Token(_) => "token",
        }
    }

    /// Where the secret is sent, injectively: each part with its length.
    pub fn destination(&self) -> Vec<u8> {
        let parts = match self.client() {
            Some(client) => [self.method(), client.token_url, client.assertion_audience.unwrap_or_default()],
            None => [self.method(), self.api_url(), ""],
        };
        let mut encoded = Vec::new();
        for part in parts {
            encoded.extend_from_slice(&(part.len() as u64).to_be_bytes());
            encoded.extend_from_slice(part.as_bytes());
        }
        encoded
    }
}

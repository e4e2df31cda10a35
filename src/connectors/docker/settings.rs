//! What a platform engineer sets on a registry's connector, none of it
//! secret. The JSON schema that clients prompt from is derived from here, doc
//! comments included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connectors::clear::in_the_clear;

use super::place::Place;

/// The settings of all auth methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "auth_method", rename_all = "kebab-case")]
pub enum Settings {
    /// A login: a name with a password, an access token or an identity token.
    Password(Password),
}

/// What the registry takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// Tokens of its token service, each for one repository.
    Token,
    /// The password itself, for everything: needs allow_passthrough.
    Basic,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// The registry, HOST[:PORT]; docker.io for Docker Hub. A registry that
    /// is not public must be named in the server's [outbound]
    /// allowed_endpoints; with http:// before it, it is spoken to in the clear.
    #[schemars(title = "Registry", length(max = 300), example = &"registry.example.com")]
    pub registry: String,
    /// The token service that gets the password. Without it: the registry's
    /// own host, or the well-known service of Docker Hub. The registry cannot
    /// name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Token URL", length(max = 512), example = &"https://auth.example.com/token")]
    pub token_url: Option<String>,
    /// The service to ask the token service for, when the registry must not
    /// choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Service", length(min = 1, max = 256), example = &"registry.example.com")]
    pub service: Option<String>,
    /// What the registry takes; token when it is not given. A registry that
    /// takes passwords alone is served with allow_passthrough only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(title = "Login", example = Login::Token)]
    pub login: Option<Login>,
}

impl Settings {
    /// The login's own.
    pub const fn own(&self) -> &Password {
        match self {
            Self::Password(own) => own,
        }
    }

    /// What the registry takes.
    pub fn login(&self) -> Login {
        self.own().login.unwrap_or(Login::Token)
    }

    /// The registry.
    pub fn place(&self) -> Option<Place> {
        Place::parse(&self.own().registry)
    }

    /// Whether the password, or what it gives, is spoken in the clear.
    pub fn in_the_clear(&self) -> bool {
        let registry = self.place().map(|place| place.base());
        registry.as_deref().into_iter().chain(self.own().token_url.as_deref()).any(in_the_clear)
    }

    /// Where the password is sent, injectively: each part with its length.
    pub fn destination(&self) -> Vec<u8> {
        let own = self.own();
        let place = self.place().map(|place| place.base()).unwrap_or_default();
        let mut encoded = Vec::new();
        for part in [place.as_str(), own.token_url.as_deref().unwrap_or_default()] {
            encoded.extend_from_slice(&(part.len() as u64).to_be_bytes());
            encoded.extend_from_slice(part.as_bytes());
        }
        encoded
    }
}

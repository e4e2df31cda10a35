//! The two documents that the world may read, and what is answered to every
//! other request.
//!
//! Decides by method and path alone: nothing that a stranger sends is looked
//! at further, nothing is repeated, and no answer says what serves it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::IssuerUrl;

/// Below the issuer's path (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Below the issuer's path.
const KEYS_PATH: &str = "/.well-known/jwks.json";
/// What is in each token beside the registered claims.
pub const OWN_CLAIMS: [&str; 7] =
    ["project", "connector", "principal", "principal_kind", "run", "run_name", "issuance"];
/// The registered claims of each token.
const CLAIMS: [&str; 7] = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"];

/// An answer to a stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long it may be kept; none: not at all.
    pub max_age: Option<Duration>,
    /// The methods that are allowed, when another one was tried.
    pub allow: Option<&'static str>,
    /// JSON, or nothing.
    pub body: Arc<[u8]>,
}

/// The documents as they are now.
#[derive(Debug, Clone)]
pub struct Documents {
    path: String,
    max_age: Duration,
    discovery: Arc<[u8]>,
    keys: Arc<[u8]>,
}

impl Documents {
    /// The documents of an issuer with these public keys.
    pub fn new(url: &IssuerUrl, max_age: Duration, keys: &[Value]) -> Self {
        let text = |value: Value| Arc::from(value.to_string().into_bytes());
        Self {
            path: url.path().to_owned(),
            max_age,
            discovery: text(discovery(url)),
            keys: text(json!({ "keys": keys })),
        }
    }

    /// The answer to a request of this method, path and query.
    pub fn answer(&self, method: &str, path: &str, query: Option<&str>) -> Answer {
        let below = path.strip_prefix(self.path.as_str()).filter(|_| query.is_none());
        let body = match below {
            Some(DISCOVERY_PATH) => &self.discovery,
            Some(KEYS_PATH) => &self.keys,
            Some(_) | None => return Answer { status: 404, max_age: None, allow: None, body: Arc::from([]) },
        };
        match method {
            "GET" | "HEAD" => Answer { status: 200, max_age: Some(self.max_age), allow: None, body: Arc::clone(body) },
            _ => Answer { status: 405, max_age: None, allow: Some("GET, HEAD"), body: Arc::from([]) },
        }
    }
}

/// What AWS, Google and Entra read of it, and what the standard requires of an
/// issuer that signs nobody in by a browser.
fn discovery(url: &IssuerUrl) -> Value {
    let claims: Vec<&str> = CLAIMS.into_iter().chain(OWN_CLAIMS).collect();
    json!({
        "issuer": url.as_str(),
        "jwks_uri": format!("{url}{KEYS_PATH}"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
        "claims_supported": claims,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(url: &str) -> Documents {
        let keys = [json!({"kid": "k1", "kty": "RSA"})];
        Documents::new(&IssuerUrl::parse(url).unwrap(), Duration::from_secs(3600), &keys)
    }

    fn body(answer: &Answer) -> Value {
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn the_two_documents_name_each_other_and_the_keys() {
        for (url, path) in [("https://id.example.com", ""), ("https://id.example.com/vk", "/vk")] {
            let documents = documents(url);
            let found = documents.answer("GET", &format!("{path}/.well-known/openid-configuration"), None);
            assert_eq!((found.status, found.max_age), (200, Some(Duration::from_secs(3600))));
            let found = body(&found);
            assert_eq!(found["issuer"], url);
            let keys = found["jwks_uri"].as_str().unwrap().strip_prefix("https://id.example.com").unwrap();
            assert_eq!(body(&documents.answer("HEAD", keys, None))["keys"][0]["kid"], "k1");
        }
    }

    #[test]
    fn every_other_path_and_method_is_refused_and_nothing_is_said() {
        let documents = documents("https://id.example.com/vk");
        let discovery = "/vk/.well-known/openid-configuration";
        for (method, path, query, status) in [
            ("POST", discovery, None, 405),
            ("get", discovery, None, 405),
            ("OPTIONS", discovery, None, 405),
            ("GET", discovery, Some("x=1"), 404),
            ("GET", discovery, Some(""), 404),
            ("GET", "/.well-known/openid-configuration", None, 404),
            ("GET", "/vk", None, 404),
            ("GET", "/", None, 404),
            ("GET", "", None, 404),
            ("GET", "/vk/.well-known/jwks.json/", None, 404),
            ("GET", "/vk/.well-known/../.well-known/jwks.json", None, 404),
            ("GET", "/vk/.well-known/JWKS.json", None, 404),
            ("POST", "/other", None, 404),
        ] {
            let answer = documents.answer(method, path, query);
            assert_eq!((answer.status, answer.body.len(), answer.max_age), (status, 0, None), "{method} {path}");
            assert_eq!(answer.allow.is_some(), status == 405);
        }
    }
}

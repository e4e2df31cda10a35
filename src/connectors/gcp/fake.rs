//! A Google on loopback, for unit tests: it checks the signature of
//! assertions, answers as documented, and records what it was asked. What is
//! strict about scopes, chains and boundaries is the suite's own fake.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::request::Parts;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::connectors::loopback::{Answer, Gate, Loopback, answer};
use crate::domain::jws::SigningKey;

/// The key of the tests' service account, made for nothing else.
pub const ACCOUNT_PEM: &str = include_str!("tests/account.pem");
/// The key that the fake makes for it.
pub const NEXT_PEM: &str = include_str!("tests/next.pem");
/// Their ids.
pub const KEY_IDS: [&str; 2] = ["00000000000000000000000000000000000000aa", "00000000000000000000000000000000000000bb"];
/// Of the service account.
pub const EMAIL: &str = "broker@ml-prod-123456.iam.gserviceaccount.com";

/// Each cluster of the project is there, for whoever has a token of the fake.
const CLUSTERS: &str = "GET /v1/projects/ml-prod-123456/locations/europe-west4-a/clusters/";
const CLUSTER_CA: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// A request.
#[derive(Clone)]
pub struct Asked {
    /// Method and path, with the query.
    pub line: String,
    /// The header.
    pub authorization: String,
    /// The body as it came.
    pub body: String,
}

impl Asked {
    /// A field of the form.
    pub fn field(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// Answers some requests otherwise.
pub type Manner = fn(&Asked) -> Option<(u16, String)>;

/// A running fake.
pub struct Fake {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Where it can be had lie.
    pub gate: Gate,
    asked: Log,
}

type Log = Arc<Mutex<Vec<Asked>>>;

impl Fake {
    /// Starts; ends with the test's runtime.
    pub async fn start(manner: Manner) -> Self {
        let place = Loopback::plain().await;
        let (url, asked) = (place.url(), Log::default());
        let log = Arc::clone(&asked);
        let gate = place.serve(move |parts, body| std::future::ready(reply(&parts, &body, manner, &log)));
        Self { url, gate, asked }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn reply(parts: &Parts, body: &[u8], manner: Manner, log: &Log) -> Answer {
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let asked = Asked {
        line: format!("{} {}", parts.method, parts.uri),
        authorization: header("authorization"),
        body: String::from_utf8_lossy(body).into_owned(),
    };
    let (status, text) = manner(&asked).unwrap_or_else(|| documented(&asked, &header("metadata-flavor")));
    // A test that lets the flavor away says so in the body.
    let flavor = if text.contains("no flavor") { "none" } else { "Google" };
    log.lock().unwrap().push(asked);
    let mut reply = answer(status, text);
    reply.headers_mut().insert("metadata-flavor", http::HeaderValue::from_static(flavor));
    reply
}

fn documented(asked: &Asked, flavor: &str) -> (u16, String) {
    let token = |name: &str| json!({"access_token": name, "token_type": "Bearer", "expires_in": 3599});
    let line = asked.line.split('?').next().unwrap();
    let value = match line {
        "POST /token" if asked.field("refresh_token").is_some() => token("ya29.user"),
        "POST /token" if assertion(asked).is_some() => token("ya29.source"),
        "POST /token" => return (400, json!({"error": "invalid_grant"}).to_string()),
        "POST /v1/token" if asked.field("options").is_some() => {
            json!({"access_token": "ya29.bounded", "token_type": "Bearer"})
        }
        "POST /v1/token" => token("ya29.federated"),
        "POST /tokeninfo" => json!({"azp": "100", "expires_in": "1200"}),
        _ if line.ends_with(":generateAccessToken") => generated(asked),
        _ if line == format!("POST /v1/projects/-/serviceAccounts/{EMAIL}/keys") => {
            json!({"privateKeyData": STANDARD.encode(key_file(EMAIL, 1))})
        }
        _ if line.starts_with("DELETE ") => json!({}),
        _ if line.starts_with(CLUSTERS) && asked.authorization.starts_with("Bearer ya29.") => {
            json!({"endpoint": "34.1.2.3", "masterAuth": {"clusterCaCertificate": STANDARD.encode(CLUSTER_CA)}})
        }
        _ if line.ends_with("/default/token") && flavor == "Google" => token("ya29.machine"),
        _ if line.ends_with("/default/email") && flavor == "Google" => {
            return (200, "daemon@x.iam.gserviceaccount.com\n".to_owned());
        }
        _ => return (404, json!({"error": {"code": 404, "status": "NOT_FOUND"}}).to_string()),
    };
    (200, value.to_string())
}

fn generated(asked: &Asked) -> Value {
    let ask: Value = serde_json::from_str(&asked.body).unwrap();
    let seconds: i64 = ask["lifetime"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    json!({"accessToken": "ya29.target", "expireTime": format!("{end:.0}")})
}

/// The claims of an assertion whose signature is right.
pub fn assertion(asked: &Asked) -> Option<(Value, Value)> {
    let text = asked.field("assertion")?;
    let (message, signature) = text.rsplit_once('.')?;
    let jwk = SigningKey::from_pem(ACCOUNT_PEM.as_bytes()).ok()?.public_jwk();
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (n, e) = (part(jwk["n"].as_str()?), part(jwk["e"].as_str()?));
    let key = RsaPublicKeyComponents { n, e };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &part(signature)).ok()?;
    let (header, claims) = message.split_once('.')?;
    Some((serde_json::from_slice(&part(header)).ok()?, serde_json::from_slice(&part(claims)).ok()?))
}

/// Google's file for this account, with the first or the second key.
pub fn key_file(email: &str, which: usize) -> String {
    let (key_id, key) = (KEY_IDS[which], [ACCOUNT_PEM, NEXT_PEM][which]);
    json!({
        "type": "service_account", "project_id": "ml-prod-123456", "private_key_id": key_id,
        "private_key": key, "client_email": email, "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
    })
    .to_string()
}

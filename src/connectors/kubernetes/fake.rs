//! A scripted API server over TLS, for the tests of this folder: it answers
//! what a test says, and records what it was asked. The strict one, which
//! checks tokens and RBAC, is `tests/clients/kube_apiserver.py`.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::connectors::loopback::{Answer, Gate, Loopback};

/// The time of the tests.
pub const NOW: i64 = 1_900_000_000;
/// The uid of every Secret.
pub const UID: &str = "11111111-2222-4333-8444-555555555555";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// For example `POST /api/v1/...`.
    pub line: String,
    /// The header.
    pub authorization: Option<String>,
    /// Null when there was none.
    pub body: Value,
}

/// A running fake.
pub struct Fake {
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    /// PEM of its CA.
    pub ca: String,
    /// Where it can be had lie.
    pub gate: Gate,
    asked: Log,
}

type Log = Arc<Mutex<Vec<Asked>>>;

impl Fake {
    /// Starts; ends with the test's runtime.
    pub async fn start(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::start_raw(move |asked| {
            let (status, body) = answer(asked);
            (status, body.to_string())
        })
        .await
    }

    /// The same with any body.
    pub async fn start_raw(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let place = Loopback::tls(acceptor(&authority)).await;
        let (url, asked) = (place.url(), Log::default());
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let gate = place.serve(move |parts, body| std::future::ready(reply(&parts, &body, answer.as_ref(), &log)));
        Self { url, ca: authority.pem(), gate, asked }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn acceptor(authority: &CertifiedIssuer<'_, KeyPair>) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap().der().clone();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()))
}

fn reply(parts: &Parts, body: &[u8], answer: &impl Fn(&Asked) -> (u16, String), log: &Log) -> Answer {
    let header = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    let asked = Asked { line: format!("{} {}", parts.method, parts.uri), authorization: header, body };
    let (status, text) = answer(&asked);
    log.lock().unwrap().push(asked);
    crate::connectors::loopback::answer(status, text)
}

/// An API server as it should be, which knows one user and grants everything.
pub fn honest(asked: &Asked) -> (u16, Value) {
    let (_, path) = asked.line.split_once(' ').unwrap();
    if asked.line.starts_with("DELETE ") {
        return (200, json!({"kind": "Status", "status": "Success"}));
    }
    if path.ends_with("/secrets") {
        let name = &asked.body["metadata"]["name"];
        return (201, json!({"kind": "Secret", "metadata": {"name": name, "uid": UID}}));
    }
    if path.ends_with("/token") {
        return (201, token_answer(asked, &claims(asked)));
    }
    if path.ends_with("/selfsubjectreviews") {
        return (201, json!({"status": {"userInfo": {"username": "valetkey"}}}));
    }
    if path.ends_with("/selfsubjectaccessreviews") {
        return (201, json!({"status": {"allowed": true}}));
    }
    refusal(404, "NotFound")
}

/// An error answer.
pub fn refusal(status: u16, reason: &str) -> (u16, Value) {
    (status, json!({"kind": "Status", "status": "Failure", "reason": reason, "message": "hunter2", "code": status}))
}

/// The claims that this TokenRequest should come to.
pub fn claims(asked: &Asked) -> Value {
    let parts: Vec<&str> = asked.line.split('/').collect();
    let (namespace, name) = (parts[4], parts[6]);
    let spec = &asked.body["spec"];
    let audiences = if spec["audiences"] == json!([]) { json!(["https://kube"]) } else { spec["audiences"].clone() };
    let mut claims = json!({
        "iss": "https://kube", "sub": format!("system:serviceaccount:{namespace}:{name}"), "aud": audiences,
        "iat": NOW, "nbf": NOW, "exp": NOW + spec["expirationSeconds"].as_i64().unwrap(),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": "u"}},
    });
    if let Some(bond) = spec.get("boundObjectRef") {
        claims["kubernetes.io"]["secret"] = json!({"name": bond["name"], "uid": bond["uid"]});
    }
    claims
}

/// The answer with a token of these claims.
pub fn token_answer(asked: &Asked, claims: &Value) -> Value {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.c2lnbmF0dXJl", part(&json!({"alg": "RS256"})), part(claims));
    let end = jiff::Timestamp::from_second(claims["exp"].as_i64().unwrap()).unwrap();
    let mut answer = asked.body.clone();
    answer["spec"]["audiences"] = claims["aud"].clone();
    answer["status"] = json!({"token": token, "expirationTimestamp": end.to_string()});
    answer
}

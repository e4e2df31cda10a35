//! Entra, the resource manager, blob storage, a registry and a machine's
//! identity endpoint for tests, over TLS: strict in what each is strict in.
//!
//! Entra checks who asks: secrets, and the signature, audience, issuer, dates
//! and single use of assertions. The others check the signature, audience,
//! issuer and end of each token. It records what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use hyper::body::Bytes;
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RsaKeyPair, UnparsedPublicKey,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use tokio_rustls::TlsAcceptor;

use super::fake_cloud;
use super::fake_keys;
use crate::connectors::loopback::{self, Answer, Gate, Loopback};
use crate::domain::jws::SigningKey;
use crate::domain::{IdentityError, IdentityTokens, SecretText, Subject, Ttl};

/// The tenant.
pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
/// The application.
pub const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
/// Its principal.
pub const OBJECT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
/// Its secret.
pub const SECRET: &str = "8Q~source-secret-source-secret-source";
/// Who issues tokens to applications that trust it.
const ISSUER: &str = "https://valetkey.test";

/// Which of them it trusts; Entra compares all of it.
const FEDERATED_SUBJECT: &str = "project:default:connector:prod-azure";

/// What the fake does besides being strict.
#[derive(Clone, Default)]
pub struct Manner {
    /// Answers paths that contain the text with this.
    pub instead: Vec<(&'static str, u16, String)>,
    /// Never answers paths that contain the text.
    pub stalls: Option<&'static str>,
    /// The life of Entra's tokens.
    pub expires_in: Option<Value>,
    /// In how many seconds tokens end by their own word.
    pub ends_in: Option<i64>,
    /// What a registry's token says that it is good for.
    pub access: Option<Value>,
    /// The principal may delete in the registry too.
    pub may_delete: bool,
    /// Its storage accounts, in place of the one; nobody may look into those
    /// whose names begin with `closed`.
    pub accounts: Vec<String>,
}

impl Manner {
    /// The storage accounts there are.
    pub fn accounts(&self) -> Vec<String> {
        if self.accounts.is_empty() { vec!["mldata".to_owned()] } else { self.accounts.clone() }
    }
}

/// A running fake.
pub struct Fake {
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    /// PEM of whom to trust.
    pub root: String,
    /// Its issuer.
    pub issuer: Arc<Issuer>,
    /// Where it can be had lie.
    pub gate: Gate,
    state: Arc<State>,
}

/// What all connections share.
pub struct State {
    /// Where it is.
    pub url: String,
    /// How it behaves.
    pub manner: Manner,
    issuer: Arc<Issuer>,
    asked: Mutex<Vec<(String, BTreeMap<String, String>)>>,
    seen: Mutex<BTreeSet<String>>,
}

impl Fake {
    /// Starts; ends with the test's runtime.
    pub async fn start(manner: Manner) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let place = Loopback::tls(TlsAcceptor::from(Arc::new(config))).await;
        let (url, issuer) = (place.url(), Arc::new(Issuer::new()));
        let (asked, seen) = (Mutex::default(), Mutex::default());
        let state = Arc::new(State { url: url.clone(), manner, issuer: Arc::clone(&issuer), asked, seen });
        let shared = Arc::clone(&state);
        let gate = place.serve(move |parts, body| answer(parts, body, Arc::clone(&shared)));
        Self { url, root: made.cert.pem(), issuer, gate, state }
    }

    /// Each call so far: its method and path, and its form or query.
    pub fn asked(&self) -> Vec<(String, BTreeMap<String, String>)> {
        self.state.asked.lock().unwrap().clone()
    }
}

/// A call, taken apart.
pub struct Asked {
    /// For example `GET /subscriptions`.
    pub line: String,
    /// Of the form or the query.
    pub fields: BTreeMap<String, String>,
    /// In lower case.
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub body: String,
}

async fn answer(parts: Parts, body: Bytes, state: Arc<State>) -> Answer {
    let body = String::from_utf8_lossy(&body).into_owned();
    let text = if body.is_empty() || body.starts_with('<') { parts.uri.query().unwrap_or_default() } else { &body };
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    let pairs = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()));
    let line = format!("{} {}", parts.method, parts.uri.path());
    let asked = Asked { line: line.clone(), fields, headers: pairs.collect(), body };
    state.asked.lock().unwrap().push((line.clone(), asked.fields.clone()));
    if state.manner.stalls.is_some_and(|part| line.contains(part)) {
        std::future::pending::<()>().await;
    }
    let instead = state.manner.instead.iter().find(|(part, ..)| line.contains(part));
    let (status, text) = match instead {
        Some((_, status, text)) => (*status, text.clone()),
        // As Azure's front door answers, over HTTP/1.1.
        None if parts.method == "POST" && !asked.headers.contains_key("content-length") => (411, String::new()),
        None if line == format!("POST /{TENANT}/oauth2/v2.0/token") => entra(&asked, &state),
        None if line == "GET /metadata/identity/oauth2/token" => machine(&asked, &state),
        None => fake_cloud::answer(&asked, &state),
    };
    loopback::answer(status, text)
}

fn refused(error: &str, code: u32) -> (u16, String) {
    let said = format!("AADSTS{code}: somebody {SECRET} else");
    (401, json!({"error": error, "error_codes": [code], "error_description": said}).to_string())
}

fn entra(asked: &Asked, state: &State) -> (u16, String) {
    let field = |name: &str| asked.fields.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return refused("unsupported_grant_type", 70003);
    }
    if field("client_id") != CLIENT {
        return refused("unauthorized_client", 700_016);
    }
    let problem = match field("client_assertion_type") {
        "" => (field("client_secret") != SECRET).then_some(7_000_215),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" if field("client_secret").is_empty() => {
            asserted(field("client_assertion"), state)
        }
        _ => Some(7_000_215),
    };
    if let Some(code) = problem {
        return refused("invalid_client", code);
    }
    let audience = field("scope").strip_suffix("/.default").unwrap_or_default();
    if !audience.starts_with("https://") && audience != super::place::KUBERNETES || audience.contains("nowhere") {
        return refused("invalid_resource", 500_011);
    }
    let expires_in = state.manner.expires_in.clone().unwrap_or(json!(3599));
    let token = token(audience, state.manner.ends_in.unwrap_or(3599));
    (200, json!({"token_type": "Bearer", "expires_in": expires_in, "access_token": token}).to_string())
}

/// What is wrong with an assertion that must be the application's own, or of
/// the issuer it trusts: Entra's number.
fn asserted(text: &str, state: &State) -> Option<u32> {
    let Some((message, signature)) = text.rsplit_once('.') else { return Some(50_027) };
    let Some((header, claims)) = message.split_once('.') else { return Some(50_027) };
    let read = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (header, claims, signature) = (read(header), read(claims), URL_SAFE_NO_PAD.decode(signature).unwrap());
    let now = jiff::Timestamp::now().as_second();
    let (from, to) = (claims["nbf"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    let timely = from <= now && now < to && to <= now + 600;
    let fresh = claims["jti"].as_str().is_some_and(|id| state.seen.lock().unwrap().insert(id.to_owned()));
    let rules = match header["alg"].as_str() {
        Some("RS256") => {
            let pem = certificate_pem();
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(fake_keys::APPLICATION.as_bytes()).unwrap();
            let key = RsaKeyPair::from_pkcs8(key.secret_der()).unwrap();
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref());
            let own = header["x5t"] == json!(URL_SAFE_NO_PAD.encode(Sha1::digest(&*der)))
                && claims["aud"] == json!(format!("{}/{TENANT}/oauth2/v2.0/token", state.url))
                && (&claims["iss"], &claims["sub"]) == (&json!(CLIENT), &json!(CLIENT))
                && key.verify(message.as_bytes(), &signature).is_ok();
            vec![(own, 700_027)]
        }
        Some("ES256") => {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &state.issuer.public);
            vec![
                (claims["iss"] == json!(ISSUER), 700_211),
                (key.verify(message.as_bytes(), &signature).is_ok(), 700_027),
                (claims["aud"] == json!("api://AzureADTokenExchange"), 700_212),
                (claims["sub"] == json!(FEDERATED_SUBJECT), 700_213),
            ]
        }
        _ => vec![(false, 700_027)],
    };
    let rules = rules.into_iter().chain([(timely, 700_024), (fresh, 700_027)]);
    rules.into_iter().find(|(holds, _)| !holds).map(|(_, code)| code)
}

/// Managed identities are told apart by their client id; lives are in quotes.
fn machine(asked: &Asked, state: &State) -> (u16, String) {
    let field = |name: &str| asked.fields.get(name).map(String::as_str);
    let asked_right = asked.headers.get("metadata").is_some_and(|value| value == "true")
        && field("api-version") == Some("2018-02-01")
        && field("client_id").is_none_or(|id| id == CLIENT);
    match field("resource").filter(|_| asked_right) {
        Some(audience) => {
            let token = token(audience, state.manner.ends_in.unwrap_or(3599));
            let body = json!({"access_token": token, "expires_in": "3599", "token_type": "Bearer"});
            (200, body.to_string())
        }
        None => (400, json!({"error": "invalid_request"}).to_string()),
    }
}

/// A token as Entra would make it.
pub fn token(audience: &str, life: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    token_of(&json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "tid": TENANT, "oid": OBJECT,
        "appid": CLIENT, "iat": now, "nbf": now, "exp": now + life,
    }))
}

/// A token with these claims.
pub fn token_of(claims: &Value) -> String {
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let message = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(mac(b"entra", message.as_bytes()));
    format!("{message}.{signature}")
}

/// The claims of a token that this fake made, for this audience, and that has
/// not ended.
pub fn taken(text: &str, audiences: &[&str]) -> Option<Value> {
    let (message, signature) = text.rsplit_once('.')?;
    let own = URL_SAFE_NO_PAD.encode(mac(b"entra", message.as_bytes())) == signature;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?).ok()?;
    let audience = claims["aud"].as_str()?.trim_end_matches('/');
    let alive = claims["exp"].as_i64()? > jiff::Timestamp::now().as_second();
    (own && alive && audiences.contains(&audience)).then_some(claims)
}

/// HMAC-SHA256.
pub fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The delegation key that the account makes of these moments, in base64.
pub fn delegation_value(start: &str, expiry: &str) -> String {
    STANDARD.encode(mac(b"account", format!("{OBJECT}{start}{expiry}").as_bytes()))
}

/// The application's key and certificate.
pub fn certificate_pem() -> String {
    let key = KeyPair::from_pem(fake_keys::APPLICATION).unwrap();
    let year = i32::from(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(7u64.into());
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 1, 1, 1);
    format!("{}{}", fake_keys::APPLICATION, params.self_signed(&key).unwrap().pem())
}

/// A key of somebody else.
pub fn stranger_key_pem() -> &'static str {
    fake_keys::STRANGER
}

/// An issuer that the application trusts.
pub struct Issuer {
    key: SigningKey,
    public: Vec<u8>,
    count: Mutex<u32>,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.as_ref(), &random).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        Self { key: SigningKey::from_pkcs8(der.as_ref()).unwrap(), public, count: Mutex::default() }
    }
}

impl IdentityTokens for Issuer {
    fn token(&self, subject: &Subject, audience: &str, ttl: Ttl) -> Result<SecretText, IdentityError> {
        let now = jiff::Timestamp::now().as_second();
        let mut count = self.count.lock().unwrap();
        *count += 1;
        let claims = json!({
            "iss": ISSUER, "sub": subject.to_string(), "aud": audience, "iat": now, "nbf": now,
            "exp": now + i64::from(ttl.as_seconds()), "jti": count.to_string(),
        });
        self.key.sign(Map::new(), &claims).map_err(|_| IdentityError::Unsigned)
    }
}

//! A registry and its token service on loopback, for tests: as strict as the
//! token specification, or hostile as the test wants. It records each request
//! with its login.
//!
//! The stories of `tests/suite` run against Debian's own registry; this one is
//! for answers that no decent registry gives.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::request::Parts;
use serde_json::{Value, json};

use crate::connectors::loopback::{Answer, Gate, Loopback, answer};

/// The login that it takes.
pub const LOGIN: (&str, &str) = ("robot$ml", "p4ss:word/+ with blanks");
/// The identity token that it takes.
pub const IDENTITY: &str = "identity-token-1";
/// In every body of an error: nothing of it may get out.
pub const LEAK: &str = "canary-leak-dckr";

/// How it behaves.
#[derive(Clone, Default)]
pub struct Manner {
    /// The challenge, in place of its own.
    pub challenge: Option<String>,
    /// The status of `/v2/` without a login.
    pub probe: Option<u16>,
    /// The claim `access` of its tokens, in place of what was asked for.
    pub access: Option<Value>,
    /// On top of its token answers.
    pub more: Option<Value>,
    /// Every answer of the token service.
    pub always: Option<(u16, String)>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// With its query.
    pub path: String,
    /// `authorization`, or nothing.
    pub authorization: String,
    /// The body.
    pub body: String,
}

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
        let (log, own) = (Arc::clone(&asked), url.clone());
        let gate = place.serve(move |parts, body| std::future::ready(reply(&parts, &body, &manner, &own, &log)));
        Self { url, gate, asked }
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn reply(parts: &Parts, body: &[u8], manner: &Manner, own: &str, log: &Log) -> Answer {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = Asked {
        path: parts.uri.to_string(),
        authorization: header("authorization").to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
    };
    log.lock().unwrap().push(asked.clone());
    match parts.uri.path() {
        "/token" => token(&asked, manner),
        path => registry(path, &asked, manner, own),
    }
}

fn registry(path: &str, asked: &Asked, manner: &Manner, own: &str) -> Answer {
    if asked.authorization.is_empty() {
        let usual = format!(r#"Bearer realm="{own}/token",service="fake",scope="ignored""#);
        let challenge = manner.challenge.clone().unwrap_or(usual);
        let mut refused = answer(manner.probe.unwrap_or(401), LEAK);
        refused.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        return refused;
    }
    let basic = asked.authorization == basic();
    match path {
        "/v2/" if basic => answer(200, "{}"),
        "/v2/" => answer(401, LEAK),
        "/v2/_catalog" if asked.authorization.starts_with("Bearer ") || basic => {
            let second = asked.path.contains("last=team%2Fmodel");
            let names = if second { json!(["team/other"]) } else { json!(["team/model", "../evil", "team/model"]) };
            let mut page = answer(200, json!({ "repositories": names }).to_string());
            if !second {
                let link = r#"</v2/_catalog?last=team%2Fmodel&n=2>; rel="next""#;
                page.headers_mut().insert("link", link.parse().unwrap());
            }
            page
        }
        _ => answer(404, LEAK),
    }
}

/// What the login is as HTTP Basic.
pub fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", LOGIN.0, LOGIN.1)))
}

fn token(asked: &Asked, manner: &Manner) -> Answer {
    if let Some((status, text)) = &manner.always {
        return answer(*status, text.clone());
    }
    let query = asked.path.split_once('?').map_or("", |(_, query)| query);
    let form = if asked.body.is_empty() { query } else { &asked.body };
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let of = |name: &str| pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let known = if asked.body.is_empty() {
        asked.authorization == basic()
    } else {
        of("refresh_token") == Some(IDENTITY) && of("grant_type") == Some("refresh_token") && of("client_id").is_some()
    };
    if !known {
        return answer(401, json!({"error": "invalid_grant", "details": LEAK}).to_string());
    }
    if of("service") != Some("fake") {
        return answer(400, LEAK);
    }
    let access = manner.access.clone().unwrap_or_else(|| of("scope").map_or(json!([]), as_asked));
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text =
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(&json!({"exp": 1_000_250, "access": access})));
    let key = if asked.body.is_empty() { "token" } else { "access_token" };
    let mut granted = json!({ key: text, "expires_in": 300 });
    for (name, value) in manner.more.as_ref().and_then(Value::as_object).into_iter().flatten() {
        granted[name] = value.clone();
    }
    answer(200, granted.to_string())
}

fn as_asked(scope: &str) -> Value {
    let parts: Vec<&str> = scope.splitn(3, ':').collect();
    let actions: Vec<&str> = parts[2].split(',').collect();
    json!([{ "type": parts[0], "name": parts[1], "actions": actions }])
}

//! A token endpoint on loopback, for tests: it takes one client by HTTP Basic
//! as RFC 6749 section 2.3.1 encodes it, rotates refresh tokens and takes each
//! once, or says what the test wants. It records what it was asked.
//!
//! The stories of `tests/suite` run against a certified provider; this one is
//! for answers that no decent provider gives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use http::HeaderValue;
use http::request::Parts;
use hyper::body::Bytes;

use crate::connectors::loopback::{Answer, Gate, Loopback};

/// The client's id and secret: both have letters that need the encoding.
pub const CLIENT: (&str, &str) = ("ml platform:1", "s3cr+t/ %&=:~less");
/// The first refresh token.
pub const REFRESH: &str = "refresh-1";
/// In every body of an error: nothing of it may get out.
pub const LEAK: &str = "canary-leak-ya29";

/// What it answers.
#[derive(Clone)]
pub enum Manner {
    /// As a decent provider.
    Sound,
    /// As a decent provider, with these fields on top of a success.
    With(serde_json::Value),
    /// With this, to everybody.
    Always(u16, String),
    /// With a redirect to this place.
    Redirect(String),
    /// Never.
    Silent,
    /// As a decent provider, after so long.
    Late(Duration),
}

/// A running fake.
pub struct Fake {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Where it can be had lie.
    pub gate: Gate,
    state: Arc<State>,
}

struct State {
    manner: Manner,
    asked: Mutex<Vec<BTreeMap<String, String>>>,
    refresh: Mutex<(String, u32)>,
}

impl Fake {
    /// Starts; ends with the test's runtime.
    pub async fn start(manner: Manner) -> Self {
        let place = Loopback::plain().await;
        let url = place.url();
        let state = Arc::new(State { manner, asked: Mutex::default(), refresh: Mutex::new((REFRESH.to_owned(), 1)) });
        let shared = Arc::clone(&state);
        let gate = place.serve(move |parts, body| answer(parts, body, Arc::clone(&shared)));
        Self { url, gate, state }
    }

    /// The forms so far, each with its headers as `header:NAME`.
    pub fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.state.asked.lock().unwrap().clone()
    }
}

async fn answer(parts: Parts, body: Bytes, state: Arc<State>) -> Answer {
    let mut ask: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    for (name, value) in &parts.headers {
        ask.insert(format!("header:{name}"), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    ask.insert("path".to_owned(), parts.uri.path().to_owned());
    state.asked.lock().unwrap().push(ask.clone());
    let mut location = None;
    let (status, text) = match &state.manner {
        Manner::Silent => std::future::pending().await,
        Manner::Redirect(to) => {
            location = Some(HeaderValue::from_str(to).unwrap());
            (302, String::new())
        }
        Manner::Always(status, text) => (*status, text.clone()),
        Manner::Sound => granted(&ask, &state, &serde_json::json!({})),
        Manner::Late(wait) => {
            tokio::time::sleep(*wait).await;
            granted(&ask, &state, &serde_json::json!({}))
        }
        Manner::With(more) => granted(&ask, &state, more),
    };
    let mut reply = crate::connectors::loopback::answer(status, text);
    location.map(|location| reply.headers_mut().insert("location", location));
    reply
}

fn granted(ask: &BTreeMap<String, String>, state: &State, more: &serde_json::Value) -> (u16, String) {
    let refused = |status, code: &str| {
        (status, format!(r#"{{"error":"{code}","error_description":"{LEAK} refused","error_uri":"https://{LEAK}"}}"#))
    };
    if ask["path"] != "/token" || ask["header:content-type"] != "application/x-www-form-urlencoded" {
        return refused(404, "invalid_request");
    }
    if client_of(ask).is_none_or(|(id, secret)| (id.as_str(), secret.as_str()) != CLIENT) {
        return refused(401, "invalid_client");
    }
    let mut answer = serde_json::json!({"access_token": "access-1", "token_type": "bearer", "expires_in": 3600});
    answer["scope"] = ask.get("scope").cloned().into();
    match ask["grant_type"].as_str() {
        "client_credentials" => {}
        "refresh_token" => {
            let mut next = state.refresh.lock().unwrap();
            if ask.get("refresh_token") != Some(&next.0) {
                return refused(400, "invalid_grant");
            }
            next.1 += 1;
            next.0 = format!("refresh-{}", next.1);
            answer["refresh_token"] = next.0.clone().into();
        }
        _ => return refused(400, "unsupported_grant_type"),
    }
    for (name, value) in more.as_object().unwrap() {
        answer[name] = value.clone();
    }
    (200, answer.to_string())
}

fn client_of(ask: &BTreeMap<String, String>) -> Option<(String, String)> {
    let pair = ask.get("header:authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(pair).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decoded = |text: &str| {
        let form = format!("x={text}");
        url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decoded(id)?, decoded(secret)?))
}

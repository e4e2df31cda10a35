//! Google's own client at the relay: what it asks with, that nothing is left
//! of it, and what strangers at its door hear.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::connectors::loopback::{self, Loopback};
use crate::connectors::workbench::{self, Always};
use crate::domain::{Entropy, EntropyError};
use crate::outbound::{Outbound, OutboundRules};

/// Another byte for each draw.
struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        buffer.fill(self.0.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }
}

fn upstream(detours: Detours) -> Upstream {
    let plain = workbench::upstream("http://127.0.0.1:1", None, &[], workbench::now());
    let outbound = Outbound::new(OutboundRules { detours, ..plain.outbound.rules().clone() }).unwrap();
    Upstream { outbound: Arc::new(outbound), entropy: Arc::new(Counting(AtomicU8::new(1))), ..plain }
}

fn plain() -> Upstream {
    upstream(Detours::default())
}

fn stand_in(of: &str) -> StandIn {
    StandIn::draw(&Always(9), of).unwrap()
}

fn login(scopes: &[&str]) -> Wish {
    Wish::Login {
        client_id: "client".to_owned(),
        client_secret: stand_in("client-secret"),
        refresh_token: stand_in("refresh-token"),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
    }
}

fn federation() -> Wish {
    Wish::Federation {
        audience: "//iam.googleapis.com/x".to_owned(),
        subject: stand_in("subject-token"),
        subject_type: "urn:ietf:params:oauth:token-type:jwt".to_owned(),
        scopes: vec!["a".to_owned(), "b".to_owned()],
    }
}

/// Threads of this process that a client runs on.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == THREAD)).count()
}

/// Waits until no such thread is left.
async fn no_thread_left() {
    while threads() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_client_asks_with_stand_ins_for_what_was_wished_and_takes_the_answer() {
    let asked = ask(&plain(), login(&["a", "b"])).await.ok().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&asked.body).unwrap(),
        json!({
            "grant_type": "refresh_token", "client_id": "client", "scopes": "a b",
            "client_secret": stand_in("client-secret").word(), "refresh_token": stand_in("refresh-token").word(),
        })
    );
    let asked = ask(&plain(), login(&[])).await.ok().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap()["scopes"], Value::Null);

    let asked = ask(&plain(), federation()).await.ok().unwrap();
    let mut form: Vec<(String, String)> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    form.sort();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let subject = stand_in("subject-token");
    assert_eq!(
        form,
        [
            ("audience", "//iam.googleapis.com/x"),
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", ACCESS_TOKEN),
            ("scope", "a b"),
            ("subject_token", subject.word()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ]
    );

    let asked = ask(&plain(), Wish::Machine).await.ok().unwrap();
    assert_eq!((asked.flavor.as_deref(), asked.body.len()), (Some("Google"), 0));
}

/// The client's own refreshing would hold what it asks with for 56 minutes, and
/// ask again. That no socket is left, either, the suite sees in a daemon.
#[tokio::test]
async fn no_thread_and_no_place_is_kept_by_an_ask_that_is_over_or_given_up() {
    for wish in [login(&[]), federation(), Wish::Machine] {
        ask(&plain(), wish).await.unwrap();
    }
    let upstream = plain();
    tokio::select! {
        biased;
        _ = ask(&upstream, federation()) => panic!("it asks on another thread"),
        () = std::future::ready(()) => {}
    }
    // Other tests may be in the same process, and ask too.
    while PLACES.available_permits() < PLACES_MAX {
        tokio::task::yield_now().await;
    }
    no_thread_left().await;
}

/// As by a proxy, or by another metadata server.
#[tokio::test]
async fn a_client_that_was_led_elsewhere_has_asked_for_nothing() {
    let elsewhere = Loopback::plain().await;
    let url = elsewhere.url();
    elsewhere.serve(|_, _| std::future::ready(loopback::answer(200, answer(&stand_in("somebody-elses")))));
    for wish in [login(&[]), federation(), Wish::Machine] {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let token = stand_in("access-token");
        let relay = Relay::open(wish.method(), "/".to_owned(), answer(&token)).await.unwrap();
        assert!(asked_at(wish, url.clone(), relay, &token).await.is_none());
    }
}

#[tokio::test]
async fn an_environment_that_leads_elsewhere_is_refused_before_anything_is_asked() {
    let proxied = upstream(Detours { proxied: true, metadata_host: false });
    for wish in [login(&[]), federation(), Wish::Machine] {
        let refused = ask(&proxied, wish).await.err();
        assert_eq!(refused, Some(UpstreamError::NotEnabled { remedy: PROXIED }));
    }
    let hosted = upstream(Detours { proxied: false, metadata_host: true });
    assert_eq!(ask(&hosted, Wish::Machine).await.err(), Some(UpstreamError::NotEnabled { remedy: METADATA_HOST }));
    assert!(ask(&hosted, login(&[])).await.is_ok());
}

#[tokio::test]
async fn so_many_ask_at_a_time_and_no_more() {
    let upstream = plain();
    let all = PLACES.acquire_many(u32::try_from(PLACES_MAX).unwrap()).await.unwrap();
    tokio::time::pause();
    assert_eq!(ask(&upstream, Wish::Machine).await.err(), Some(BUSY));
    drop(all);
    tokio::time::resume();
    assert!(ask(&upstream, Wish::Machine).await.is_ok());
}

/// What comes back for these bytes; the head's first line, and the body.
async fn heard(at: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found";

#[tokio::test]
async fn the_relay_lets_one_request_through_and_strangers_do_not_use_it_up() {
    let mut relay = Relay::open(Method::POST, "/secret".to_owned(), "{}".to_owned()).await.unwrap();
    let at: SocketAddr = relay.url().strip_prefix("http://").unwrap().parse().unwrap();
    let whole = |line: &str, host: &str, body: &str| {
        format!("{line} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let own = at.to_string();
    let strangers = async {
        // Two that say nothing are in nobody's way.
        let _silent = (TcpStream::connect(at).await.unwrap(), TcpStream::connect(at).await.unwrap());
        for (line, host) in [
            ("POST /", own.as_str()),
            ("POST /secre", &own),
            ("POST /secret?x", &own),
            ("POST /secret/computeMetadata/v1/instance", &own),
            ("GET /secret", &own),
            ("POST /secret", "localhost"),
            ("POST /secret", "evil.example"),
            (&format!("POST http://{own}/secret"), &own),
        ] {
            assert_eq!(heard(at, &whole(line, host, "")).await, (NOT_FOUND.to_owned(), String::new()), "{line} {host}");
        }
        // What is left unread may take the answer with it.
        let long = whole("POST /secret", &own, &"x".repeat(40 * 1024));
        assert!(!heard(at, &long).await.0.contains("200"));
        let head = format!("POST /secret HTTP/1.1\r\nhost: {own}\r\nx: {}\r\n\r\n", "x".repeat(20_000));
        assert!(!heard(at, &head).await.0.contains("200"));
        let right = whole("POST /secret", &own, "body");
        assert_eq!(heard(at, &right).await, ("HTTP/1.1 200 OK".to_owned(), "{}".to_owned()));
        // The second time it is a stranger's, too.
        assert_eq!(heard(at, &right).await, (NOT_FOUND.to_owned(), String::new()));
    };
    tokio::select! {
        () = strangers => {}
        () = relay.serve() => panic!("it serves until it is let go"),
    }
    assert_eq!(relay.asked().unwrap().body, b"body");
    assert!(relay.asked().is_none());
}

//! Hostile servers on loopback (SECURITY J9): each ends in a bounded error of
//! ours, and none gets a second request out of us.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const TIGHT: Duration = Duration::from_millis(400);

struct Hostile {
    url: String,
    requests: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
pub(super) enum Manner {
    Answers(&'static str),
    Floods(&'static str),
    Trickles,
    Stalls,
    Closes,
    /// Answers 411 to what does not say how long its body is.
    Measures,
}

async fn hostile(manner: Manner) -> Hostile {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, manner));
        }
    });
    Hostile { url, requests }
}

pub(super) async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, manner: Manner) {
    let mut heard = [0; 4096];
    let length = stream.read(&mut heard).await.unwrap_or_default();
    match manner {
        Manner::Answers(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Manner::Floods(head) => {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {}
        }
        Manner::Trickles => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Manner::Stalls => std::future::pending().await,
        Manner::Closes => {}
        Manner::Measures => {
            let said = heard[..length].to_ascii_lowercase().windows(18).any(|part| part == b"\ncontent-length: 0");
            let status = if said { "200 OK" } else { "411 Length Required" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}

fn outbound(allowed: &str, call_timeout: Duration) -> Outbound {
    Outbound::new(OutboundRules {
        allowed_endpoints: vec![allowed.to_owned()],
        extra_roots_pem: None,
        connect_timeout: call_timeout,
        call_timeout,
        implicit_identities: vec!["ml".to_owned()],
        detours: Detours::default(),
    })
    .unwrap()
}

fn get(url: &str) -> Call {
    Call { method: "GET", url: format!("{url}/path"), headers: Vec::new(), body: Vec::new() }
}

async fn refused_as(manner: Manner, expected: OutboundError) {
    let server = hostile(manner).await;
    let started = Instant::now();
    let error = outbound(&server.url, TIGHT).call(get(&server.url)).await.err();
    assert_eq!(error, Some(expected));
    assert!(started.elapsed() < Duration::from_secs(5), "must be bounded");
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_at_the_deadline() {
    refused_as(Manner::Stalls, OutboundError::TimedOut).await;
}

#[tokio::test]
async fn a_server_that_trickles_is_left_at_the_deadline() {
    refused_as(Manner::Trickles, OutboundError::TimedOut).await;
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_cap() {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let server = hostile(Manner::Floods(head)).await;
    let error = outbound(&server.url, Duration::from_secs(20)).call(get(&server.url)).await.err();
    assert_eq!(error, Some(OutboundError::TooLong));
}

#[tokio::test]
async fn a_body_that_is_announced_as_huge_is_cut_at_the_cap() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
    let server = hostile(Manner::Floods(head)).await;
    let error = outbound(&server.url, Duration::from_secs(20)).call(get(&server.url)).await.err();
    assert_eq!(error, Some(OutboundError::TooLong));
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_no_answer() {
    refused_as(Manner::Answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"), OutboundError::Unreachable).await;
}

#[tokio::test]
async fn a_connection_closed_at_once_is_no_answer() {
    refused_as(Manner::Closes, OutboundError::Unreachable).await;
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    refused_as(Manner::Answers("220 mail.example ESMTP\r\n"), OutboundError::Unreachable).await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = hostile(Manner::Answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let text: &'static str =
        Box::leak(format!("HTTP/1.1 307 X\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n", target.url).into_boxed_str());
    let server = hostile(Manner::Answers(text)).await;
    let answer = outbound(&server.url, TIGHT).call(get(&server.url)).await.ok().unwrap();
    assert_eq!(answer.status, 307);
    assert_eq!(target.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_not_allowed_sees_no_connection() {
    let server = hostile(Manner::Stalls).await;
    let error = outbound("http://127.0.0.1:1", TIGHT).call(get(&server.url)).await.err();
    assert_eq!(error, Some(OutboundError::AddressRefused { origin: server.url.clone() }));
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_carries_its_status_body_and_bounded_wait() {
    let text = "HTTP/1.1 429 Slow\r\nretry-after: 999999\r\ncontent-length: 2\r\n\r\nok";
    let server = hostile(Manner::Answers(text)).await;
    let answer = outbound(&server.url, TIGHT).call(get(&server.url)).await.ok().unwrap();
    assert_eq!((answer.status, answer.body()), (429, b"ok".as_slice()));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(300)));
}

/// Azure's resource manager answers 411 to a POST that says no length.
#[tokio::test]
async fn a_call_without_a_body_says_so_where_one_is_foreseen() {
    for (method, body, lengths) in [("POST", "", "0"), ("PUT", "", "0"), ("POST", "ab", "2"), ("GET", "", "")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(heard).unwrap().to_ascii_lowercase()
        });
        let call = Call { method, body: body.as_bytes().to_vec(), ..get(&url) };
        assert_eq!(outbound(&url, Duration::from_secs(20)).call(call).await.ok().unwrap().status, 200);
        let heard = heard.await.unwrap();
        let said: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix("content-length: ")).collect();
        assert_eq!(said.join(","), lengths, "{method} {body}");
    }
}

#[test]
fn extra_roots_that_do_not_parse_are_refused_at_start() {
    for pem in ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let rules =
            OutboundRules { extra_roots_pem: Some(pem.to_owned()), ..outbound("http://h", TIGHT).rules.clone() };
        assert!(matches!(Outbound::new(rules).err(), Some(OutboundError::Rules(_))), "{pem}");
    }
}

#[test]
fn an_implicit_identity_needs_the_config_and_the_machine() {
    struct Any;
    impl ImplicitIdentities for Any {
        fn identity(&self, _: &str) -> Option<ImplicitIdentity> {
            let text = || crate::domain::SecretText::new("x".to_owned());
            Some(ImplicitIdentity { access_key_id: text(), secret_access_key: text(), session_token: None })
        }
    }
    assert!(outbound("http://h", TIGHT).implicit("ml").is_none());
    let wired = outbound("http://h", TIGHT).with_implicit(Arc::new(Any));
    assert!(wired.implicit("ml").is_some());
    assert!(wired.implicit("other").is_none());
}

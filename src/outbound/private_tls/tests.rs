//! Servers with a CA of their own, honest and hostile: whom a call trusts, how
//! it is known, and where each bound is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::tests::{Manner, serve};
use super::super::{Detours, OutboundRules};
use super::*;

const TIGHT: Duration = Duration::from_millis(400);
const OK: Manner = Manner::Answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this name, and its key, both PEM.
fn leaf(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

struct Server {
    url: String,
    ca: String,
    connections: Arc<AtomicUsize>,
}

/// A server for `127.0.0.1`; with `clients`, it takes only whom that CA knows.
async fn server(manner: Manner, clients: Option<&Authority>) -> Server {
    server_named(manner, clients, "127.0.0.1").await
}

async fn server_named(manner: Manner, clients: Option<&Authority>, name: &str) -> Server {
    let authority = authority();
    let (certificate, key) = leaf(&authority, name);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = match clients {
        Some(known) => {
            let mut roots = RootCertStore::empty();
            tls::add(&mut roots, &known.pem()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        }
        None => builder.unwrap().with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = builder.with_single_cert(chain(certificate.as_bytes()).unwrap(), key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (connections, acceptor) = (Arc::new(AtomicUsize::new(0)), TlsAcceptor::from(Arc::new(config)));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(socket).await {
                    serve(stream, manner).await;
                }
            });
        }
    });
    Server { url, ca: authority.pem(), connections }
}

fn outbound(allowed: &str, extra_roots_pem: Option<String>, timeout: Duration) -> Outbound {
    Outbound::new(OutboundRules {
        allowed_endpoints: vec![allowed.to_owned()],
        extra_roots_pem,
        connect_timeout: timeout,
        call_timeout: timeout,
        implicit_identities: Vec::new(),
        detours: Detours::default(),
    })
    .unwrap()
}

fn get(url: &str) -> Call {
    Call { method: "GET", url: format!("{url}/path?q=1"), headers: Vec::new(), body: Vec::new() }
}

fn trusting(ca: &str) -> PrivateTls<'_> {
    PrivateTls { roots: Some(ca), identity: None, verify: true }
}

async fn called(server: &Server, tls: &PrivateTls<'_>) -> Result<(u16, Vec<u8>), OutboundError> {
    let answer = outbound(&server.url, None, Duration::from_secs(20)).call_with(get(&server.url), tls).await?;
    Ok((answer.status, answer.body().to_vec()))
}

#[tokio::test]
async fn the_named_ca_is_trusted_and_no_other() {
    let server = server(OK, None).await;
    assert_eq!(called(&server, &trusting(&server.ca)).await, Ok((200, b"ok".to_vec())));
    let other = authority().pem();
    assert_eq!(called(&server, &trusting(&other)).await, Err(OutboundError::Untrusted));
    let public = PrivateTls { roots: None, identity: None, verify: true };
    assert_eq!(called(&server, &public).await, Err(OutboundError::Untrusted));
    let extra = outbound(&server.url, Some(server.ca.clone()), Duration::from_secs(20));
    let shared = outbound(&server.url, None, Duration::from_secs(20)).call(get(&server.url)).await;
    assert_eq!(shared.err(), Some(OutboundError::Untrusted), "the shared client says so too");
    assert!(extra.call_with(get(&server.url), &public).await.is_ok(), "the config's roots count where none is named");
    let named = extra.call_with(get(&server.url), &trusting(&other)).await.err();
    assert_eq!(named, Some(OutboundError::Untrusted), "a named CA is the only one");
}

#[tokio::test]
async fn what_may_have_a_body_and_has_none_says_that_its_length_is_zero() {
    let server = server(Manner::Measures, None).await;
    for (method, status) in [("POST", 200), ("GET", 411)] {
        let call = Call { method, ..get(&server.url) };
        let way = outbound(&server.url, None, Duration::from_secs(20));
        assert_eq!(way.call_with(call, &trusting(&server.ca)).await.ok().unwrap().status, status, "{method}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let server = server_named(OK, None, "127.0.0.2").await;
    assert_eq!(called(&server, &trusting(&server.ca)).await, Err(OutboundError::Untrusted));
}

#[tokio::test]
async fn no_verification_takes_any_certificate_and_only_when_asked_for() {
    let server = server_named(OK, None, "elsewhere.example").await;
    let blind = PrivateTls { roots: None, identity: None, verify: false };
    assert_eq!(called(&server, &blind).await, Ok((200, b"ok".to_vec())));
    let seeing = PrivateTls { verify: true, ..blind };
    assert_eq!(called(&server, &seeing).await, Err(OutboundError::Untrusted));
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_a_foreign_one_is_refused() {
    let (known, foreign) = (authority(), authority());
    let server = server(OK, Some(&known)).await;
    let (own, other) = (leaf(&known, "valetkey"), leaf(&foreign, "valetkey"));
    assert_eq!(shown(&server, &own).await, Ok((200, b"ok".to_vec())));
    assert_eq!(shown(&server, &other).await, Err(OutboundError::Unreachable));
    assert_eq!(called(&server, &trusting(&server.ca)).await, Err(OutboundError::Unreachable));
}

async fn shown(server: &Server, (certificate, key): &(String, String)) -> Result<(u16, Vec<u8>), OutboundError> {
    let identity = ClientIdentity { certificate: certificate.as_bytes(), key: key.as_bytes() };
    assert!(identity.fits());
    called(server, &PrivateTls { identity: Some(identity), ..trusting(&server.ca) }).await
}

#[test]
fn a_key_of_another_certificate_does_not_fit() {
    let authority = authority();
    let ((one, key), (two, _)) = (leaf(&authority, "a"), leaf(&authority, "b"));
    let fits = |certificate: &str, key: &str| {
        ClientIdentity { certificate: certificate.as_bytes(), key: key.as_bytes() }.fits()
    };
    assert!(fits(&one, &key));
    assert!(!fits(&two, &key) && !fits(&key, &one) && !fits("", &key) && !fits(&one, ""));
    assert!(!fits(&one.repeat(CERTIFICATES_MAX + 1), &key));
    assert!(!fits(&one, &format!("{}{key}", "#".repeat(PEM_BYTES_MAX))));
}

#[test]
fn roots_are_bounded_pem() {
    let pem = authority().pem();
    assert!(check_roots(&pem));
    let long = format!("{}{pem}", " ".repeat(PEM_BYTES_MAX));
    for wrong in ["", "junk", &pem.repeat(CERTIFICATES_MAX + 1), &long, &pem.replace("MII", "AAA")] {
        assert!(!check_roots(wrong));
    }
}

async fn refused_as(manner: Manner, expected: OutboundError) {
    let server = server(manner, None).await;
    let started = Instant::now();
    let tight = outbound(&server.url, None, TIGHT);
    let error = tight.call_with(get(&server.url), &trusting(&server.ca)).await.err();
    assert_eq!(error, Some(expected));
    assert!(started.elapsed() < Duration::from_secs(5), "must be bounded");
}

#[tokio::test]
async fn slow_servers_are_left_at_the_deadline() {
    refused_as(Manner::Stalls, OutboundError::TimedOut).await;
    refused_as(Manner::Trickles, OutboundError::TimedOut).await;
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_is_left_at_the_connects_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let mut rules = outbound(&url, None, TIGHT).rules.clone();
    rules.call_timeout = Duration::from_secs(60);
    let (started, ca) = (Instant::now(), authority().pem());
    let error = Outbound::new(rules).unwrap().call_with(get(&url), &trusting(&ca)).await.err();
    assert_eq!(error, Some(OutboundError::TimedOut));
    assert!(started.elapsed() < Duration::from_secs(5), "must be bounded");
}

#[tokio::test]
async fn what_is_no_full_answer_is_none() {
    refused_as(Manner::Closes, OutboundError::Unreachable).await;
    refused_as(Manner::Answers("220 mail.example ESMTP\r\n"), OutboundError::Unreachable).await;
    refused_as(Manner::Answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"), OutboundError::Unreachable).await;
}

#[tokio::test]
async fn endless_heads_and_bodies_are_cut_at_their_caps() {
    for (head, expected) in [
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", OutboundError::TooLong),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n", OutboundError::TooLong),
        ("HTTP/1.1 200 OK\r\nx: ", OutboundError::Unreachable),
    ] {
        let server = server(Manner::Floods(head), None).await;
        assert_eq!(called(&server, &trusting(&server.ca)).await, Err(expected), "{head:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = server(OK, None).await;
    let text = format!("HTTP/1.1 307 X\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n", target.url);
    let server = server(Manner::Answers(Box::leak(text.into_boxed_str())), None).await;
    assert_eq!(called(&server, &trusting(&server.ca)).await, Ok((307, Vec::new())));
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn addresses_are_checked_before_anything_is_sent() {
    let server = server(OK, None).await;
    let elsewhere = outbound("https://127.0.0.1:1", None, TIGHT);
    let refused = elsewhere.call_with(get(&server.url), &trusting(&server.ca)).await.err();
    assert_eq!(refused, Some(OutboundError::AddressRefused { origin: server.url.clone() }));
    let plain = server.url.replace("https", "http");
    let refused = outbound(&plain, None, TIGHT).call_with(get(&plain), &trusting(&server.ca)).await.err();
    let http = matches!(refused, Some(OutboundError::AddressRefused { .. }));
    assert!(http, "https alone, whatever the config allows");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_head_that_breaks_out_is_not_sent() {
    let server = server(OK, None).await;
    let mut call = get(&server.url);
    call.headers.push(("authorization".to_owned(), "Bearer a\r\nx: y".to_owned()));
    let refused = outbound(&server.url, None, TIGHT).call_with(call, &trusting(&server.ca)).await.err();
    assert_eq!(refused, Some(OutboundError::Malformed));
    let broken = PrivateTls { roots: Some("junk"), identity: None, verify: true };
    assert_eq!(called(&server, &broken).await, Err(OutboundError::Malformed));
}

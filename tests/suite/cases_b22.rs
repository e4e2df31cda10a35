//! SECURITY.md B22, E3, E4 and E5: what is not exactly a gRPC call of ours is refused before anybody is authenticated.

use std::time::{Duration, Instant};

use tonic::Code;

use crate::rig::cast;
use crate::rig::http::{Answer, frame};
use crate::rig::vault::{Setup, Vault};

const WHO_AM_I: &str = "/valetkey.v1.AccessService/WhoAmI";
const REGISTER: &str = "/valetkey.v1.ConnectorService/RegisterConnector";

type Head = tonic::codegen::http::request::Builder;

fn send(vault: &Vault, path: &str, change: impl FnOnce(Head) -> Head, body: Vec<u8>) -> Answer {
    vault.send(change(vault.head("alice", path)).body(body).unwrap()).unwrap()
}

fn code(answer: &Answer) -> Option<Code> {
    answer.grpc.as_ref().map(tonic::Status::code)
}

#[test]
fn b22_only_post_with_the_content_type_of_grpc_is_served() {
    let vault = Setup::new().start();
    assert_eq!(code(&send(&vault, WHO_AM_I, |head| head, frame(&[]))), Some(Code::Ok));
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"] {
        let answer = send(&vault, WHO_AM_I, |head| head.method(method), Vec::new());
        assert_eq!((answer.status.as_u16(), answer.body.len()), (405, 0), "{method}: {answer:?}");
    }
    for kind in ["application/json", "application/grpc-web", "application/grpc+json", "text/html"] {
        let change = |mut head: Head| {
            head.headers_mut().unwrap().insert("content-type", kind.parse().unwrap());
            head
        };
        let answer = send(&vault, WHO_AM_I, change, frame(&[]));
        assert_eq!((answer.status.as_u16(), answer.body.len()), (415, 0), "{kind}: {answer:?}");
    }
    for path in [
        format!("{WHO_AM_I}?x=1"),
        format!("{WHO_AM_I}/"),
        format!("/{WHO_AM_I}"),
        WHO_AM_I.to_lowercase(),
        "/".to_owned(),
    ] {
        let answer = send(&vault, &path, |head| head, frame(&[]));
        assert_eq!(code(&answer), Some(Code::Unimplemented), "{path}: {answer:?}");
    }
    let lines = vault.ledger();
    let malformed = lines.iter().filter(|line| line["outcome"] == "malformed").count();
    assert_eq!(malformed, 15, "each refusal has its line");
}

#[test]
fn b22_http_1_and_plaintext_get_no_answer_from_a_handler() {
    let vault = Setup::new().start();
    let token = vault.token("alice");
    let http1 = format!(
        "POST {WHO_AM_I} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc\r\nte: trailers\r\n\
         authorization: Bearer {token}\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0"
    );
    for alpn in [&[][..], &[&b"http/1.1"[..]], &[&b"h2"[..]]] {
        let answer = vault.tls_bytes(alpn, http1.as_bytes());
        assert!(!contains(&answer, b"alice") && !contains(&answer, b"200"), "{alpn:?}: {answer:?}");
    }
    // HTTP/2 by prior knowledge, without TLS, on the TLS port.
    let answer = {
        use std::io::{Read as _, Write as _};
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", vault.port())).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        answer
    };
    assert!(!answer.windows(4).any(|bytes| bytes[3] == 4 && bytes[0] == 0), "it spoke HTTP/2 in the clear: {answer:?}");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn e3_a_message_too_large_or_compressed_is_refused_by_its_prefix() {
    let vault = Setup::new().start();
    let declared = |length: u32, flag: u8| {
        let mut body = vec![flag];
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&[0; 16]);
        body
    };
    for (path, length) in [(WHO_AM_I, 4097), (WHO_AM_I, u32::MAX), (REGISTER, 262_145), (REGISTER, u32::MAX)] {
        let answer = send(&vault, path, |head| head, declared(length, 0));
        assert_eq!(code(&answer), Some(Code::OutOfRange), "{path} {length}: {answer:?}");
    }
    let answer = send(&vault, WHO_AM_I, |head| head, declared(16, 1));
    assert_eq!(code(&answer), Some(Code::Unimplemented), "{answer:?}");
    for encoding in ["gzip", "deflate", "zstd"] {
        let answer = send(&vault, WHO_AM_I, |head| head.header("grpc-encoding", encoding), frame(&[]));
        assert_eq!(code(&answer), Some(Code::Unimplemented), "{encoding}: {answer:?}");
    }
    let two = [frame(&[]), frame(&[])].concat();
    let answer = send(&vault, WHO_AM_I, |head| head, two);
    assert_ne!(code(&answer), Some(Code::Ok), "two messages: {answer:?}");
    assert_eq!(code(&send(&vault, WHO_AM_I, |head| head, frame(&[]))), Some(Code::Ok));
}

#[test]
fn e4_no_timeout_of_a_client_is_longer_than_ours_and_none_hangs() {
    let vault = Setup::new().with("server", "request_timeout_max = \"2s\"").start();
    for timeout in ["99999999H", "0S", "1n", "junk", "-1S", "9999999999S", "1", ""] {
        let before = Instant::now();
        // The body of this call never comes whole: only a deadline ends it.
        let mut body = frame(&[0; 64]);
        body.truncate(20);
        let head = vault.head("alice", WHO_AM_I).header("grpc-timeout", timeout);
        let answer = vault.send_unfinished(head.body(body).unwrap()).unwrap();
        assert_eq!(code(&answer), Some(Code::DeadlineExceeded), "{timeout}: {answer:?}");
        assert!(before.elapsed() < Duration::from_secs(15), "{timeout} took {:?}", before.elapsed());
    }
    assert_eq!(code(&send(&vault, WHO_AM_I, |head| head, frame(&[]))), Some(Code::Ok));
}

#[test]
fn e5_metadata_is_bounded_and_a_doubled_token_is_nobodys() {
    let vault = Setup::new().start();
    let refused = |change: &dyn Fn(Head) -> Head| {
        let head = change(vault.head("alice", WHO_AM_I));
        match vault.send(head.body(frame(&[])).unwrap()) {
            // The connection was cut, or the stream reset: no handler saw it.
            Err(_) => true,
            Ok(answer) => code(&answer) != Some(Code::Ok),
        }
    };
    assert!(refused(&|head| head.header("x-large", "a".repeat(16 * 1024))));
    assert!(refused(&|head| (0..1000).fold(head, |head, n| head.header(format!("x-{n}"), "a"))));
    assert!(refused(&|head| head.header("x-bin", "***")));
    assert!(refused(&|head| head.header("authorization", "Bearer another")));
    assert!(!refused(&|head| head.header("x-small", "a")));
}

#[test]
fn e2_bombs_of_nesting_and_repetition_are_refused_and_cost_little() {
    let vault = Setup::new().start();
    let rss = |vault: &Vault| {
        let id = vault.daemon().as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = rss(&vault);
    // Field 8 (secrets) of RegisterConnector, 80,000 times empty; then groups, which proto3 has not; then depth.
    let repeated = [0x42, 0x00].repeat(80_000);
    let groups = [0x0b].repeat(60_000);
    let mut nested = Vec::new();
    for _ in 0..101 {
        let mut outer = vec![0x5a];
        outer.extend(varint(nested.len()));
        outer.append(&mut nested);
        nested = outer;
    }
    for bomb in [repeated, groups, nested, vec![0xff; 200_000], vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        let answer = send(&vault, REGISTER, |head| head, frame(&bomb));
        assert!(!matches!(code(&answer), None | Some(Code::Ok | Code::Unknown)), "{answer:?}");
    }
    let grown = rss(&vault).saturating_sub(before);
    assert!(grown < 64 * 1024, "the daemon grew by {grown} KiB");
    cast::connector(&vault, cast::unverified("still-serving"));
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(u8::try_from(number & 127).unwrap() | 128);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

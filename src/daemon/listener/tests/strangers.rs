//! What a stranger can take from others: neither the answer to "are you well"
//! nor the disk.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::{Code, Status};

use super::bench::{Bench, EMPTY, WHO_AM_I, Wishes, good, stranger};
use crate::audit::{Measure, Outcome};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const SOON: Duration = Duration::from_secs(30);

/// A body that never comes.
fn never() -> BoxBody<Bytes, Infallible> {
    BoxBody::new(http_body_util::StreamBody::new(tokio_stream::pending()))
}

/// A connection for requests without their bodies.
async fn silent(bench: &Bench) -> http2::SendRequest<BoxBody<Bytes, Infallible>> {
    let stream = bench.tls(&[b"h2"]).await.unwrap();
    let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    send
}

/// Opens more calls than there are places for those without a token.
#[tokio::test]
async fn f7_checks_of_health_without_a_body_keep_no_other_from_being_answered() {
    let bench = Bench::start(Wishes::default()).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut send = silent(&bench).await;
        for _ in 0..120 {
            send.ready().await.unwrap();
            held.push(tokio::spawn(send.send_request(stranger(CHECK).body(never()).unwrap())));
        }
        // Answered, so what came before it on this connection is being served.
        let last = send.send_request(stranger(WHO_AM_I).body(never()).unwrap());
        tokio::time::timeout(SOON, last).await.expect("in time").unwrap();
    }
    assert_eq!(bench.client().await.ask(stranger(CHECK), EMPTY).await.code, Some(Code::Ok));
    // They wait for their own short time, not for that of a call with a token.
    for one in held {
        tokio::time::timeout(SOON / 2, one).await.expect("it is still open").unwrap().unwrap();
    }
}

/// Each ends before its handler has anything to say, and would be a line.
#[tokio::test]
async fn f12_a_strangers_failing_calls_are_counted_and_a_known_callers_have_their_lines() {
    let bench = Bench::start(Wishes::default()).await;
    let (mut send, asked) = (silent(&bench).await, 400_u32);
    for _ in 0..asked {
        send.ready().await.unwrap();
        let request = stranger(CHECK).header("grpc-timeout", "1n").body(never()).unwrap();
        let answer = send.send_request(request).await.unwrap();
        let trailers = Status::from_header_map(answer.headers());
        assert_eq!(trailers.map(|status| status.code()), Some(Code::DeadlineExceeded));
        drop(answer.into_body().collect().await);
    }
    let single = bench.porter.lines.lock().unwrap().len();
    assert!(single <= Measure::STRANGERS.singles_max as usize, "{single} lines");
    bench.door.flush(true).await.unwrap();
    assert_eq!(bench.porter.calls(Outcome::Failed), asked);

    let mut known = silent(&bench).await;
    let before = bench.porter.lines.lock().unwrap().len();
    for _ in 0..60 {
        known.ready().await.unwrap();
        let request = good(WHO_AM_I).header("grpc-timeout", "1n").body(never()).unwrap();
        drop(known.send_request(request).await.unwrap().into_body().collect().await);
    }
    assert_eq!(bench.porter.lines.lock().unwrap().len() - before, 60);
}

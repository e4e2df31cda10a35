//! What a stranger can take from others: neither the answer to "are you well"
//! nor the disk.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::{Code, Status};

use super::bench::{Bench, EMPTY, OTHER, WHO_AM_I, Wishes, good, stranger};
use crate::audit::{Measure, Outcome, READ_LINES_BURST, READ_LINES_PER_SECOND};

/// Changes something.
const CREATES: &str = "/valetkey.v1.AccessService/CreatePrincipal";
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

/// Who may only read fills no disk by it, and each call is in the ledger.
#[tokio::test]
async fn f12_a_flood_of_reading_is_counted_to_the_last_call_and_no_other_call_is() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let single = |outcome| bench.porter.lines.lock().unwrap().iter().filter(|line| line.1 == outcome).count();
    let (asked, burst) = (300_u32, READ_LINES_BURST as usize);
    let started = std::time::Instant::now();
    for _ in 0..asked {
        assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    }
    let refilled = started.elapsed().as_secs_f64().ceil() as usize * READ_LINES_PER_SECOND as usize;
    assert!((burst..=burst + refilled).contains(&single(Outcome::Ok)), "{} lines", single(Outcome::Ok));
    bench.door.flush(false).await.unwrap();
    assert_eq!(bench.porter.calls(Outcome::Ok), asked);
    // What changes something has a line of its own, also now.
    for _ in 0..50 {
        assert_eq!(client.ask(good(CREATES), EMPTY).await.code, Some(Code::Ok));
    }
    assert_eq!(bench.porter.lines.lock().unwrap().iter().filter(|line| line.0 == CREATES).count(), 50);
    // So has somebody else's reading.
    let other = || stranger(WHO_AM_I).header("authorization", OTHER);
    let before = single(Outcome::Ok);
    assert_eq!(client.ask(other(), EMPTY).await.code, Some(Code::Ok));
    assert_eq!(single(Outcome::Ok), before + 1);
}

/// A count is a promise to write it: none is made while the ledger takes nothing.
#[tokio::test]
async fn without_the_ledger_nobody_reads_on_the_strength_of_a_count() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    for _ in 0..READ_LINES_BURST + 50 {
        assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    }
    bench.porter.ledger_broken.store(true, Ordering::SeqCst);
    assert!(bench.door.flush(true).await.is_err(), "the daemon does so each second");
    for _ in 0..20 {
        assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Unavailable));
    }
    bench.porter.ledger_broken.store(false, Ordering::SeqCst);
    bench.door.flush(true).await.unwrap();
    assert_eq!(bench.porter.calls(Outcome::Ok), READ_LINES_BURST + 50);
    assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
}

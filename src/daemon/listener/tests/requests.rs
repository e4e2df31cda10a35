//! What requests are refused, what they are told, and what the ledger says.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tonic::Code;

use super::bench::{Bench, EMPTY, HANGS, PANICS, WHO_AM_I, Wishes, good, other, stranger};
use crate::audit::Outcome;
use crate::authz::METHOD_RULES;
use crate::domain::Share;

const HEALTH: &str = "/grpc.health.v1.Health/Check";

#[tokio::test]
async fn a1_without_credentials_every_method_but_health_says_the_same_and_is_in_the_ledger() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let told = client.ask(stranger(WHO_AM_I), EMPTY).await;
    assert_eq!((told.http, told.code), (200, Some(Code::Unauthenticated)));
    for rule in METHOD_RULES {
        assert_eq!(client.ask(stranger(rule.path), EMPTY).await, told, "{}", rule.path);
        let wrong = stranger(rule.path).header("authorization", "Bearer wrong");
        assert_eq!(client.ask(wrong, EMPTY).await, told, "{}", rule.path);
    }
    assert_eq!(client.ask(stranger(HEALTH), EMPTY).await.code, Some(Code::Ok));
    bench.door.flush(true).await.unwrap();
    assert_eq!(bench.porter.calls(Outcome::Denied) as usize, 1 + 2 * METHOD_RULES.len());
    assert_eq!(bench.porter.calls(Outcome::Ok), 0);
    assert_eq!(bench.handled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_known_caller_is_served_and_has_one_line() {
    let bench = Bench::start(Wishes::default()).await;
    let answer = bench.client().await.ask(good(WHO_AM_I), EMPTY).await;
    assert_eq!(answer.code, Some(Code::Ok));
    let lines = bench.porter.lines.lock().unwrap().clone();
    assert_eq!(lines, [(WHO_AM_I.to_owned(), Outcome::Ok, String::new(), 1)]);
}

#[tokio::test]
async fn b22_what_is_no_grpc_call_reaches_no_handler_and_is_in_the_ledger() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let plain = |content_type: &str| {
        http::Request::post(format!("https://localhost{WHO_AM_I}"))
            .header("content-type", content_type)
            .header("authorization", super::bench::GOOD)
    };
    for (request, http, code) in [
        (good(WHO_AM_I).method("GET"), 405, Code::InvalidArgument),
        (good(WHO_AM_I).method("PUT"), 405, Code::InvalidArgument),
        (plain("application/json"), 415, Code::InvalidArgument),
        (plain("application/grpc-web"), 415, Code::InvalidArgument),
        (good(&format!("{WHO_AM_I}?x=1")), 200, Code::Unimplemented),
        (good(&format!("{WHO_AM_I}/")), 200, Code::Unimplemented),
        (good("/valetkey.v1.AccessService/Steal"), 200, Code::Unimplemented),
        (good(WHO_AM_I).header("grpc-encoding", "gzip"), 200, Code::Unimplemented),
    ] {
        let answer = client.ask(request, EMPTY).await;
        assert_eq!((answer.http, answer.code), (http, Some(code)));
    }
    assert_eq!(bench.handled.load(Ordering::SeqCst), 0);
    assert_eq!(bench.porter.calls(Outcome::Malformed), 8);
    assert_eq!(client.ask(plain("application/grpc+proto"), EMPTY).await.code, Some(Code::Ok));
}

#[tokio::test]
async fn two_authorization_headers_are_told_what_a_stranger_is_told() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let told = client.ask(stranger(WHO_AM_I), EMPTY).await;
    let twice = good(WHO_AM_I).header("authorization", super::bench::GOOD);
    assert_eq!(client.ask(twice, EMPTY).await, told);
}

#[tokio::test]
async fn b24_headers_about_address_and_identity_are_not_believed() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let forged = |request: http::request::Builder| {
        request
            .header("x-forwarded-for", "203.0.113.9")
            .header("x-forwarded-user", "owner")
            .header("x-principal", "owner")
    };
    assert_eq!(client.ask(forged(stranger(WHO_AM_I)), EMPTY).await.code, Some(Code::Unauthenticated));
    assert_eq!(client.ask(forged(good(WHO_AM_I)), EMPTY).await.code, Some(Code::Ok));
    let sources = bench.porter.sources.lock().unwrap().clone();
    assert_eq!(sources, vec![Some("127.0.0.1".to_owned()); 2]);
}

#[tokio::test]
async fn e3_a_message_beyond_its_method_or_compressed_is_refused_unread() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    for (body, code) in [
        (&[0, 255, 255, 255, 255][..], Code::OutOfRange),
        (&[1, 0, 0, 0, 0], Code::Unimplemented),
        (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Code::InvalidArgument),
        (EMPTY, Code::Ok),
    ] {
        assert_eq!(client.ask(good(WHO_AM_I), body).await.code, Some(code));
    }
    assert_eq!(bench.handled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn e4_a_call_past_its_deadline_is_told_so_whatever_it_asked_for() {
    let mut wishes = Wishes::default();
    wishes.door.request_timeout_max = Duration::from_millis(50);
    let bench = Bench::start(wishes).await;
    let mut client = bench.client().await;
    for asked in ["0S", "1n", "99999999H", "junk"] {
        let answer = client.ask(good(HANGS).header("grpc-timeout", asked), EMPTY).await;
        assert_eq!(answer.code, Some(Code::DeadlineExceeded), "{asked}");
    }
    assert_eq!(bench.porter.calls(Outcome::Failed), 4);
}

#[tokio::test]
async fn e5_too_many_headers_and_bad_binary_ones_are_refused_and_the_next_call_is_served() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let large = good(WHO_AM_I).header("x-large", "a".repeat(16 * 1024 + 1));
    let many = (0..1000).fold(good(WHO_AM_I), |request, n| request.header(format!("x-header-{n}"), "some value"));
    for request in [large, many] {
        let refused = client.try_ask(request, EMPTY).await;
        assert!(refused.is_err() || refused.is_ok_and(|answer| answer.http == 431 && answer.code.is_none()));
    }
    let mut client = bench.client().await;
    let answer = client.ask(good(WHO_AM_I).header("x-bin", "***"), EMPTY).await;
    assert_eq!(answer.code, Some(Code::InvalidArgument));
    assert_eq!(bench.handled.load(Ordering::SeqCst), 0);
    assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
}

#[tokio::test]
async fn a_panic_is_answered_without_its_words_and_the_next_call_is_served() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let answer = client.ask(good(PANICS), EMPTY).await;
    assert_eq!(answer.code, Some(Code::Internal));
    assert!(answer.message.contains("incident") && !answer.message.contains("hunter2"));
    assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    assert_eq!((bench.porter.calls(Outcome::Failed), bench.porter.calls(Outcome::Ok)), (1, 1));
}

#[tokio::test]
async fn without_the_ledger_nothing_is_answered_but_health_audit_and_status() {
    let bench = Bench::start(Wishes::default()).await;
    bench.porter.ledger_broken.store(true, Ordering::SeqCst);
    let mut client = bench.client().await;
    assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Unavailable));
    for path in ["/valetkey.v1.AuditService/ListAuditLines", "/valetkey.v1.OperatorService/GetStatus"] {
        assert_eq!(client.ask(good(path), EMPTY).await.code, Some(Code::Ok), "{path}");
    }
    assert_eq!(client.ask(stranger(HEALTH), EMPTY).await.code, Some(Code::Ok));
    assert_eq!(
        client.ask(good("/valetkey.v1.OperatorService/GetKeyStatus"), EMPTY).await.code,
        Some(Code::Unavailable)
    );
}

#[tokio::test]
async fn g7_a_flood_of_refused_calls_is_counted_to_the_last_one() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    let flood: Vec<_> = (0..300).map(|_| tokio::spawn(client.begin(stranger(WHO_AM_I), EMPTY))).collect();
    for call in flood {
        assert_eq!(call.await.unwrap().unwrap().code, Some(Code::Unauthenticated));
    }
    bench.porter.ledger_broken.store(true, Ordering::SeqCst);
    assert!(bench.door.flush(true).await.is_err());
    bench.porter.ledger_broken.store(false, Ordering::SeqCst);
    // Counted while an earlier count is still to be written: the last flush,
    // that of the stop, writes both.
    for _ in 0..100 {
        assert_eq!(client.ask(stranger(WHO_AM_I), EMPTY).await.code, Some(Code::Unauthenticated));
    }
    bench.door.flush(true).await.unwrap();
    assert_eq!(bench.porter.calls(Outcome::Denied), 400);
    assert!(bench.porter.lines.lock().unwrap().len() < 400);
}

#[tokio::test]
async fn a_guesser_is_throttled_and_a_valid_token_behind_its_address_is_not() {
    let mut wishes = Wishes::default();
    wishes.door.failed_authentications_per_minute = NonZeroU32::new(3).unwrap();
    let bench = Bench::start(wishes).await;
    let mut client = bench.client().await;
    for _ in 0..3 {
        assert_eq!(client.ask(stranger(WHO_AM_I), EMPTY).await.code, Some(Code::Unauthenticated));
    }
    assert_eq!(client.ask(stranger(WHO_AM_I), EMPTY).await.code, Some(Code::ResourceExhausted));
    assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    assert_eq!(bench.porter.calls(Outcome::Throttled), 1);
}

#[tokio::test]
async fn a_principal_over_its_rate_is_told_to_wait() {
    let mut wishes = Wishes::default();
    wishes.door.calls_per_second = NonZeroU32::new(1).unwrap();
    wishes.door.calls_burst = NonZeroU32::new(2).unwrap();
    let bench = Bench::start(wishes).await;
    let mut client = bench.client().await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(client.ask(good(WHO_AM_I), EMPTY).await.code);
    }
    assert_eq!(codes, [Some(Code::Ok), Some(Code::Ok), Some(Code::ResourceExhausted)]);
}

#[tokio::test]
async fn a_principal_has_its_share_of_the_calls_and_others_are_served() {
    let mut wishes = Wishes::default();
    wishes.door.requests_max = 4;
    wishes.door.principal_share = Share::percent(50).unwrap();
    let bench = Bench::start(wishes).await;
    let mut greedy = bench.client().await;
    let hanging: Vec<_> = (0..2).map(|_| tokio::spawn(greedy.begin(good(HANGS), EMPTY))).collect();
    while bench.handled.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..300 {
        let refused = greedy.ask(good(WHO_AM_I), EMPTY).await;
        assert_eq!(refused.code, Some(Code::ResourceExhausted));
        assert!(refused.message.contains("2 calls in progress") && refused.message.contains("limits.principal_share"));
    }
    assert_eq!(greedy.ask(other(WHO_AM_I), EMPTY).await.code, Some(Code::Ok), "also on the same connection");
    bench.door.flush(true).await.unwrap();
    assert_eq!(bench.porter.calls(Outcome::Throttled), 300, "all are in the ledger");
    let lines = bench.porter.lines.lock().unwrap().iter().filter(|line| line.1 == Outcome::Throttled).count();
    assert!(lines < 300, "and counted, not each in a line of its own: {lines}");
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
    while greedy.ask(good(WHO_AM_I), EMPTY).await.code != Some(Code::Ok) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn beyond_the_calls_at_a_time_the_next_is_refused() {
    let mut wishes = Wishes::default();
    wishes.door.requests_max = 1;
    let bench = Bench::start(wishes).await;
    let (mut first, mut second) = (bench.client().await, bench.client().await);
    let hanging = tokio::spawn(async move { first.ask(good(HANGS), EMPTY).await });
    while bench.handled.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(second.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::ResourceExhausted));
    // Who has no token takes none of these places, and needs none.
    assert_eq!(second.ask(stranger(HEALTH), EMPTY).await.code, Some(Code::Ok));
    assert_eq!(second.ask(stranger(WHO_AM_I), EMPTY).await.code, Some(Code::Unauthenticated));
    hanging.abort();
    // Its place is free as soon as the server has seen the reset.
    while second.ask(good(WHO_AM_I), EMPTY).await.code != Some(Code::Ok) {
        tokio::task::yield_now().await;
    }
}

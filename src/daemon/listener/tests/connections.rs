//! Who may hold a connection for how long, and how connections end.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use super::bench::{Bench, EMPTY, WHO_AM_I, Wishes, good, other, stranger};
use crate::domain::Share;

/// Nothing here takes longer; a test that does has failed.
const SOON: Duration = Duration::from_secs(20);

/// Returns when the peer has closed.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut buffer = [0; 1024];
    let end = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(SOON, end).await.expect("the server closes it");
}

#[tokio::test]
async fn f1_silent_connections_are_cut_and_a_good_client_is_served() {
    let mut wishes = Wishes::default();
    // Time enough for the good one on a busy machine.
    wishes.limits.handshake = Duration::from_millis(1_500);
    wishes.limits.first_request = Duration::from_millis(1_500);
    let bench = Bench::start(wishes).await;
    let mut good_client = bench.client().await;
    assert_eq!(good_client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    let mut silent_tcp = TcpStream::connect(bench.address).await.unwrap();
    let mut silent_tls = bench.tls(&[b"h2"]).await.unwrap();
    let only_preface = bench.client().await;
    closed(&mut silent_tcp).await;
    closed(&mut silent_tls).await;
    tokio::time::timeout(SOON, only_preface.ended).await.unwrap().unwrap();
    assert_eq!(good_client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
}

#[tokio::test]
async fn who_was_refused_is_a_stranger_still() {
    let bench = Bench::start(Wishes::default()).await;
    let connection = bench.door.connection([192, 0, 2, 7].into());
    for (asks, trusted) in [(stranger(WHO_AM_I), false), (good(WHO_AM_I), true)] {
        let body = http_body_util::Full::new(hyper::body::Bytes::from_static(EMPTY));
        let request = asks.version(http::Version::HTTP_2).body(body).unwrap();
        drop(std::sync::Arc::clone(&bench.door).call(request, std::sync::Arc::clone(&connection)).await);
        assert_eq!(connection.trusted(), trusted);
    }
}

#[tokio::test]
async fn f1_at_the_cap_the_oldest_stranger_gives_way_to_a_good_client() {
    let bench = Bench::start(Wishes { connections_max: 3, ..Wishes::default() }).await;
    let mut known = bench.client().await;
    assert_eq!(known.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(bench.address).await.unwrap());
    }
    let mut late = tokio::time::timeout(SOON, bench.client()).await.unwrap();
    assert_eq!(late.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    assert_eq!(known.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    closed(&mut silent[0]).await;
}

#[tokio::test]
async fn a_principal_that_has_taken_all_places_gives_way_to_another_down_to_its_share() {
    let mut wishes = Wishes { connections_max: 4, ..Wishes::default() };
    wishes.door.principal_share = Share::percent(75).unwrap();
    let bench = Bench::start(wishes).await;
    let mut greedy = Vec::new();
    for _ in 0..4 {
        let mut client = bench.client().await;
        assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
        greedy.push(client);
    }
    let mut late = tokio::time::timeout(SOON, bench.client()).await.unwrap();
    assert_eq!(late.ask(other(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    let mut served = 0;
    for client in &mut greedy {
        served += usize::from(client.try_ask(good(WHO_AM_I), EMPTY).await.is_ok());
    }
    assert_eq!(served, 3, "three are its share");
}

#[tokio::test]
async fn b22_http_1_and_plain_http_2_get_no_answer() {
    let bench = Bench::start(Wishes::default()).await;
    assert!(bench.tls(&[b"http/1.1"]).await.is_err());
    let mut without_alpn = bench.tls(&[]).await.unwrap();
    closed(&mut without_alpn).await;
    let mut plain = TcpStream::connect(bench.address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    closed(&mut plain).await;
    assert_eq!(bench.client().await.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
}

#[tokio::test]
async fn a_connection_that_carried_a_secret_ends_after_its_answer() {
    let bench = Bench::start(Wishes::default()).await;
    for path in ["RegisterConnector", "UpdateConnector", "RotateConnectorSecret"] {
        let mut client = bench.client().await;
        let path = format!("/valetkey.v1.ConnectorService/{path}");
        assert_eq!(client.ask(good(&path), EMPTY).await.code, Some(Code::Ok));
        tokio::time::timeout(SOON, client.ended).await.unwrap().unwrap();
    }
    let mut other = bench.client().await;
    for _ in 0..3 {
        let path = "/valetkey.v1.ConnectorService/ListConnectors";
        assert_eq!(other.ask(good(path), EMPTY).await.code, Some(Code::Ok));
    }
}

#[tokio::test]
async fn when_the_daemon_stops_streams_and_connections_end() {
    let bench = Bench::start(Wishes::default()).await;
    let mut client = bench.client().await;
    assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    let mut watcher = bench.client().await;
    let watching = tokio::spawn(async move { watcher.ask(stranger("/grpc.health.v1.Health/Watch"), EMPTY).await.code });
    tokio::task::yield_now().await;
    bench.stop.send_replace(true);
    tokio::time::timeout(SOON, async {
        bench.listener.ended().await;
        bench.door.idle().await;
    })
    .await
    .expect("all connections end");
    let _ = watching.await;
    tokio::time::timeout(SOON, client.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_ended_and_the_client_may_come_again() {
    let mut wishes = Wishes::default();
    wishes.limits.idle = Duration::from_millis(100);
    let bench = Bench::start(wishes).await;
    let mut client = bench.client().await;
    assert_eq!(client.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
    tokio::time::timeout(SOON, client.ended).await.unwrap().unwrap();
    assert_eq!(bench.client().await.ask(good(WHO_AM_I), EMPTY).await.code, Some(Code::Ok));
}

//! Refresh tokens whose answer is late, or is never heard: each use replaces
//! them, so that an answer that nobody waits for costs the connector.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::fake::{Fake, Manner, REFRESH};
use super::tests::{CALL_TIMEOUT, ask_with, client_secret, mint_with, refresh_secret, settings, upstream};
use crate::connectors::UpstreamError;
use crate::connectors::loopback::Instead;
use crate::domain::AccessLevel;

#[tokio::test]
async fn a_provider_that_rotates_and_answers_late_is_waited_for() {
    let fake = Fake::start(Manner::Late(CALL_TIMEOUT * 2)).await;
    let (upstream, ask) = (upstream(&fake.url), ask_with(AccessLevel::Read, None));
    let refreshing = settings("refresh-token", &fake.url, "");
    let outcome = mint_with(&upstream, &refreshing, &refresh_secret(REFRESH), &ask).await.ok().unwrap();
    assert!(outcome.minted.is_ok());
    assert_eq!(outcome.successor.unwrap().field("refresh_token").unwrap().expose(), b"refresh-2");
    // Of what can be asked again nobody waits that long.
    let asking = settings("client-credentials", &fake.url, "");
    let error = mint_with(&upstream, &asking, &client_secret(), &ask).await.err();
    assert_eq!(error, Some(UpstreamError::DeadlineExceeded));
}

#[tokio::test]
async fn an_answer_that_is_never_heard_is_no_reason_to_ask_again() {
    // It does not answer; it does what it is asked, and hangs up; a gateway has waited for it in vain.
    let gateway = || Instead::Bytes(b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n".to_vec());
    for instead in [|| Instead::Silence, || Instead::Bytes(Vec::new()), gateway] {
        let fake = Fake::start(Manner::Sound).await;
        fake.gate.turn(1, Arc::new(move |_| Some(instead())));
        let (upstream, ask) = (upstream(&fake.url), ask_with(AccessLevel::Read, None));
        let refreshing = settings("refresh-token", &fake.url, "");
        let error = mint_with(&upstream, &refreshing, &refresh_secret(REFRESH), &ask).await.err().unwrap();
        assert_eq!(error, UpstreamError::InDoubt);
        assert!(!error.recoverable() && error.condemns_source(), "nobody tries again by himself");
        assert_eq!(fake.asked().len(), 1, "nor does anything of ours");
    }
}

/// A provider that is down has used nothing up: that passes.
#[tokio::test]
async fn a_provider_that_is_not_there_is_asked_again_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (upstream, ask) = (upstream(&url), ask_with(AccessLevel::Read, None));
    let error = mint_with(&upstream, &settings("refresh-token", &url, ""), &refresh_secret(REFRESH), &ask).await.err();
    assert!(error.is_some_and(|error| error.recoverable()));
}

#[test]
fn patience_has_an_end() {
    for (call_timeout, wanted) in [(1, 6), (10, 60), (30, 60), (120, 120)] {
        let upstream = super::tests::upstream_within("http://127.0.0.1:1", Duration::from_secs(call_timeout));
        assert_eq!(upstream.outbound.patience(), Duration::from_secs(wanted));
    }
}

//! One connection from its handshake to its end.
//!
//! A stranger, of whom no call was authenticated yet, has little time. Others
//! end gracefully when they are idle, old, carried a secret, or the daemon
//! stops: calls in progress are answered, new ones go elsewhere.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::layers::{Connection, Door, Fate};

use super::gathered::Gathered;

/// A stranger that keeps asking for nothing but health ends after this.
const STRANGER_AGE_MAX: Duration = Duration::from_secs(60);
/// Streams of one connection at a time.
const STREAMS_MAX: u32 = 200;
/// Of all headers of a request together.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// The largest request is 256 KiB; a client may send so much before we read.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
const FRAME_BYTES_MAX: u32 = 16 * 1024;
/// What waits for a slow reader, on each stream.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// A peer that is gone is noticed after this and the timeout.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection may be what.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Handshaking.
    pub handshake: Duration,
    /// A stranger.
    pub first_request: Duration,
    /// Without a call.
    pub idle: Duration,
    /// Open.
    pub age: Duration,
    /// Ending, when the daemon stops.
    pub drain: Duration,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoOn,
    Finish,
    Cut,
}

/// Serves a connection to its end.
pub(super) async fn drive<S>(
    stream: S,
    door: Arc<Door>,
    connection: Arc<Connection>,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ours = Arc::clone(&connection);
    let service = service_fn(move |request| {
        // Boxed: what serves the call moves it several times before it begins.
        let answer = Box::pin(Arc::clone(&door).call(request, Arc::clone(&ours)));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut http = pin!(builder().serve_connection(TokioIo::new(Gathered(stream)), service));
    // Set once it finishes: when it must be over.
    let mut over_at: Option<Instant> = None;
    loop {
        let stop = *stopping.borrow();
        match verdict(&connection, &limits, stop, over_at) {
            Verdict::GoOn => {}
            Verdict::Finish => {
                let rest = if stop { limits.drain } else { limits.age };
                over_at = Some(Instant::now() + rest);
                http.as_mut().graceful_shutdown();
            }
            Verdict::Cut => return,
        }
        tokio::select! {
            // How it ended is the peer's affair; calls have their own lines.
            _ = http.as_mut() => return,
            () = connection.fate_changed() => {}
            // Already finishing connections must still hear of the stop: it
            // ends streams; the drain deadline is the listener's.
            _ = stopping.changed(), if !stop => {}
            () = tokio::time::sleep(wake_after(&connection, &limits, over_at)) => {}
        }
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

fn verdict(connection: &Connection, limits: &ConnectionLimits, stop: bool, over_at: Option<Instant>) -> Verdict {
    if let Some(over_at) = over_at {
        let over = Instant::now() >= over_at || connection.fate() == Fate::Cut;
        return if over { Verdict::Cut } else { Verdict::GoOn };
    }
    let stranger = !connection.trusted();
    let too_long_a_stranger =
        stranger && (connection.idle() >= limits.first_request || connection.age() >= STRANGER_AGE_MAX);
    match connection.fate() {
        Fate::Cut => Verdict::Cut,
        Fate::Serve | Fate::Finish if too_long_a_stranger => Verdict::Cut,
        Fate::Finish => Verdict::Finish,
        Fate::Serve if stop || connection.idle() >= limits.idle || connection.age() >= limits.age => Verdict::Finish,
        Fate::Serve => Verdict::GoOn,
    }
}

/// When the verdict may be another one.
fn wake_after(connection: &Connection, limits: &ConnectionLimits, over_at: Option<Instant>) -> Duration {
    if let Some(over_at) = over_at {
        return over_at.saturating_duration_since(Instant::now());
    }
    let (idle_max, age_max) =
        if connection.trusted() { (limits.idle, limits.age) } else { (limits.first_request, STRANGER_AGE_MAX) };
    idle_max.saturating_sub(connection.idle()).min(age_max.saturating_sub(connection.age()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        handshake: Duration::from_secs(5),
        first_request: Duration::from_secs(10),
        idle: Duration::from_secs(600),
        age: Duration::from_secs(3600),
        drain: Duration::from_secs(30),
    };

    fn connection() -> Arc<Connection> {
        Arc::new(Connection::new([127, 0, 0, 1].into(), String::new()))
    }

    fn judged(connection: &Connection) -> Verdict {
        verdict(connection, &LIMITS, false, None)
    }

    #[tokio::test(start_paused = true)]
    async fn f1_a_stranger_is_cut_and_a_known_peer_is_ended_gracefully() {
        let (stranger, known) = (connection(), connection());
        known.trust();
        tokio::time::advance(LIMITS.first_request - Duration::from_millis(1)).await;
        assert_eq!((judged(&stranger), judged(&known)), (Verdict::GoOn, Verdict::GoOn));
        assert_eq!(wake_after(&stranger, &LIMITS, None), Duration::from_millis(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((judged(&stranger), judged(&known)), (Verdict::Cut, Verdict::GoOn));
        tokio::time::advance(LIMITS.idle).await;
        assert_eq!(judged(&known), Verdict::Finish);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_that_keeps_asking_for_health_ends_after_a_minute() {
        let stranger = connection();
        for _ in 0..6 {
            tokio::time::advance(Duration::from_secs(9)).await;
            drop(stranger.enter());
            assert_eq!(judged(&stranger), Verdict::GoOn);
        }
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(judged(&stranger), Verdict::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_finishes_though_a_call_is_in_progress() {
        let known = connection();
        known.trust();
        let _call = known.enter();
        tokio::time::advance(LIMITS.age - Duration::from_millis(1)).await;
        assert_eq!(judged(&known), Verdict::GoOn);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(judged(&known), Verdict::Finish);
    }

    #[tokio::test(start_paused = true)]
    async fn what_finishes_is_over_at_its_deadline() {
        let known = connection();
        known.trust();
        assert_eq!(verdict(&known, &LIMITS, true, None), Verdict::Finish);
        let over_at = Instant::now() + LIMITS.drain;
        assert_eq!(verdict(&known, &LIMITS, true, Some(over_at)), Verdict::GoOn);
        tokio::time::advance(LIMITS.drain).await;
        assert_eq!(verdict(&known, &LIMITS, true, Some(over_at)), Verdict::Cut);
    }
}

//! The server under every fake of the workshops: HTTP/1.1 on loopback, with or
//! without TLS, and a gate through which a test has it lie.
//!
//! A fake says what a decent cloud answers. What the gate makes of that goes to
//! the caller byte by byte as it is: no server of good manners stands between.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request::Parts;
use http_body_util::{BodyExt, Collected, Full};
use hyper::Response;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// What a fake answers.
pub type Answer = Response<Full<Bytes>>;

/// Between two bytes of an answer that trickles.
const PAUSE: Duration = Duration::from_millis(20);

/// An answer of these bytes.
pub fn answer(status: u16, text: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(Full::new(text.into())).unwrap()
}

/// What a decent cloud answered, and to what.
pub struct Honest<'a> {
    /// What authorized the request, and its body: all that a cloud could tell
    /// of what it was shown.
    pub shown: &'a str,
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// What is sent in place of an answer.
pub enum Instead {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, and then one after the other for as long as somebody reads.
    Trickle(Vec<u8>),
    /// These bytes, and then more than anybody should read.
    Flood(Vec<u8>),
    /// Nothing, for as long as somebody waits.
    Silence,
}

/// What becomes of an answer; nothing where it stays as it is.
pub type Lie = Arc<dyn Fn(&Honest<'_>) -> Option<Instead> + Send + Sync>;

/// Where a test has a fake lie. The same gate whoever holds it.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    asked: Vec<String>,
    from: usize,
    lie: Option<Lie>,
    told: usize,
}

impl Gate {
    /// From here on `lie` is told at the request of this number, counted from
    /// 1, and at each one after it.
    pub fn turn(&self, from: usize, lie: Lie) {
        *self.0.lock().unwrap() = State { from, lie: Some(lie), ..State::default() };
    }

    /// Every request since it was turned, or since the start.
    pub fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// How often a lie was told.
    pub fn told(&self) -> usize {
        self.0.lock().unwrap().told
    }

    fn pass(&self, line: &str) -> Option<Lie> {
        let mut state = self.0.lock().unwrap();
        state.asked.push(line.to_owned());
        let due = state.asked.len() >= state.from;
        state.lie.clone().filter(|_| due)
    }
}

/// A place on loopback where nobody serves yet.
pub struct Loopback {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    gate: Gate,
}

impl Loopback {
    /// Without TLS.
    pub async fn plain() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls: None, gate: Gate::default() }
    }

    /// With TLS.
    pub async fn tls(acceptor: TlsAcceptor) -> Self {
        Self { tls: Some(acceptor), ..Self::plain().await }
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listener.local_addr().unwrap())
    }

    /// Serves until the test's runtime ends.
    pub fn serve<A, F>(self, answer: A) -> Gate
    where
        A: Fn(Parts, Bytes) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let Self { listener, tls, gate } = self;
        let shared = gate.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Head and body are written by themselves: the second does not wait for word of the first.
                let _ = stream.set_nodelay(true);
                let (tls, gate, answer) = (tls.clone(), shared.clone(), answer.clone());
                tokio::spawn(async move {
                    match tls {
                        None => attend(stream, gate, answer).await,
                        Some(tls) => {
                            // A client that does not trust us goes away.
                            let Ok(stream) = tls.accept(stream).await else { return };
                            attend(stream, gate, answer).await;
                        }
                    }
                });
            }
        });
        gate
    }
}

/// One connection. The server of good manners is behind a pipe of its own, so
/// that a lie can take its place.
async fn attend<S, A, F>(mut socket: S, gate: Gate, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    A: Fn(Parts, Bytes) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (answer, gate, tell) = (answer.clone(), gate.clone(), tell.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let answer = passed(&gate, answer, parts, body, &tell).await;
            Ok::<_, Infallible>(answer)
        }
    });
    let decent = async {
        let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
        let _ = tokio::join!(served, tokio::io::copy_bidirectional(&mut socket, &mut near));
    };
    let instead = tokio::select! {
        () = decent => None,
        instead = told.recv() => instead,
    };
    if let Some(instead) = instead {
        // Whoever is lied to may go away at any byte.
        let _ = send(&mut socket, instead).await;
    }
}

async fn passed<A, F>(
    gate: &Gate,
    answer: A,
    parts: Parts,
    body: Bytes,
    tell: &mpsc::UnboundedSender<Instead>,
) -> Answer
where
    A: Fn(Parts, Bytes) -> F,
    F: Future<Output = Answer>,
{
    let line = format!("{} {}", parts.method, parts.uri);
    let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shown = format!("{authorization} {}", String::from_utf8_lossy(&body));
    let lie = gate.pass(&line);
    let honest = answer(parts, body).await;
    let Some(lie) = lie else { return honest };
    let (head, body) = honest.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let honest = Honest { shown: &shown, status: head.status.as_u16(), body: &body };
    let Some(instead) = lie(&honest) else { return Response::from_parts(head, Full::new(body)) };
    gate.0.lock().unwrap().told += 1;
    let _ = tell.send(instead);
    std::future::pending().await
}

async fn send(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), instead: Instead) -> std::io::Result<()> {
    match instead {
        Instead::Bytes(bytes) => {
            socket.write_all(&bytes).await?;
            socket.shutdown().await
        }
        Instead::Trickle(bytes) => {
            socket.write_all(&bytes).await?;
            let mut pause = tokio::time::interval(PAUSE);
            loop {
                pause.tick().await;
                socket.write_all(b" ").await?;
                socket.flush().await?;
            }
        }
        Instead::Flood(bytes) => {
            socket.write_all(&bytes).await?;
            loop {
                socket.write_all(&[b'x'; 64 * 1024]).await?;
            }
        }
        Instead::Silence => {
            let mut heard = [0; 1024];
            while socket.read(&mut heard).await? > 0 {}
            Ok(())
        }
    }
}

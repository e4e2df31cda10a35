//! The one address that Google's client knows: a listener on loopback that
//! lets through one request, at a path that nobody else can know.
//!
//! Whatever else comes in is answered 404 and bounded in size, time and number;
//! it neither uses up the one request nor holds it up for long.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The client has one; the rest is for strangers, who must not be in its way.
const CONNECTIONS_MAX: usize = 8;
/// For a head and for a body, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(2);
/// The least that hyper takes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 32;
/// A client's id of 4 KiB, with every byte of it escaped, and the rest.
const BODY_BYTES_MAX: usize = 32 * 1024;
/// Both ways to a metadata server.
const FLAVOR: &str = "metadata-flavor";

/// The request that was let through. It holds no secret: see `StandIn`.
#[derive(Debug)]
pub struct Asked {
    /// Of which kind of server an answer is expected; for a metadata server.
    pub flavor: Option<String>,
    /// As it came.
    pub body: Vec<u8>,
}

/// A listener for one request.
pub struct Relay {
    listener: TcpListener,
    door: Arc<Door>,
    hears: oneshot::Receiver<Asked>,
}

struct Door {
    at: SocketAddr,
    method: Method,
    path: String,
    answer: String,
    /// Taken by the one request.
    tell: Mutex<Option<oneshot::Sender<Asked>>>,
}

impl Relay {
    /// Listens for this method at this path, to answer with this JSON.
    pub async fn open(method: Method, path: String, answer: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (tell, hears) = oneshot::channel();
        let door = Door { at: listener.local_addr()?, method, path, answer, tell: Mutex::new(Some(tell)) };
        Ok(Self { listener, door: Arc::new(door), hears })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.door.at)
    }

    /// The request that was let through, if one was.
    pub fn asked(&mut self) -> Option<Asked> {
        self.hears.try_recv().ok()
    }

    /// Serves for as long as this is waited for.
    pub async fn serve(&self) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= CONNECTIONS_MAX {
                let _ = connections.join_next().await;
            }
            let Ok((stream, _)) = self.listener.accept().await else { return };
            connections.spawn(attend(stream, Arc::clone(&self.door)));
        }
    }
}

async fn attend(stream: TcpStream, door: Arc<Door>) {
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false);
    // How it ended is the peer's affair.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, text) = match self.let_through(request).await {
            Ok(()) => (StatusCode::OK, self.answer.clone()),
            Err(status) => (status, String::new()),
        };
        let mut answer = Response::new(Full::new(Bytes::from(text)));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }

    async fn let_through(&self, request: Request<Incoming>) -> Result<(), StatusCode> {
        let (head, body) = request.into_parts();
        if !self.expects(&head) {
            return Err(StatusCode::NOT_FOUND);
        }
        let body = tokio::time::timeout(PATIENCE, Limited::new(body, BODY_BYTES_MAX).collect());
        let body = body.await.map_err(|_| StatusCode::REQUEST_TIMEOUT)?.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let tell = self.tell.lock().ok().and_then(|mut tell| tell.take()).ok_or(StatusCode::NOT_FOUND)?;
        let asked = Asked { flavor: text(&head, FLAVOR).map(str::to_owned), body: body.to_bytes().into() };
        tell.send(asked).map_err(|_| StatusCode::NOT_FOUND)
    }

    /// The path is what nobody else knows. The host keeps out whoever was led
    /// here under another name, and the form whoever goes through a proxy.
    fn expects(&self, head: &Parts) -> bool {
        let direct = head.uri.scheme().is_none() && text(head, "host") == Some(self.at.to_string().as_str());
        let path = head.uri.path_and_query().map_or("", |path| path.as_str());
        direct && head.method == self.method && bool::from(path.as_bytes().ct_eq(self.path.as_bytes()))
    }
}

/// A header that is text.
fn text<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

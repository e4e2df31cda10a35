//! An STS that gives the same answer to everything, after a set delay, and counts.
//!
//! Checks nothing: what is measured is the daemon. `/control?delay_ms=N` sets the delay and answers the count so far.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::plan::Outcome;

/// Serves until it is killed.
pub fn run() -> Outcome<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(served())
}

/// Sets the delay of the STS on this port; answers how many calls it has had.
pub fn control(port: u16, delay: Duration) -> Outcome<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let path = format!("/control?delay_ms={}", delay.as_millis());
    write!(stream, "GET {path} HTTP/1.1\r\nhost: sts\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, count) = answer.rsplit_once("\r\n\r\n").ok_or("the STS did not answer")?;
    Ok(count.trim().parse()?)
}

/// A connection to the STS that is used again and again, as the daemon's are: what the cloud costs alone.
pub struct Direct(tokio::net::TcpStream);

impl Direct {
    /// Connects.
    pub async fn connect(port: u16) -> Outcome<Self> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Asks once, with a body as long as that of AssumeRole, and reads the answer to its end.
    pub async fn ask(&mut self) -> Outcome<()> {
        let head = format!("POST / HTTP/1.1\r\nhost: sts\r\ncontent-length: {ASK_BYTES}\r\n\r\n");
        self.0.write_all(&[head.as_bytes(), &[b'a'; ASK_BYTES]].concat()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(ANSWER_ENDS) {
            if self.0.read_buf(&mut answer).await? == 0 {
                return Err("the STS hung up".into());
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct State {
    calls: AtomicU64,
    delay_ms: AtomicU64,
}

async fn served() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?.port());
    let state = Arc::new(State::default());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| answered(Arc::clone(&state), request));
            // A connection that breaks is its client's affair.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answered(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/control" {
        let delay = request.uri().query().and_then(|query| query.strip_prefix("delay_ms=")?.parse().ok());
        state.delay_ms.store(delay.unwrap_or(0), Ordering::Relaxed);
        let count = state.calls.load(Ordering::Relaxed).to_string();
        return Ok(Response::new(Full::new(Bytes::from(count))));
    }
    state.calls.fetch_add(1, Ordering::Relaxed);
    // Read to its end, so that the connection is used again.
    let _ = request.into_body().collect().await;
    let delay = state.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut response = Response::new(Full::new(Bytes::from(assumed())));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("text/xml"));
    Ok(response)
}

/// An answer to AssumeRole as long as a real one, that ends in an hour.
fn assumed() -> String {
    let expires = jiff::Timestamp::now() + SESSION_LIFETIME;
    let mut token = String::new();
    for piece in 0..SESSION_TOKEN_PIECES {
        let _ = write!(token, "{piece:08}");
    }
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROABENCHBENCHBENCHBE:session</AssumedRoleId>\
         <Arn>arn:aws:sts::123456789012:assumed-role/bench/session</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIABENCHBENCHBENCHBE</AccessKeyId>\
         <SecretAccessKey>bench+bench+bench+bench+bench+bench+benc</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{}</Expiration></Credentials>\
         <PackedPolicySize>6</PackedPolicySize></AssumeRoleResult>\
         <ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>\
         </AssumeRoleResponse>",
        expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}

const SESSION_LIFETIME: Duration = Duration::from_secs(3600);

const ASK_BYTES: usize = 1200;

const ANSWER_ENDS: &[u8] = b"</AssumeRoleResponse>";

// 8 characters each; real session tokens have 350 and more.
const SESSION_TOKEN_PIECES: usize = 48;

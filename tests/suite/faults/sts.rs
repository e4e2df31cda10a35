//! An STS on loopback that answers what it is told to: always the same session, slowly, with an error that repeats the
//! request, or not at all. Counts what it is asked.
//!
//! It checks no signature: whether real servers accept what we send is tested on `weed` and `moto`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How it answers.
#[derive(Clone, Debug)]
pub enum Manner {
    /// A session, after a while.
    Session(Duration),
    /// 403 with a body that repeats the request, its headers, and this text.
    Echo(String),
    /// 503, at once.
    Down,
    /// 429 with the code of STS, and a wish to be left alone for so many seconds.
    Throttled(u32),
}

/// The session it gives to everybody.
#[derive(Clone, Debug)]
pub struct SessionParts {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token.
    pub token: String,
}

/// A running STS; ends when dropped.
pub struct Sts {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct State {
    manner: Mutex<Manner>,
    session: SessionParts,
    sessions: AtomicU64,
    asked: AtomicU64,
    // Key id and session policy of each ask for a session.
    signed: Mutex<Vec<(String, String)>>,
}

impl Sts {
    /// Starts one that gives this session.
    pub fn start(session: SessionParts) -> Self {
        let state = Arc::new(State {
            manner: Mutex::new(Manner::Session(Duration::ZERO)),
            session,
            sessions: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            signed: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (said, address) = std::sync::mpsc::channel();
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
                said.send(listener.local_addr().expect("it has an address")).expect("the test waits for it");
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the server starts");
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// One that gives a session that is like real ones.
    pub fn constant() -> Self {
        Self::start(SessionParts {
            id: "ASIACONSTANT00000001".to_owned(),
            secret: "constant/secret+constant/secret+constant".to_owned(),
            token: "constant-session-token".repeat(20),
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how it answers from now on.
    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().expect("nobody panicked with it") = manner;
    }

    /// How many sessions it was asked for.
    pub fn sessions(&self) -> u64 {
        self.state.sessions.load(Ordering::SeqCst)
    }

    /// How many requests of any kind it saw.
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// The ids of the keys that signed asks for a session of this bucket.
    pub fn signers_of(&self, bucket: &str) -> BTreeSet<String> {
        let arn = format!("arn:aws:s3:::{bucket}\"");
        let signed = self.state.signed.lock().expect("nobody panicked with it");
        signed.iter().filter(|(_, policy)| policy.contains(&arn)).map(|(key, _)| key.clone()).collect()
    }
}

impl Drop for Sts {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    state.asked.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let form: std::collections::BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let action = form.get("Action").cloned().unwrap_or_default();
    if action.starts_with("AssumeRole") || action.starts_with("Get") && action != "GetCallerIdentity" {
        state.sessions.fetch_add(1, Ordering::SeqCst);
        let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        let key = authorization.and_then(|text| text.split_once("Credential=")?.1.split('/').next());
        let signed = (key.unwrap_or_default().to_owned(), form.get("Policy").cloned().unwrap_or_default());
        state.signed.lock().expect("nobody panicked with it").push(signed);
    }
    let manner = state.manner.lock().expect("nobody panicked with it").clone();
    let mut response = Response::builder().header("content-type", "text/xml");
    let (status, text) = match manner {
        Manner::Session(delay) => {
            tokio::time::sleep(delay).await;
            (200, session(&action, &form, &state.session))
        }
        Manner::Echo(extra) => {
            (403, refusal("AccessDenied", &format!("{extra} {:?} {}", parts.headers, String::from_utf8_lossy(&body))))
        }
        Manner::Down => (503, "<html>gone fishing</html>".to_owned()),
        Manner::Throttled(seconds) => {
            response = response.header("retry-after", seconds);
            (429, refusal("Throttling", "Rate exceeded"))
        }
    };
    let response = response.status(status);
    Ok(response.body(Full::new(Bytes::from(text))).expect("a response can be made"))
}

fn session(action: &str, form: &std::collections::BTreeMap<String, String>, session: &SessionParts) -> String {
    let seconds: i64 = form.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600);
    let until = Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).expect("the clock is sane");
    let SessionParts { id, secret, token } = session;
    let identity = "<Arn>arn:aws:iam::000000000000:user/broker</Arn><UserId>U</UserId><Account>000000000000</Account>";
    let credentials = format!(
        "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{until:.0}</Expiration></Credentials>"
    );
    let result = if action == "GetCallerIdentity" { identity.to_owned() } else { credentials };
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}\
         </{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
}

fn refusal(code: &str, message: &str) -> String {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

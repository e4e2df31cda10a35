//! A cloud that answers what a test wants: slowly, wrongly, or with secrets in its errors. Plain HTTP/1.1, one thread.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The server; ends with the test's process.
pub struct Evil {
    endpoint: String,
    asked: Arc<AtomicUsize>,
}

impl Evil {
    /// Answers every request with this status and body, after this long.
    pub fn answering(status: u16, body: &str, after: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, body) = (Arc::clone(&asked), body.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counter, body) = (Arc::clone(&counter), body.clone());
                thread::spawn(move || serve(stream, status, &body, after, &counter));
            }
        });
        Self { endpoint, asked }
    }

    /// Passes everything on to a server at this endpoint, whose answers' bodies go through `change`; returns where it listens.
    pub fn relaying(endpoint: &str, change: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free loopback port");
        let here = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let (server, change) = (endpoint.trim_start_matches("http://").to_owned(), Arc::new(change));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, change) = (server.clone(), Arc::clone(&change));
                thread::spawn(move || relay(stream, &server, change.as_ref()));
            }
        });
        here
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

// A client that goes away ends its connection, which is all that can fail here.
fn serve(mut stream: TcpStream, status: u16, body: &str, after: Duration, asked: &AtomicUsize) {
    while read_message(&stream).is_some() {
        asked.fetch_add(1, Ordering::SeqCst);
        thread::sleep(after);
        let head = format!("HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

// One request, one answer, closed: a client then opens another connection.
fn relay(client: TcpStream, server: &str, change: &dyn Fn(&str) -> String) {
    let Some((head, body)) = read_message(&client) else { return };
    let Ok(upstream) = TcpStream::connect(server) else { return };
    relay_answer(client, upstream, (&head, &body), |answer| Some(change(answer)));
}

/// Passes a request on, and its answer back with the body that `change` gives; nothing when it gives none.
pub fn relay_answer(
    mut client: TcpStream,
    mut upstream: TcpStream,
    (head, body): (&str, &[u8]),
    change: impl FnOnce(&str) -> Option<String>,
) {
    if upstream.write_all(head.as_bytes()).and_then(|()| upstream.write_all(body)).is_err() {
        return;
    }
    let Some((head, body)) = read_message(&upstream) else { return };
    let Some(body) = change(&String::from_utf8_lossy(&body)) else { return };
    let kept = head.lines().filter(|line| !line.is_empty() && !is_about_length(line));
    let head: String = kept.map(|line| format!("{line}\r\n")).collect();
    let answer = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    // A client that went away is its own affair.
    let _ = client.write_all(answer.as_bytes());
}

fn is_about_length(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.starts_with("content-length:") || line.starts_with("connection:")
}

/// The head and the body of a request or an answer.
pub fn read_message(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut head) = (0, String::new());
    loop {
        let start = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head.get(start..)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return Some((head, body));
        }
    }
}

/// What STS answers to AssumeRole, with a session that lives for an hour.
pub fn assumed_role() -> String {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROA1:x</AssumedRoleId><Arn>arn:aws:sts::000000000000:assumed-role/ml-data/x</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIAEVIL000000000001</AccessKeyId><SecretAccessKey>evil-secret</SecretAccessKey>\
         <SessionToken>evil-token</SessionToken><Expiration>{}</Expiration></Credentials><PackedPolicySize>6</PackedPolicySize>\
         </AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>",
        end.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}

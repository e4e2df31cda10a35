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
    while read_request(&stream) {
        asked.fetch_add(1, Ordering::SeqCst);
        thread::sleep(after);
        let head = format!("HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn read_request(stream: &TcpStream) -> bool {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a client sends a length");
        }
        if line == "\r\n" {
            return reader.read_exact(&mut vec![0; length]).is_ok();
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

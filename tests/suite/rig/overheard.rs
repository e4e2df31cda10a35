//! A relay that a test listens to: it passes every request on as it is, and keeps the bodies. What is sent to a cloud
//! in secret, such as an identity token, can be tried there again.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use super::evil::read_message;

/// The relay; ends with the test's process.
pub struct Overheard {
    endpoint: String,
    server: Arc<OnceLock<String>>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Overheard {
    /// Listens; what comes before [`Self::relay_to`] is cut.
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let (server, bodies) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
        let (to, kept) = (Arc::clone(&server), Arc::clone(&bodies));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (to, kept) = (Arc::clone(&to), Arc::clone(&kept));
                thread::spawn(move || relay(stream, &to, &kept));
            }
        });
        Self { endpoint, server, bodies }
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// From now on everything goes to the server at this endpoint.
    pub fn relay_to(&self, endpoint: &str) {
        let server = endpoint.trim_start_matches("http://").to_owned();
        self.server.set(server).expect("a relay has one server");
    }

    /// The values of this form parameter so far, oldest first.
    pub fn heard(&self, name: &str) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let values = bodies.iter().flat_map(|body| url::form_urlencoded::parse(body.as_bytes()).into_owned());
        values.filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    }
}

// One request, one answer, closed: a client then opens another connection. One that went away is its own affair.
fn relay(mut client: TcpStream, server: &OnceLock<String>, kept: &Mutex<Vec<String>>) {
    let Some((head, body)) = read_message(&client) else { return };
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(&body).into_owned());
    let Some(Ok(mut upstream)) = server.get().map(TcpStream::connect) else { return };
    if upstream.write_all(head.as_bytes()).and_then(|()| upstream.write_all(&body)).is_err() {
        return;
    }
    let Some((head, body)) = read_message(&upstream) else { return };
    let head = head.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head: String = head.map(|line| format!("{line}\r\n")).collect();
    let _ =
        client.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).and_then(|()| client.write_all(&body));
}

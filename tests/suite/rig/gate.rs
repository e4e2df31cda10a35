//! A relay in front of a server that stops one chosen request: before the server sees it, or after the server did it
//! and before the answer is told. What is stopped stays so until the gate is opened; then its connection ends.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::evil::{read_message, relay_answer};

/// When a request is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The server never sees it.
    Before,
    /// The server did it, and nobody is told.
    After,
}

type Chosen = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

#[derive(Default)]
struct State {
    rule: Option<(Stop, Chosen)>,
    caught: usize,
}

/// The relay; ends with the test's process.
pub struct Gate {
    endpoint: String,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Gate {
    /// A relay to this endpoint, open.
    pub fn to(endpoint: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free loopback port");
        let here = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let server = endpoint.trim_start_matches("http://").to_owned();
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let gate = Self { endpoint: here, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, shared) = (server.clone(), Arc::clone(&shared));
                thread::spawn(move || pass(stream, &server, &shared));
            }
        });
        gate
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Stops what is chosen by its head and body.
    pub fn stop(&self, stop: Stop, chosen: impl Fn(&str, &str) -> bool + Send + Sync + 'static) {
        let mut state = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { rule: Some((stop, Arc::new(chosen))), caught: 0 };
    }

    /// Stops nothing any more.
    pub fn open(&self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).rule = None;
        self.shared.1.notify_all();
    }

    /// How many requests were stopped.
    pub fn caught(&self) -> usize {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).caught
    }
}

fn pass(client: TcpStream, server: &str, shared: &(Mutex<State>, Condvar)) {
    let Some((head, body)) = read_message(&client) else { return };
    let rule = shared.0.lock().unwrap_or_else(PoisonError::into_inner).rule.clone();
    let text = String::from_utf8_lossy(&body).into_owned();
    let stop = rule.filter(|(_, chosen)| chosen(&head, &text)).map(|(stop, _)| stop);
    if stop == Some(Stop::Before) {
        return hold(shared);
    }
    let Ok(upstream) = TcpStream::connect(server) else { return };
    relay_answer(client, upstream, (&head, &body), |answer| {
        if stop == Some(Stop::After) {
            hold(shared);
            return None;
        }
        Some(answer.to_owned())
    });
}

fn hold(shared: &(Mutex<State>, Condvar)) {
    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    state.caught += 1;
    while state.rule.is_some() {
        state = shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

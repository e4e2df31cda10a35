//! Free loopback ports for servers that cannot be told "port 0".
//!
//! The port is free when handed out; somebody may still take it before the server does, so starters try again.

use std::net::{Ipv4Addr, TcpListener};

/// `N` different free ports: all are held open together, then released together.
pub fn free<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free loopback port")
    });
    held.map(|listener| listener.local_addr().expect("a bound listener has an address").port())
}

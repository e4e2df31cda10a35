//! DOOR: loopback endpoints and helpers that stock clients speak.
//!
//! Owns what such a client says and hears on this machine. Where the answers
//! come from is handed in as a port: this room opens no connection of its own
//! and holds no secret.

pub mod ssh;

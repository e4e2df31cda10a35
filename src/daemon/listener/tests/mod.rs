//! The door and the listener together, over real TLS on loopback: what a
//! stranger can do to them, and that a good client never notices.

mod bench;
mod connections;
mod requests;
mod strangers;

//! What the layers and the listener know of one connection together: who is
//! at its other end, how much goes on, and whether it should end.
//!
//! The listener drives the connection and reads this; the layers write it.
//! A client cannot set any of it: no header is believed about an address.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::PrincipalId;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// The peer's address, from the socket.
    pub peer: IpAddr,
    /// Keyed digest of it, in hex.
    pub source: String,
    opened: Instant,
    active_at_ms: AtomicU64,
    calls: AtomicU32,
    trusted: AtomicBool,
    principal: OnceLock<PrincipalId>,
    finishing: AtomicBool,
    cutting: AtomicBool,
    changed: Notify,
}

/// How a connection should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// As it is.
    Serve,
    /// No new calls; it ends with the last one.
    Finish,
    /// At once.
    Cut,
}

/// What an address is counted under: whether it is one of IPv4, and itself or
/// its /64, because one customer of IPv6 has that many addresses at least.
#[must_use]
pub fn network(peer: IpAddr) -> (bool, u64) {
    match peer.to_canonical() {
        IpAddr::V4(v4) => (true, u64::from(u32::from(v4))),
        IpAddr::V6(v6) => (false, (u128::from(v6) >> 64) as u64),
    }
}

impl Connection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(peer: IpAddr, source: String) -> Self {
        Self {
            peer,
            source,
            opened: Instant::now(),
            active_at_ms: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            trusted: AtomicBool::new(false),
            principal: OnceLock::new(),
            finishing: AtomicBool::new(false),
            cutting: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// A call or stream begins; it ends when the value is dropped.
    #[must_use]
    pub fn enter(self: &std::sync::Arc<Self>) -> ActiveCall {
        self.calls.fetch_add(1, Ordering::AcqRel);
        self.touch();
        ActiveCall(std::sync::Arc::clone(self))
    }

    /// A call was authenticated: the peer is no stranger any more.
    pub fn trust(&self) {
        if !self.trusted.swap(true, Ordering::AcqRel) {
            self.changed.notify_one();
        }
    }

    /// Whether a call was ever authenticated.
    #[must_use]
    pub fn trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    /// A call of this principal was authenticated: the first one counts as
    /// whose connection it is.
    pub fn serves(&self, principal: PrincipalId) {
        self.principal.get_or_init(|| principal);
    }

    /// Whose connection it is.
    #[must_use]
    pub fn principal(&self) -> Option<PrincipalId> {
        self.principal.get().copied()
    }

    /// No new calls: it ends when the last one has.
    pub fn finish(&self) {
        self.finishing.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// It ends now.
    pub fn cut(&self) {
        self.cutting.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// How it should go on.
    #[must_use]
    pub fn fate(&self) -> Fate {
        if self.cutting.load(Ordering::Acquire) {
            Fate::Cut
        } else if self.finishing.load(Ordering::Acquire) {
            Fate::Finish
        } else {
            Fate::Serve
        }
    }

    /// Returns when the fate may have changed.
    pub async fn fate_changed(&self) {
        self.changed.notified().await;
    }

    /// How long it is open.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// How long nothing goes on; zero while a call is in progress.
    #[must_use]
    pub fn idle(&self) -> Duration {
        if self.calls.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        self.age().saturating_sub(Duration::from_millis(self.active_at_ms.load(Ordering::Acquire)))
    }

    fn touch(&self) {
        let now = u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX);
        self.active_at_ms.store(now, Ordering::Release);
    }
}

/// A call in progress.
#[derive(Debug)]
pub struct ActiveCall(std::sync::Arc<Connection>);

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.0.touch();
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_between_calls() {
        let connection = Arc::new(Connection::new([127, 0, 0, 1].into(), String::new()));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(connection.idle(), Duration::from_secs(3));
        let call = connection.enter();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(connection.idle(), Duration::ZERO);
        drop(call);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((connection.idle(), connection.age()), (Duration::from_secs(2), Duration::from_secs(10)));
    }

    #[test]
    fn a_network_is_an_address_of_v4_however_written_and_half_of_one_of_v6() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("0.0.0.7"), of("0:0:0:7::1"), "no address of the one is taken for the other");
    }

    #[tokio::test]
    async fn cutting_wins_over_finishing_and_neither_is_missed() {
        let connection = Connection::new([127, 0, 0, 1].into(), String::new());
        assert_eq!(connection.fate(), Fate::Serve);
        connection.cut();
        connection.finish();
        connection.fate_changed().await;
        assert_eq!(connection.fate(), Fate::Cut);
    }
}

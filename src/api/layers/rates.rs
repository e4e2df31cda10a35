//! Token buckets: of addresses whose authentications are refused, and of
//! principals.
//!
//! Memory is bounded: addresses fall into a fixed number of buckets under a
//! random hash, so strangers share when there are many and nobody can choose
//! whom to share with; principals exist in the store.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;

use super::connection::network;
use crate::domain::PrincipalId;

/// Buckets of addresses: a few hundred KiB.
const SOURCE_BUCKETS: usize = 4096;
/// Authentications at a time of addresses over their rate: a valid token gets
/// through behind the same address as a guesser, and guessing stays cheap.
const OVER_RATE_AT_A_TIME: usize = 4;
/// Principals in memory before those at rest are forgotten.
const PRINCIPALS_MAX: usize = 10_000;

// The monotonic clock: the default one calibrates itself for 200 ms at start.
type Plain = NoOpMiddleware<<MonotonicClock as Clock>::Instant>;
type DirectRate = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, Plain>;
type KeyedRate = RateLimiter<PrincipalId, DashMapStateStore<PrincipalId>, MonotonicClock, Plain>;

/// The rates of refused authentications by address.
pub struct SourceRates {
    buckets: Vec<Bucket>,
    hasher: RandomState,
    lane: Semaphore,
}

struct Bucket {
    failures: DirectRate,
    empty_until_ms: std::sync::atomic::AtomicU64,
}

impl SourceRates {
    /// So many refusals in a minute.
    #[must_use]
    pub fn new(failures_per_minute: NonZeroU32) -> Self {
        let bucket = || Bucket {
            failures: RateLimiter::direct_with_clock(Quota::per_minute(failures_per_minute), MonotonicClock),
            empty_until_ms: std::sync::atomic::AtomicU64::new(0),
        };
        Self {
            buckets: (0..SOURCE_BUCKETS).map(|_| bucket()).collect(),
            hasher: RandomState::new(),
            lane: Semaphore::new(OVER_RATE_AT_A_TIME),
        }
    }

    /// Room to authenticate: for an address over its rate, a place in the
    /// narrow lane.
    ///
    /// # Errors
    /// When the lane is full: try again a second later.
    pub fn admit(&self, peer: IpAddr, now: Duration) -> Result<Option<tokio::sync::SemaphorePermit<'_>>, ()> {
        let over = self.bucket(peer).is_some_and(|bucket| bucket.empty_until_ms() > millis(now));
        if over { self.lane.try_acquire().map(Some).map_err(|_| ()) } else { Ok(None) }
    }

    /// An authentication was refused.
    ///
    /// # Errors
    /// When the address is over its rate; says for how long.
    pub fn refused(&self, peer: IpAddr, now: Duration) -> Result<(), Duration> {
        let Some(bucket) = self.bucket(peer) else { return Ok(()) };
        bucket.failures.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(MonotonicClock.now());
            bucket.empty_until_ms.fetch_max(millis(now + wait), std::sync::atomic::Ordering::AcqRel);
            wait
        })
    }

    fn bucket(&self, peer: IpAddr) -> Option<&Bucket> {
        let hash = self.hasher.hash_one(network(peer));
        self.buckets.get(usize::try_from(hash).unwrap_or_default() % SOURCE_BUCKETS)
    }
}

impl Bucket {
    fn empty_until_ms(&self) -> u64 {
        self.empty_until_ms.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// The rates of calls by principal.
pub struct PrincipalRates(KeyedRate);

impl PrincipalRates {
    /// So many calls in a second, and at once.
    #[must_use]
    pub fn new(calls_per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(calls_per_second).allow_burst(burst);
        Self(RateLimiter::new(quota, DashMapStateStore::default(), MonotonicClock))
    }

    /// One more call.
    ///
    /// # Errors
    /// When the principal is over its rate; says for how long.
    pub fn check(&self, principal: PrincipalId) -> Result<(), Duration> {
        let checked = self.0.check_key(&principal);
        checked.map_err(|not_until| not_until.wait_time_from(MonotonicClock.now()))
    }

    /// Forgets principals at rest when there are many.
    pub fn tidy(&self) {
        if self.0.len() > PRINCIPALS_MAX {
            self.0.retain_recent();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    #[test]
    fn an_address_over_its_rate_is_refused_and_its_neighbour_is_not() {
        let rates = SourceRates::new(rate(3));
        let (bad, good) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..3 {
            assert!(rates.refused(bad, Duration::ZERO).is_ok());
        }
        assert!(rates.refused(bad, Duration::ZERO).is_err());
        assert!(rates.refused(good, Duration::ZERO).is_ok());
    }

    #[test]
    fn an_address_over_its_rate_has_a_narrow_lane_and_nobody_else_waits_for_it() {
        let rates = SourceRates::new(rate(1));
        let bad = IpAddr::from([192, 0, 2, 1]);
        let _ = (rates.refused(bad, Duration::ZERO), rates.refused(bad, Duration::ZERO));
        let held: Vec<_> = (0..OVER_RATE_AT_A_TIME).map(|_| rates.admit(bad, Duration::ZERO).unwrap()).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(rates.admit(bad, Duration::ZERO).is_err());
        assert!(matches!(rates.admit(IpAddr::from([192, 0, 2, 9]), Duration::ZERO), Ok(None)));
        assert!(matches!(rates.admit(bad, Duration::from_secs(3600)), Ok(None)));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let rates = SourceRates::new(rate(1));
        assert!(rates.refused("2001:db8::1".parse().unwrap(), Duration::ZERO).is_ok());
        assert!(rates.refused("2001:db8::2".parse().unwrap(), Duration::ZERO).is_err());
    }

    #[test]
    fn a_principal_over_its_rate_is_refused_and_another_is_not() {
        let rates = PrincipalRates::new(rate(1), rate(2));
        let (one, other) = (PrincipalId::from_bytes([1; 16]), PrincipalId::from_bytes([2; 16]));
        assert!(rates.check(one).is_ok() && rates.check(one).is_ok());
        assert!(rates.check(one).is_err());
        assert!(rates.check(other).is_ok());
        rates.tidy();
    }
}

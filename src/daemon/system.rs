//! The real clock and the real random source: the only ones there are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::{Clock, Entropy, EntropyError, Timestamp};

/// The system's clock. Its monotonic time begins with the machine, and goes on
/// while that sleeps: a laptop that was closed is no jump.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the room that owns the clock
    fn now(&self) -> Timestamp {
        // A clock before 1970 shows 1970: everything has then expired never,
        // and no certificate is valid, so nothing is served.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        let passed = clock_gettime(ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(passed.tv_sec), u32::try_from(passed.tv_nsec));
        Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
    }
}

/// The system's random source.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(clippy::disallowed_methods, reason = "this room is the owner of randomness")]
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(buffer).map_err(|_| EntropyError)
    }
}

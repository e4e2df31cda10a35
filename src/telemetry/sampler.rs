//! Lets a log line through once in a while, and counts what it held back: a
//! flood of bad requests must not fill a disk with log.

use std::sync::Mutex;
use std::time::Duration;

/// Between two lines of the same kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// One for each kind of line.
#[derive(Debug, Default)]
pub struct Sampler(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Duration>,
    held_back: u64,
}

impl Sampler {
    /// Whether a line is due at `now` (monotonic), and how many were held
    /// back since the last one.
    pub fn due(&self, now: Duration) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_sub(last) < INTERVAL) {
            state.held_back = state.held_back.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f12_one_line_passes_in_an_interval_and_the_next_says_how_many_did_not() {
        let sampler = Sampler::default();
        assert_eq!(sampler.due(Duration::ZERO), Some(0));
        for _ in 0..1000 {
            assert_eq!(sampler.due(INTERVAL / 2), None);
        }
        assert_eq!(sampler.due(INTERVAL), Some(1000));
        assert_eq!(sampler.due(INTERVAL * 2), Some(0));
    }
}

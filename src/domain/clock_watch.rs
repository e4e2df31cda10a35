//! Holds the wall clock against the clock that never goes back.
//!
//! Owns when the time is in doubt, and what time it is then. A clock that was
//! set by more than slewing explains is believed again when it has come back,
//! or when an operator says so; until then nothing is minted by it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{Clock, Timestamp};

/// How far the wall clock may go back: what clocks differ by anyway.
pub const JUMP_BACK_MAX: Duration = Duration::from_secs(60);
/// How far it may go ahead of the time that has passed.
pub const JUMP_AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// What is expected follows the wall clock by a thousandth of the time that
/// passes: twice of what NTP slews by, so that small steps do not add up.
const FOLLOW_PART: i64 = 1000;
/// What is expected is moved this often at most.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// News that nobody has written down yet; more are told by the last of them.
const NEWS_MAX: usize = 64;

/// The wall clock shows what it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockJump {
    /// What it should show.
    pub expected: Timestamp,
    /// What it shows.
    pub shown: Timestamp,
}

/// What came to be known of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockNews {
    /// It jumped.
    Jumped(ClockJump),
    /// It shows again what it should.
    Settled(ClockJump),
}

/// What is known of the time when a daemon starts: the last that it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSeen {
    /// The time of the last line of the ledger.
    pub at: Timestamp,
    /// What the clock showed then, when that was not believed.
    pub disbelieved: Option<Timestamp>,
    /// The monotonic time then, when it is of this boot.
    pub monotonic: Option<Duration>,
}

struct State {
    /// What is expected: `base` when the monotonic clock shows `since`.
    base: Timestamp,
    since: Duration,
    /// Whether it may be later than expected, too: after a start nobody knows
    /// how long nobody looked.
    at_least: bool,
    doubt: Option<ClockJump>,
    news: VecDeque<ClockNews>,
}

/// A clock that is watched. As a [`Clock`] it shows the later of the two
/// times, by which whatever ends has ended.
pub struct ClockWatch {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl ClockWatch {
    /// Believes what `clock` shows now.
    #[must_use]
    pub fn over(clock: Arc<dyn Clock>) -> Arc<Self> {
        let (base, since) = (clock.now(), clock.monotonic());
        let state = State { base, since, at_least: false, doubt: None, news: VecDeque::new() };
        Arc::new(Self { clock, state: Mutex::new(state) })
    }

    /// Holds what the clock shows against what was seen before this start.
    pub fn compare(&self, last: LastSeen) {
        let mut state = self.state();
        let (wall, now) = (self.clock.now(), self.clock.monotonic());
        let passed = last.monotonic.and_then(|then| now.checked_sub(then));
        let expected = last.at.plus(passed.unwrap_or_default());
        // A clock that was ahead before, and is not behind that now, still is.
        let still_ahead = last.disbelieved.is_some_and(|then| then > last.at && wall >= then);
        let ahead = passed.is_some() && off(wall, expected) > millis(JUMP_AHEAD_MAX);
        if off(wall, expected) < -millis(JUMP_BACK_MAX) || still_ahead || ahead {
            let jump = ClockJump { expected, shown: wall };
            let at_least = passed.is_none() && !still_ahead;
            let news = VecDeque::from([ClockNews::Jumped(jump)]);
            *state = State { base: expected, since: now, at_least, doubt: Some(jump), news };
        }
    }

    /// The jump that is in the way, if one is.
    pub fn doubt(&self) -> Option<ClockJump> {
        self.look().1
    }

    /// The time by what has passed when the clock is in doubt, and what the
    /// clock shows, which is not believed then.
    pub fn steady(&self) -> (Timestamp, Option<Timestamp>) {
        let (sight, doubt) = self.look();
        match doubt {
            Some(_) => (sight.expected, Some(sight.wall)),
            None => (sight.wall.max(sight.expected), None),
        }
    }

    /// Believes what the clock shows now; gives the jump that was in the way.
    pub fn accept(&self) -> Option<ClockJump> {
        let mut state = self.state();
        let jump = state.doubt.take()?;
        (state.base, state.since, state.at_least) = (self.clock.now(), self.clock.monotonic(), false);
        Some(jump)
    }

    /// What is to be written down; said once.
    #[must_use]
    pub fn news(&self) -> Vec<ClockNews> {
        self.look();
        self.state().news.drain(..).collect()
    }

    /// To be written down later: it could not be now.
    pub fn keep_news(&self, unwritten: &[ClockNews]) {
        let mut state = self.state();
        for news in unwritten.iter().rev() {
            state.news.push_front(*news);
        }
        state.news.truncate(NEWS_MAX);
    }

    fn look(&self) -> (Sight, Option<ClockJump>) {
        let mut state = self.state();
        let sight = state.judge(self.clock.now(), self.clock.monotonic());
        (sight, state.doubt)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both clocks at a moment.
#[derive(Clone, Copy)]
struct Sight {
    wall: Timestamp,
    expected: Timestamp,
}

impl State {
    fn judge(&mut self, wall: Timestamp, now: Duration) -> Sight {
        let passed = now.saturating_sub(self.since);
        let expected = self.base.plus(passed);
        let off = off(wall, expected);
        let ahead = off > millis(JUMP_AHEAD_MAX) && !self.at_least;
        let fits = off >= -millis(JUMP_BACK_MAX) && !ahead;
        let jump = ClockJump { expected, shown: wall };
        match self.doubt {
            None if fits => self.follow(expected, now, off),
            None => {
                self.doubt = Some(jump);
                self.tell(ClockNews::Jumped(jump));
            }
            Some(_) if fits => {
                self.doubt = None;
                self.tell(ClockNews::Settled(jump));
                if self.at_least {
                    (self.base, self.since, self.at_least) = (wall, now, false);
                }
            }
            // Said as it is now.
            Some(_) => self.doubt = Some(jump),
        }
        Sight { wall, expected }
    }

    fn follow(&mut self, expected: Timestamp, now: Duration, off: i64) {
        let passed = now.saturating_sub(self.since);
        if passed >= FOLLOW_EVERY {
            let most = millis(passed) / FOLLOW_PART;
            let moved = expected.millis().saturating_add(off.clamp(-most, most));
            (self.base, self.since) = (Timestamp::from_millis(moved), now);
        }
    }

    fn tell(&mut self, news: ClockNews) {
        if self.news.len() >= NEWS_MAX {
            self.news.pop_back();
        }
        self.news.push_back(news);
    }
}

const fn off(wall: Timestamp, expected: Timestamp) -> i64 {
    wall.millis().saturating_sub(expected.millis())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Clock for ClockWatch {
    fn now(&self) -> Timestamp {
        let (sight, _) = self.look();
        sight.wall.max(sight.expected)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// The same clock for what is kept and forgotten by it: a jump ahead forgets
/// nothing.
pub struct SteadyClock(Arc<ClockWatch>);

impl SteadyClock {
    /// Of this watch.
    #[must_use]
    pub const fn of(watch: Arc<ClockWatch>) -> Self {
        Self(watch)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.0.steady().0
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ManualClock;

    const START: Timestamp = Timestamp::from_seconds(1_767_225_600);
    const DAY: i64 = 24 * 3600;

    fn watched() -> (Arc<ManualClock>, Arc<ClockWatch>) {
        let clock = Arc::new(ManualClock::at(START));
        (Arc::clone(&clock), ClockWatch::over(clock))
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(START.seconds() + seconds)
    }

    #[test]
    fn g6_a_clock_that_goes_back_a_day_is_in_doubt_until_it_is_back_and_shows_no_time_twice() {
        let (clock, watch) = watched();
        clock.advance(Duration::from_secs(100));
        assert_eq!((watch.doubt(), watch.now()), (None, after(100)));
        clock.jump(-DAY);
        clock.advance(Duration::from_secs(10));
        let jump = watch.doubt().unwrap();
        assert_eq!((jump.expected, jump.shown), (after(110), after(110 - DAY)));
        assert_eq!(watch.now(), after(110), "what has ended does not live again");
        assert_eq!(watch.steady(), (after(110), Some(after(110 - DAY))));
        clock.jump(DAY);
        assert_eq!((watch.doubt(), watch.now()), (None, after(110)));
        let [ClockNews::Jumped(_), ClockNews::Settled(_)] = watch.news()[..] else { panic!("both are news") };
        assert!(watch.news().is_empty(), "once");
    }

    #[test]
    fn a_clock_that_goes_ahead_ends_what_ends_and_keeps_what_is_kept() {
        let (clock, watch) = watched();
        clock.jump(DAY);
        assert!(watch.doubt().is_some());
        assert_eq!(watch.now(), after(DAY), "the later one: by one of both it has ended");
        assert_eq!(SteadyClock::of(watch).now(), START, "nothing is forgotten by it");
    }

    #[test]
    fn what_clocks_are_set_by_is_no_jump_and_a_second_more_is_one() {
        for (step, doubted) in [(-60, false), (-61, true), (300, false), (301, true)] {
            let (clock, watch) = watched();
            clock.jump(step);
            assert_eq!(watch.doubt().is_some(), doubted, "{step} s");
        }
    }

    #[test]
    fn small_steps_add_up_to_a_jump_and_slewing_does_not() {
        let (clock, watch) = watched();
        for _ in 0..7 {
            clock.advance(Duration::from_secs(1));
            assert!(watch.doubt().is_none());
            clock.jump(-10);
        }
        assert!(watch.doubt().is_some(), "seventy seconds in seven");
        let (clock, watch) = watched();
        for _ in 0..10_000 {
            clock.advance(Duration::from_secs(100));
            clock.jump_millis(-50);
            assert!(watch.doubt().is_none());
        }
    }

    #[test]
    fn an_operator_says_that_it_is_right() {
        let (clock, watch) = watched();
        assert_eq!(watch.accept(), None, "nothing is in doubt");
        clock.jump(DAY);
        assert!(watch.doubt().is_some());
        assert!(watch.accept().is_some());
        assert_eq!((watch.doubt(), watch.now()), (None, after(DAY)));
        clock.jump(-DAY);
        assert!(watch.doubt().is_some(), "back again is another jump");
    }

    #[test]
    fn after_a_start_a_clock_behind_the_ledger_is_in_doubt_until_it_has_passed_it() {
        let (clock, watch) = watched();
        let seen = LastSeen { at: after(DAY), disbelieved: None, monotonic: None };
        watch.compare(seen);
        assert_eq!((watch.doubt().map(|jump| jump.shown), watch.now()), (Some(START), after(DAY)));
        clock.jump(5 * DAY);
        assert_eq!((watch.doubt(), watch.now()), (None, after(5 * DAY)), "nobody knows how long it was off");
        clock.jump(-4 * DAY);
        assert!(watch.doubt().is_some(), "from then on it is known again");
    }

    #[test]
    fn after_a_start_in_the_same_boot_both_directions_are_known() {
        let seen =
            |at| LastSeen { at, disbelieved: None, monotonic: Some(Duration::from_secs(START.seconds() as u64)) };
        for (at, doubted) in [(0, false), (-299, false), (-301, true), (59, false), (61, true)] {
            let (_, watch) = watched();
            watch.compare(seen(after(at)));
            assert_eq!(watch.doubt().is_some(), doubted, "last seen {at} s from now, with no time passed");
        }
    }

    #[test]
    fn a_start_settles_no_jump_ahead_by_itself() {
        let (clock, watch) = watched();
        let seen = LastSeen { at: after(-DAY), disbelieved: Some(after(-5)), monotonic: None };
        watch.compare(seen);
        assert!(watch.doubt().is_some(), "it was ahead before the start, and still is");
        clock.jump(-DAY + 100);
        assert!(watch.doubt().is_none(), "set right");
    }

    #[test]
    fn news_that_could_not_be_written_are_kept_in_order_and_bounded() {
        let (clock, watch) = watched();
        for _ in 0..100 {
            clock.jump(DAY);
            watch.doubt();
            clock.jump(-DAY);
            watch.doubt();
        }
        let news = watch.news();
        assert_eq!(news.len(), NEWS_MAX);
        watch.keep_news(&news);
        assert_eq!(watch.news(), news);
    }
}

//! Points in time and lengths of time, as people write and read them.
//!
//! Owns the only look at the clock in this room. Times go out as RFC 3339 in
//! UTC, in tables also in words. It never rounds a time that a program reads.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::failure::Failure;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A point in time, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(Timestamp);

impl Moment {
    /// The wall clock of this machine.
    #[allow(clippy::disallowed_methods, reason = "the client's one look at the clock; nothing is decided by it")]
    pub(super) fn now() -> Self {
        Self(Timestamp::now())
    }

    /// Of a message; nothing when it is unset or out of range.
    pub(super) fn from_proto(timestamp: Option<&prost_types::Timestamp>) -> Option<Self> {
        let timestamp = timestamp?;
        Timestamp::new(timestamp.seconds, timestamp.nanos).ok().map(Self)
    }

    /// For a message.
    pub(super) fn to_proto(self) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds: self.0.as_second(), nanos: self.0.subsec_nanosecond() }
    }

    /// Of RFC 3339; nothing when it is something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// These seconds earlier; the same where no calendar goes that far.
    pub(super) fn earlier(self, seconds: i64) -> Self {
        self.0.checked_sub(jiff::SignedDuration::from_secs(seconds)).map_or(self, Self)
    }

    /// This much later.
    ///
    /// # Errors
    /// Usage, when no calendar goes that far.
    pub(super) fn after(self, length: Duration) -> Result<Self, Failure> {
        self.0.checked_add(length).map(Self).map_err(|_| Failure::usage("that time is too far in the future"))
    }

    /// RFC 3339 in UTC with whole seconds, for clients that parse no fraction.
    pub(super) fn whole_seconds(self) -> String {
        Timestamp::from_second(self.0.as_second()).unwrap_or(self.0).to_string()
    }

    /// RFC 3339 and, in brackets, how far from `now`.
    pub(super) fn words(self, now: Self) -> String {
        format!("{} ({})", self.whole_seconds(), self.distance(now))
    }

    /// How far from `now`: `in 58 min`, `3 h ago`.
    pub(super) fn distance(self, now: Self) -> String {
        let seconds = self.0.as_second().saturating_sub(now.0.as_second());
        let length = length_in_words(seconds.saturating_abs());
        if seconds == 0 {
            return "now".to_owned();
        }
        if seconds > 0 { format!("in {length}") } else { format!("{length} ago") }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An optional point in time for a table; `-` when there is none.
pub(super) fn words(moment: Option<Moment>, now: Moment) -> String {
    moment.map_or_else(|| "-".to_owned(), |m| m.words(now))
}

/// The end of something in a table, which says so when it is over.
pub(super) fn end(moment: Option<Moment>, now: Moment) -> String {
    let over = moment.is_some_and(|end| end.0 <= now.0);
    format!("{}{}", if over { "expired: " } else { "" }, words(moment, now))
}

/// A number of seconds in words, rounded down to the largest unit that fits.
fn length_in_words(seconds: i64) -> String {
    match seconds {
        s if s < 2 * MINUTE => format!("{s} s"),
        s if s < 2 * HOUR => format!("{} min", s / MINUTE),
        s if s < 2 * DAY => format!("{} h", s / HOUR),
        s => format!("{} d", s / DAY),
    }
}

/// A lifetime in a table: `1h`, `15m`; `-` for zero.
pub(super) fn lifetime(seconds: u32) -> String {
    if seconds == 0 {
        return "-".to_owned();
    }
    humantime::format_duration(Duration::from_secs(u64::from(seconds))).to_string().replace(' ', "")
}

/// Parses a length of time such as `1h30m`: whole seconds, at least one.
///
/// # Errors
/// A line for people.
pub(super) fn parse_length(text: &str) -> Result<Duration, String> {
    let length = humantime::parse_duration(text).map_err(|_| "must be a length of time such as 15m, 1h or 30d")?;
    if length.as_secs() == 0 || length.subsec_nanos() != 0 {
        return Err("must be whole seconds, at least 1s".to_owned());
    }
    Ok(length)
}

/// Parses a length of time that a message carries as seconds.
///
/// # Errors
/// A line for people.
pub(super) fn parse_seconds(text: &str) -> Result<u32, String> {
    u32::try_from(parse_length(text)?.as_secs()).map_err(|_| "must be less than 136 years".to_owned())
}

/// The same where nothing is a length too: `0s`.
///
/// # Errors
/// A line for people.
pub(super) fn parse_tolerance(text: &str) -> Result<u32, String> {
    if matches!(text, "0" | "0s") { Ok(0) } else { parse_seconds(text) }
}

/// A point in time on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// This long ago.
    Ago(Duration),
    /// At this time.
    At(Moment),
}

impl When {
    /// The point in time, seen from `now`.
    ///
    /// # Errors
    /// Usage, when no calendar goes that far.
    pub(super) fn moment(self, now: Moment) -> Result<Moment, Failure> {
        match self {
            Self::At(moment) => Ok(moment),
            Self::Ago(length) => {
                now.0.checked_sub(length).map(Moment).map_err(|_| Failure::usage("that time is too far in the past"))
            }
        }
    }
}

/// Parses `1h` (that long ago) or an RFC 3339 time.
///
/// # Errors
/// A line for people.
pub(super) fn parse_when(text: &str) -> Result<When, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(When::At(Moment(timestamp)));
    }
    parse_length(text).map(When::Ago).map_err(|_| {
        "must be a time such as 2026-01-31T08:00:00Z, or a length such as 1h, meaning that long ago".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment(text.parse().unwrap())
    }

    #[test]
    fn words_say_both_the_time_and_the_distance() {
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(at("2026-01-01T00:58:10.5Z").words(now), "2026-01-01T00:58:10Z (in 58 min)");
        assert_eq!(at("2025-12-31T21:00:00Z").words(now), "2025-12-31T21:00:00Z (3 h ago)");
        assert_eq!(at("2026-01-31T00:00:00Z").words(now), "2026-01-31T00:00:00Z (in 30 d)");
        assert_eq!(words(None, now), "-");
    }

    #[test]
    fn lengths_are_whole_seconds() {
        assert_eq!(parse_seconds("1h"), Ok(3600));
        assert_eq!(parse_seconds("1h30m"), Ok(5400));
        assert_eq!(parse_length("30d").unwrap().as_secs(), 30 * 86_400);
        for wrong in ["", "1", "0s", "500ms", "-1h", "1h ago", "200years"] {
            assert!(parse_seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_point_in_time_is_a_time_or_a_length_ago() {
        let now = at("2026-01-01T02:00:00Z");
        assert_eq!(parse_when("1h").unwrap().moment(now).unwrap(), at("2026-01-01T01:00:00Z"));
        assert_eq!(parse_when("2026-01-01T00:00:00Z").unwrap().moment(now).unwrap(), at("2026-01-01T00:00:00Z"));
        assert!(parse_when("yesterday").is_err());
        assert!(parse_when("9000years").unwrap().moment(now).is_ok());
        assert!(parse_when("90000years").unwrap().moment(now).is_err());
    }

    #[test]
    fn proto_times_out_of_range_are_no_times() {
        let wrong = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(Moment::from_proto(Some(&wrong)), None);
        let right = prost_types::Timestamp { seconds: 1, nanos: 0 };
        assert_eq!(Moment::from_proto(Some(&right)).unwrap().to_proto(), right);
    }

    #[test]
    fn a_tolerance_may_be_none_and_a_length_may_not() {
        assert_eq!((parse_tolerance("0s"), parse_tolerance("5m")), (Ok(0), Ok(300)));
        assert!(parse_seconds("0s").is_err() && parse_tolerance("-1s").is_err() && parse_tolerance("1ms").is_err());
    }

    #[test]
    fn lifetimes_are_short_words() {
        assert_eq!(lifetime(3600), "1h");
        assert_eq!(lifetime(5400), "1h30m");
        assert_eq!(lifetime(0), "-");
    }

    #[test]
    fn what_is_over_says_so() {
        let at = |seconds| Moment(Timestamp::from_second(seconds).unwrap());
        assert_eq!(end(Some(at(60)), at(60)), "expired: 1970-01-01T00:01:00Z (now)");
        assert_eq!(end(Some(at(61)), at(60)), "1970-01-01T00:01:01Z (in 1 s)");
        assert_eq!(end(None, at(60)), "-");
    }
}

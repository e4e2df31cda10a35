//! The watch over the clock: what the last run left, and a line of the ledger
//! for each jump.
//!
//! A jump is in the ledger within a second; nothing is minted from the moment
//! that anybody looked at the clock.

use std::sync::Arc;
use std::time::Duration;

use super::error::DaemonError;
use super::system::SystemClock;
use crate::audit::{Ledger, Line, LineFilter, LineKind, Outcome, Reason};
use crate::config;
use crate::domain::{Clock, ClockJump, ClockNews, ClockWatch, LastSeen, PageAsk};
use crate::store::AuditLines;

/// The method of lines about the clock.
const METHOD: &str = "daemon/clock";
/// The method of the last line of a run that ended in order.
pub(super) const STOP: &str = "daemon/stop";
const BOOT: &str = "boot";
const MONOTONIC: &str = "monotonic_ms";

/// A watch over the system's clock.
pub(super) fn watch() -> Arc<ClockWatch> {
    ClockWatch::over(Arc::new(SystemClock))
}

/// Holds the clock against the last line of the ledger.
pub(super) async fn compare(watch: &ClockWatch, store: &dyn AuditLines) -> Result<(), DaemonError> {
    let newest = PageAsk { size: 1, after: None };
    let found = store.lines(&LineFilter::default(), &newest).await?;
    if let Some(last) = found.items.first() {
        watch.compare(last_seen(&last.line, config::boot_id().as_deref()));
    }
    if let Some(jump) = watch.doubt() {
        warn(&jump);
    }
    Ok(())
}

/// What a line says of the time when it was written.
fn last_seen(line: &Line, boot: Option<&str>) -> LastSeen {
    let detail = |key: &str| line.details.get(key).map(|detail| detail.as_str());
    let same_boot = line.method == STOP && boot.is_some() && detail(BOOT) == boot;
    let millis = detail(MONOTONIC).filter(|_| same_boot).and_then(|text| text.parse().ok());
    LastSeen { at: line.at, disbelieved: Ledger::disbelieved(line), monotonic: millis.map(Duration::from_millis) }
}

/// A line with the boot and its time: the next start in the same boot knows
/// how much time has passed.
pub(super) fn timed(line: Line, clock: &dyn Clock) -> Line {
    let millis = clock.monotonic().as_millis().to_string();
    line.with_detail(BOOT, config::boot_id().as_deref().unwrap_or("unknown")).with_detail(MONOTONIC, &millis)
}

/// Writes down what the watch saw; what cannot be written now is kept.
pub(super) async fn write_news(watch: &ClockWatch, ledger: &Ledger) {
    let news = watch.news();
    for (at, one) in news.iter().enumerate() {
        if ledger.write(line(one)).await.is_err() {
            watch.keep_news(news.get(at..).unwrap_or_default());
            return;
        }
        match one {
            ClockNews::Jumped(jump) => warn(jump),
            ClockNews::Settled(_) => tracing::info!("the clock shows again what it should"),
        }
    }
}

fn line(news: &ClockNews) -> Line {
    let (jump, outcome, reason) = match news {
        ClockNews::Jumped(jump) => (jump, Outcome::Failed, "CLOCK_JUMPED"),
        ClockNews::Settled(jump) => (jump, Outcome::Ok, "CLOCK_SETTLED"),
    };
    let line = Line { reason: Reason::new(reason), ..Line::about(METHOD, LineKind::Single, outcome) };
    line.with_detail("expected", &jump.expected.to_string()).with_detail("shown", &jump.shown.to_string())
}

fn warn(jump: &ClockJump) {
    tracing::error!(
        expected = %jump.expected,
        shown = %jump.shown,
        remedy = "set the clock, or say that it is right with `valetkey clock accept`",
        "the clock jumped: nothing is minted until it is back"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ManualClock, Timestamp};

    const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

    #[test]
    fn a_stop_in_the_same_boot_says_how_much_time_has_passed_and_no_other_line_does() {
        let stop = timed(Line::about(STOP, LineKind::Single, Outcome::Ok), &ManualClock::at(NOW));
        let Some(boot) = config::boot_id() else { return };
        let seen = last_seen(&stop, Some(&boot));
        assert_eq!(seen.monotonic, Some(Duration::from_millis(NOW.millis() as u64)));
        assert_eq!(last_seen(&stop, Some("another boot")).monotonic, None);
        assert_eq!(last_seen(&stop, None).monotonic, None);
        let start = Line { method: "daemon/start".to_owned(), ..stop };
        assert_eq!(last_seen(&start, Some(&boot)).monotonic, None, "time passed since");
    }

    #[test]
    fn what_was_not_believed_is_read_back_from_a_line() {
        let line = Line::about("x", LineKind::Single, Outcome::Ok).with_detail("clock", &NOW.to_string());
        assert_eq!(last_seen(&line, None).disbelieved, Some(NOW));
    }
}

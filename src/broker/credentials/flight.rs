//! One upstream call for any number of simultaneous equal asks. A flight
//! belongs to nobody: it ends, whoever goes away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::connectors::UpstreamError;
use crate::domain::{ConnectorId, PrincipalId, Share, Timestamp};

use super::super::{BrokerError, HeldPlace, NoPlace, SharedPlaces};
use super::breaker::PAUSE_MAX;
use super::cache::Kept;
use super::plan::CacheKey;

/// The most asks that wait for one flight.
pub(super) const WAITERS_MAX: u32 = 16_384;
/// The most flights at once.
pub(super) const FLIGHTS_MAX: usize = 4_096;
/// How long a failure that may pass is the answer for everybody.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// The longest that a cloud's wish to slow down is obeyed.
const FAILURE_KEPT_MAX: Duration = PAUSE_MAX;

/// What a flight came to.
pub(super) type Landing = Result<Arc<Kept>, BrokerError>;

struct Flight {
    landing: watch::Receiver<Option<Landing>>,
    waiters: Arc<AtomicU32>,
}

/// Flights under way, and failures that are still the answer.
#[derive(Clone)]
pub(in crate::broker) struct Flights {
    board: Arc<Mutex<Board>>,
    /// For those who lead: also a caller who hangs up and asks anew has no more
    /// flights under way than its share.
    places: Arc<SharedPlaces>,
}

#[derive(Default)]
struct Board {
    flights: HashMap<CacheKey, Flight>,
    failures: HashMap<CacheKey, (Timestamp, BrokerError)>,
}

/// What to do about an ask.
pub(super) enum Boarding {
    /// Wait for a flight that is under way.
    Wait(Waiting),
    /// Fly: nobody else does.
    Lead(Leading, Waiting),
    /// It failed a moment ago.
    Failed(BrokerError),
}

/// A place among those who wait.
pub(super) struct Waiting {
    landing: watch::Receiver<Option<Landing>>,
    waiters: Arc<AtomicU32>,
}

impl Waiting {
    /// What the flight came to. A flight that panicked is a failure for all.
    pub(super) async fn landing(mut self) -> Landing {
        match self.landing.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone().unwrap_or_else(|| Err(crashed())),
            Err(_) => Err(crashed()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The duty to land; dropping it without landing releases everybody.
pub(super) struct Leading {
    flights: Flights,
    key: CacheKey,
    landing: watch::Sender<Option<Landing>>,
    _place: HeldPlace,
}

impl Leading {
    /// Tells everybody what it came to.
    pub(super) fn land(self, landing: Landing, now: Timestamp) {
        if let Err(error) = &landing
            && let Some(until) = failure_kept_until(error, now)
        {
            self.flights.board(|board| {
                board.failures.retain(|_, (until, _)| *until > now);
                if board.failures.len() < FLIGHTS_MAX {
                    board.failures.insert(self.key.clone(), (until, error.clone()));
                }
            });
        }
        self.landing.send_replace(Some(landing));
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.flights.board(|board| board.flights.remove(&self.key));
    }
}

impl Flights {
    /// None under way; a principal may lead its share of them.
    pub(in crate::broker) fn new(share: Share) -> Self {
        Self { board: Arc::default(), places: SharedPlaces::new(FLIGHTS_MAX, share) }
    }

    /// A place of `principal` in the flight of this key.
    pub(super) fn join(&self, key: &CacheKey, principal: PrincipalId, now: Timestamp) -> Result<Boarding, BrokerError> {
        self.board(|board| {
            if let Some((until, error)) = board.failures.get(key)
                && *until > now
            {
                return Ok(Boarding::Failed(as_of(error, until.since(now))));
            }
            if let Some(flight) = board.flights.get(key) {
                if flight.waiters.load(Ordering::Relaxed) >= WAITERS_MAX {
                    return Err(overloaded());
                }
                flight.waiters.fetch_add(1, Ordering::Relaxed);
                let (landing, waiters) = (flight.landing.clone(), Arc::clone(&flight.waiters));
                return Ok(Boarding::Wait(Waiting { landing, waiters }));
            }
            let place = self.places.take(principal).map_err(no_place)?;
            let (sender, landing) = watch::channel(None);
            let waiters = Arc::new(AtomicU32::new(1));
            let flight = Flight { landing: landing.clone(), waiters: Arc::clone(&waiters) };
            board.flights.insert(key.clone(), flight);
            let leading = Leading { flights: self.clone(), key: key.clone(), landing: sender, _place: place };
            Ok(Boarding::Lead(leading, Waiting { landing, waiters }))
        })
    }

    /// What failed for a connector that was changed says nothing of it any more.
    pub(in crate::broker) fn forget(&self, connector: ConnectorId) {
        self.board(|board| board.failures.retain(|key, _| key.connector() != connector));
    }

    // The lock is held for map operations only, never across an await.
    fn board<R>(&self, work: impl FnOnce(&mut Board) -> R) -> R {
        work(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn failure_kept_until(error: &BrokerError, now: Timestamp) -> Option<Timestamp> {
    let BrokerError::Upstream(error) = error else { return None };
    if let UpstreamError::Throttled { retry_after } = error {
        return Some(now.plus(retry_after.unwrap_or(FAILURE_KEPT).min(FAILURE_KEPT_MAX)));
    }
    error.recoverable().then(|| now.plus(FAILURE_KEPT))
}

/// A kept answer says how long is left, not how long it was.
fn as_of(error: &BrokerError, left: Duration) -> BrokerError {
    if let BrokerError::Upstream(UpstreamError::Throttled { .. }) = error {
        return UpstreamError::Throttled { retry_after: Some(left) }.into();
    }
    error.clone()
}

fn no_place(none: NoPlace) -> BrokerError {
    match none {
        NoPlace::Full => overloaded(),
        NoPlace::OwnFull(limit) => BrokerError::Exhausted {
            code: "PRINCIPAL_MINTS",
            message: format!(
                "you have {limit} mints under way, the most of one principal; let some end first, or have an operator \
                 raise limits.principal_share"
            ),
            retry_after: Some(Duration::from_secs(1)),
        },
    }
}

fn overloaded() -> BrokerError {
    BrokerError::Exhausted {
        code: "OVERLOADED",
        message: "too many mints are under way".to_owned(),
        retry_after: Some(Duration::from_secs(1)),
    }
}

fn crashed() -> BrokerError {
    BrokerError::Internal { what: "the mint did not finish" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);
    const ONE: PrincipalId = PrincipalId::from_bytes([1; 16]);
    const OTHER: PrincipalId = PrincipalId::from_bytes([2; 16]);

    fn flights() -> Flights {
        Flights::new(Share::percent(25).unwrap())
    }

    fn lead(flights: &Flights, key: &CacheKey) -> (Leading, Waiting) {
        match flights.join(key, ONE, NOW) {
            Ok(Boarding::Lead(leading, waiting)) => (leading, waiting),
            _ => panic!("nobody else flies"),
        }
    }

    fn outage() -> BrokerError {
        UpstreamError::Unavailable { what: "test" }.into()
    }

    #[tokio::test]
    async fn many_equal_asks_are_one_flight_and_all_get_its_landing() {
        let flights = flights();
        let key = CacheKey::of(1);
        let (leading, first) = lead(&flights, &key);
        let mut waiting = vec![first];
        for _ in 0..10_000 {
            match flights.join(&key, ONE, NOW).unwrap() {
                Boarding::Wait(place) => waiting.push(place),
                Boarding::Lead(..) | Boarding::Failed(_) => panic!("there is a flight already"),
            }
        }
        leading.land(Err(BrokerError::Stale { noun: "test" }), NOW);
        for place in waiting {
            assert_eq!(place.landing().await.err(), Some(BrokerError::Stale { noun: "test" }));
        }
        // The flight is over: the next ask flies again.
        drop(lead(&flights, &key));
    }

    #[tokio::test]
    async fn a_flight_that_panics_releases_everybody() {
        let flights = flights();
        let key = CacheKey::of(2);
        let (leading, waiting) = lead(&flights, &key);
        drop(leading);
        assert_eq!(waiting.landing().await.err(), Some(crashed()));
        drop(lead(&flights, &key));
    }

    #[test]
    fn waiters_and_flights_are_bounded_and_places_are_given_back() {
        let flights = flights();
        let key = CacheKey::of(3);
        let (_leading, first) = lead(&flights, &key);
        let mut places: Vec<_> = (1..WAITERS_MAX).map(|_| flights.join(&key, ONE, NOW).unwrap()).collect();
        let refused = flights.join(&key, ONE, NOW).err();
        assert_eq!(refused.map(|error| error.code()), Some("OVERLOADED"), "one more than the limit");
        drop(places.pop());
        assert!(flights.join(&key, ONE, NOW).is_ok(), "a place was given back");
        drop(first);
    }

    #[test]
    fn a_failure_that_may_pass_is_the_answer_for_a_moment_and_a_final_one_is_not() {
        let flights = flights();
        let key = CacheKey::of(4);
        lead(&flights, &key).0.land(Err(outage()), NOW);
        assert!(matches!(flights.join(&key, ONE, NOW), Ok(Boarding::Failed(_))));
        assert!(matches!(flights.join(&CacheKey::of(5), ONE, NOW), Ok(Boarding::Lead(..))), "only this key");
        let later = NOW.plus(FAILURE_KEPT);
        assert!(matches!(flights.join(&key, ONE, later), Ok(Boarding::Lead(..))), "not for ever");
        let key = CacheKey::of(6);
        lead(&flights, &key).0.land(Err(UpstreamError::Expired.into()), NOW);
        assert!(matches!(flights.join(&key, ONE, NOW), Ok(Boarding::Lead(..))), "a final answer is not kept");
    }

    #[test]
    fn a_principal_leads_its_share_of_flights_and_others_still_fly() {
        let flights = flights();
        let share = FLIGHTS_MAX / 4;
        let mut led = Vec::new();
        for number in 0..share {
            match flights.join(&CacheKey::numbered(number), ONE, NOW) {
                Ok(Boarding::Lead(leading, _)) => led.push(leading),
                _ => panic!("flight {number} is within the share"),
            }
        }
        let beyond = CacheKey::numbered(share);
        let refused = flights.join(&beyond, ONE, NOW).err();
        assert_eq!(refused.as_ref().map(BrokerError::code), Some("PRINCIPAL_MINTS"));
        assert!(refused.unwrap().to_string().contains("1024 mints under way"));
        assert!(
            matches!(flights.join(&CacheKey::numbered(0), ONE, NOW), Ok(Boarding::Wait(_))),
            "waiting is no flight"
        );
        let theirs = flights.join(&beyond, OTHER, NOW);
        assert!(matches!(theirs, Ok(Boarding::Lead(..))), "another principal has its own share");
        drop((theirs, led.pop()));
        assert!(matches!(flights.join(&beyond, ONE, NOW), Ok(Boarding::Lead(..))), "a place was given back");
    }

    #[test]
    fn a_kept_wish_to_slow_down_says_how_long_is_left_of_it() {
        let flights = flights();
        let key = CacheKey::of(7);
        let throttled = |seconds| UpstreamError::Throttled { retry_after: Some(Duration::from_secs(seconds)) }.into();
        lead(&flights, &key).0.land(Err(throttled(30)), NOW);
        let later = NOW.plus(Duration::from_secs(12));
        let Ok(Boarding::Failed(error)) = flights.join(&key, ONE, later) else { panic!("it is kept") };
        assert_eq!(error, throttled(18));
        lead(&flights, &CacheKey::of(8)).0.land(Err(throttled(3_600)), NOW);
        let Ok(Boarding::Failed(error)) = flights.join(&CacheKey::of(8), ONE, later) else { panic!("it is kept") };
        assert_eq!(error, throttled(48), "it is obeyed for a minute, and that is what is said");
    }

    #[test]
    fn a_wish_to_slow_down_is_obeyed_up_to_a_minute() {
        let throttled = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            failure_kept_until(&UpstreamError::Throttled { retry_after }.into(), NOW)
        };
        assert_eq!(throttled(7), Some(NOW.plus(Duration::from_secs(7))));
        assert_eq!(throttled(86_400), Some(NOW.plus(FAILURE_KEPT_MAX)));
    }
}

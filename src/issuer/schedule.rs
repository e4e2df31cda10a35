//! When a key is made, signs, and goes: pure decisions on a handed-in time.
//!
//! Clouds keep the published keys for as long as `max-age` lets them. So a key
//! is published at least that long before it signs, and stays published until
//! the last token that it signed has ended everywhere. There is always a next
//! key, published long before it is needed: a rotation, also one that somebody
//! asks for, is done at once.

use std::time::Duration;

use crate::domain::{IssuerKeyFacts, IssuerKeyId, IssuerKeyState, Timestamp};

/// The longest life of a token that any config allows. Keys stay for this
/// long: the config may have been changed since they signed.
pub const TOKEN_TTL_LIMIT: Duration = Duration::from_secs(3600);
/// How far the clock of a cloud may be behind ours, and its leeway: Entra and
/// most libraries take five minutes.
const SLACK: Duration = Duration::from_secs(300);

/// What the config says about keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a key signs.
    pub rotation_period: Duration,
    /// How long clouds may keep the published keys.
    pub max_age: Duration,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a key that signs at once: there is none that could.
    MakeActive,
    /// Make the next key.
    MakeNext,
    /// Let this key sign, and the other one no more.
    Activate {
        /// The next key.
        id: IssuerKeyId,
        /// The one that signs; none only when somebody deleted it.
        retire: Option<IssuerKeyId>,
    },
    /// Publish this key no longer.
    Remove(IssuerKeyId),
}

/// The one thing to do now, or nothing.
pub fn next_step(now: Timestamp, keys: &[IssuerKeyFacts], rules: &Rules) -> Option<Step> {
    let (active, next) = (in_state(keys, IssuerKeyState::Active), in_state(keys, IssuerKeyState::Next));
    match (active, next) {
        (None, None) => return Some(Step::MakeActive),
        // No token can be signed: that not every cloud knows the key yet is
        // the lesser evil.
        (None, Some(next)) => return Some(Step::Activate { id: next.id.clone(), retire: None }),
        (Some(_), None) => return Some(Step::MakeNext),
        (Some(active), Some(next)) => {
            let since = active.activated_at.unwrap_or(active.created_at);
            if now >= since.plus(rules.rotation_period) && ripe(now, next, rules) {
                return Some(Step::Activate { id: next.id.clone(), retire: Some(active.id.clone()) });
            }
        }
    }
    keys.iter().find(|key| over(now, key)).map(|key| Step::Remove(key.id.clone()))
}

/// The rotation that somebody asks for now, or from when on it can be asked
/// for. Nothing while the next key is being made.
pub fn rotation(now: Timestamp, keys: &[IssuerKeyFacts], rules: &Rules) -> Result<Step, Option<Timestamp>> {
    let next = in_state(keys, IssuerKeyState::Next).ok_or(None)?;
    if !ripe(now, next, rules) {
        return Err(Some(ripe_at(next, rules)));
    }
    let retire = in_state(keys, IssuerKeyState::Active).map(|active| active.id.clone());
    Ok(Step::Activate { id: next.id.clone(), retire })
}

/// Whether every cloud has the key: what was kept before it was published is
/// too old by now.
fn ripe(now: Timestamp, key: &IssuerKeyFacts, rules: &Rules) -> bool {
    now >= ripe_at(key, rules)
}

fn ripe_at(key: &IssuerKeyFacts, rules: &Rules) -> Timestamp {
    key.created_at.plus(rules.max_age)
}

/// Whether everything that the key signed has ended.
fn over(now: Timestamp, key: &IssuerKeyFacts) -> bool {
    key.retired_at.is_some_and(|end| now > end.plus(TOKEN_TTL_LIMIT).plus(SLACK))
}

fn in_state(keys: &[IssuerKeyFacts], state: IssuerKeyState) -> Option<&IssuerKeyFacts> {
    keys.iter().find(|key| key.state() == state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const RULES: Rules = Rules { rotation_period: Duration::from_secs(30 * DAY), max_age: Duration::from_secs(3600) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(seconds).unwrap())
    }

    fn id(letter: char) -> IssuerKeyId {
        IssuerKeyId::parse(&letter.to_string().repeat(43)).unwrap()
    }

    fn key(letter: char, created: u64, activated: Option<u64>, retired: Option<u64>) -> IssuerKeyFacts {
        IssuerKeyFacts {
            id: id(letter),
            created_at: at(created),
            activated_at: activated.map(at),
            retired_at: retired.map(at),
        }
    }

    #[test]
    fn a_new_issuer_makes_a_key_that_signs_and_then_the_next_one() {
        assert_eq!(next_step(at(0), &[], &RULES), Some(Step::MakeActive));
        let active = key('a', 0, Some(0), None);
        assert_eq!(next_step(at(0), std::slice::from_ref(&active), &RULES), Some(Step::MakeNext));
        assert_eq!(next_step(at(0), &[active, key('b', 0, None, None)], &RULES), None);
    }

    #[test]
    fn a_key_signs_for_its_period_and_the_next_one_takes_over() {
        let keys = [key('a', 0, Some(0), None), key('b', 0, None, None)];
        assert_eq!(next_step(at(30 * DAY - 1), &keys, &RULES), None);
        let over = Step::Activate { id: id('b'), retire: Some(id('a')) };
        assert_eq!(next_step(at(30 * DAY), &keys, &RULES), Some(over));
    }

    #[test]
    fn a_next_key_that_some_cloud_may_not_know_signs_nothing() {
        let keys = [key('a', 0, Some(0), None), key('b', 30 * DAY - 10, None, None)];
        assert_eq!(next_step(at(30 * DAY), &keys, &RULES), None);
        let ripe = 30 * DAY - 10 + 3600;
        assert_eq!(next_step(at(ripe - 1), &keys, &RULES), None);
        assert!(matches!(next_step(at(ripe), &keys, &RULES), Some(Step::Activate { .. })));
        assert_eq!(rotation(at(ripe - 1), &keys, &RULES), Err(Some(at(ripe))));
    }

    #[test]
    fn a_retired_key_stays_until_the_last_token_has_ended_everywhere() {
        let keys = [key('a', 0, Some(0), Some(100)), key('b', 0, Some(100), None), key('c', 100, None, None)];
        let gone = 100 + 3600 + 300;
        assert_eq!(next_step(at(gone), &keys, &RULES), None);
        assert_eq!(next_step(at(gone + 1), &keys, &RULES), Some(Step::Remove(id('a'))));
    }

    #[test]
    fn a_rotation_that_is_asked_for_is_done_at_once_or_says_when() {
        let keys = [key('a', 0, Some(0), None), key('b', 0, None, None)];
        assert_eq!(rotation(at(3599), &keys, &RULES), Err(Some(at(3600))));
        assert_eq!(rotation(at(3600), &keys, &RULES), Ok(Step::Activate { id: id('b'), retire: Some(id('a')) }));
        assert_eq!(rotation(at(3600), &keys[..1], &RULES), Err(None));
    }

    #[test]
    fn a_clock_that_goes_back_rotates_nothing_and_removes_nothing() {
        let keys = [key('a', DAY, Some(DAY), Some(DAY)), key('b', DAY, Some(DAY), None), key('c', DAY, None, None)];
        assert_eq!(next_step(at(0), &keys, &RULES), None);
        assert_eq!(rotation(at(0), &keys, &RULES), Err(Some(at(DAY + 3600))));
    }

    #[test]
    fn without_a_key_that_signs_the_next_one_does_at_once() {
        let keys = [key('a', 0, Some(0), Some(5)), key('b', 5, None, None)];
        assert_eq!(next_step(at(6), &keys, &RULES), Some(Step::Activate { id: id('b'), retire: None }));
        assert_eq!(next_step(at(6), &keys[..1], &RULES), Some(Step::MakeActive));
    }

    /// A year of looking every minute: a token that was signed at any time
    /// verifies, wherever the keys were fetched last.
    #[test]
    fn over_a_year_every_token_verifies_at_every_cloud() {
        let rules = Rules { rotation_period: Duration::from_secs(2 * DAY), max_age: Duration::from_secs(DAY) };
        let mut keys: Vec<IssuerKeyFacts> = Vec::new();
        let mut letters = ('A'..='Z').cycle();
        for minute in 0..(365 * DAY / 60) {
            let now = at(minute * 60);
            while let Some(step) = next_step(now, &keys, &rules) {
                carry_out(&mut keys, step, now, &mut letters);
            }
            let active: Vec<_> = keys.iter().filter(|key| key.state() == IssuerKeyState::Active).collect();
            assert_eq!(active.len(), 1);
            let published_for = now.since(active[0].created_at);
            assert!(minute < DAY / 60 || published_for >= rules.max_age, "signed {published_for:?} after publication");
            assert!((2..=4).contains(&keys.len()), "{keys:?}");
        }
    }

    fn carry_out(keys: &mut Vec<IssuerKeyFacts>, step: Step, now: Timestamp, letters: &mut impl Iterator<Item = char>) {
        let mut made = |activated_at| IssuerKeyFacts {
            id: id(letters.next().unwrap()),
            created_at: now,
            activated_at,
            retired_at: None,
        };
        match step {
            Step::MakeActive => keys.push(made(Some(now))),
            Step::MakeNext => keys.push(made(None)),
            Step::Activate { id, retire } => {
                for key in keys.iter_mut() {
                    if Some(&key.id) == retire.as_ref() {
                        key.retired_at = Some(now);
                    }
                    if key.id == id {
                        key.activated_at = Some(now);
                    }
                }
            }
            Step::Remove(id) => {
                let gone = keys.iter().find(|key| key.id == id).unwrap();
                assert!(now.since(gone.retired_at.unwrap()) > TOKEN_TTL_LIMIT);
                keys.retain(|key| key.id != id);
            }
        }
    }
}

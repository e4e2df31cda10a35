//! What to look at about a connector, from what is stored of it and the time.
//!
//! Pure: asks no cloud and opens no seal. Each warning is `HEAD: what is so;
//! what to do`; a list shows the head alone, so it is short and unmistakable.

use std::time::Duration;

use super::clock::Timestamp;
use super::connector::{Connector, RotationStage, SecretFacts, UnfinishedRotation, VerificationState};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A source credential is said to end soon when this part of its life is
/// left: a token of a day has hours, a key of a year has weeks.
const EXPIRY_PART: u32 = 5;
/// But never longer ahead than this, or nobody would look any more.
const EXPIRY_AHEAD_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Long-lived keys are to be rotated at least this often: what the clouds' own
/// benchmarks ask for.
const AGE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// What a cloud said longer ago than this says little of today.
const VERIFICATION_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// For whom the warnings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Onlooker {
    /// May see account ids, and so the ids of keys.
    pub settings_visible: bool,
    /// The auth method can be rotated at the cloud.
    pub rotates: bool,
}

/// What to look at, the most pressing first. `dangers` is what the connector's
/// type says of its settings.
#[must_use]
pub fn warnings(connector: &Connector, dangers: &[&'static str], onlooker: Onlooker, now: Timestamp) -> Vec<String> {
    let rotate = rotate_command(connector, onlooker);
    let mut warnings: Vec<String> = dangers.iter().map(|&danger| danger.to_owned()).collect();
    if connector.policy.allow_passthrough {
        warnings.push(
            "PASSTHROUGH: allow_passthrough is on, so a long-lived secret itself may be handed out; turn it off with \
             `--allow-passthrough=false` where nothing needs it"
                .to_owned(),
        );
    }
    warnings.extend(ending(&connector.secret, &rotate, now));
    warnings.extend(verification(connector, now));
    warnings.extend(connector.secret.rotation.as_ref().map(|left| unfinished(left, &rotate, onlooker)));
    warnings.extend(age(&connector.secret, &rotate, now));
    warnings
}

fn rotate_command(connector: &Connector, onlooker: Onlooker) -> String {
    let auto = if onlooker.rotates { " --auto" } else { "" };
    format!("`valetkey connector rotate-secret {}{auto}`", connector.name)
}

fn ending(secret: &SecretFacts, rotate: &str, now: Timestamp) -> Option<String> {
    let end = secret.usable_until()?;
    let early = match secret.skew_tolerance {
        0 => String::new(),
        seconds => format!(", {seconds} s early by its skew tolerance"),
    };
    if end <= now {
        return Some(format!(
            "EXPIRED: the source credential ended at {end}{early}, and nothing can be minted; {rotate}"
        ));
    }
    let ahead = (end.since(secret.created_at) / EXPIRY_PART).min(EXPIRY_AHEAD_MAX);
    let left = end.since(now);
    (left <= ahead).then(|| format!("ends in {}: the source credential ends at {end}{early}; {rotate}", span(left)))
}

fn verification(connector: &Connector, now: Timestamp) -> Option<String> {
    let checked_at = connector.verification.checked_at;
    let verify = format!("`valetkey connector verify {}`", connector.name);
    match connector.verification.state {
        VerificationState::Failing => Some(format!(
            "FAILING: the cloud does not accept the source credential as of {checked_at}; `valetkey connector \
             describe {}` says why",
            connector.name
        )),
        VerificationState::Unverified => {
            Some(format!("unverified: nobody has asked the cloud about the source credential; {verify}"))
        }
        VerificationState::Verified => {
            let age = now.since(checked_at);
            (age > VERIFICATION_AGE_MAX)
                .then(|| format!("verified {} ago: that was at {checked_at}; {verify}", span(age)))
        }
    }
}

fn unfinished(left: &UnfinishedRotation, rotate: &str, onlooker: Onlooker) -> String {
    let UnfinishedRotation { stage, since } = left;
    let named = |key_id: &str| if onlooker.settings_visible { format!(" {key_id}") } else { String::new() };
    match stage {
        RotationStage::Asked => format!(
            "rotation stopped: the cloud was asked for a new key at {since}, and its answer is not known, so there may \
             be a key that nobody holds; the stored one works; {rotate}"
        ),
        RotationStage::Made { key_id } => format!(
            "rotation stopped: the key{} was made at {since} and never stored; the stored one works; {rotate} deletes \
             it and goes on",
            named(key_id)
        ),
        RotationStage::Retiring { key_id } => format!(
            "old key not deleted: the key{} was replaced at {since} and still works at the cloud; {rotate} deletes it",
            named(key_id)
        ),
    }
}

/// Only what is stored gets old; what ends by itself within the limit has no
/// need to be told.
fn age(secret: &SecretFacts, rotate: &str, now: Timestamp) -> Option<String> {
    let age = now.since(secret.created_at);
    let stored = !secret.fields.is_empty();
    let over = secret.usable_until().is_some_and(|end| end <= now);
    (stored && !over && age > AGE_MAX).then(|| {
        format!("{} old: the source credential has been the same since {}; {rotate}", span(age), secret.created_at)
    })
}

/// In the largest unit of which there are two, rounded down.
fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        _ if length >= DAY * 2 => (seconds / 86_400, "days"),
        _ if seconds >= 2 * 3600 => (seconds / 3600, "hours"),
        _ if seconds >= 2 * 60 => (seconds / 60, "minutes"),
        _ => (seconds, "seconds"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::super::connector::{
        AuthMethodName, ConnectorTypeName, MintPolicy, SecretFieldName, Verification, Version,
    };
    use super::super::{ConnectorId, Labels, PrincipalId, ProjectId};
    use super::*;

    const BORN: Timestamp = Timestamp::from_seconds(1_767_225_600);
    const ENGINEER: Onlooker = Onlooker { settings_visible: true, rotates: true };
    const HOUR: Duration = Duration::from_secs(3600);
    const MOMENT: Duration = Duration::from_millis(1);

    fn connector(change: impl FnOnce(&mut Connector)) -> Connector {
        let mut connector = Connector {
            id: ConnectorId::from_bytes([1; 16]),
            project: ProjectId::from_bytes([2; 16]),
            name: "prod-s3".parse().unwrap(),
            connector_type: ConnectorTypeName::parse("aws").unwrap(),
            auth_method: AuthMethodName::parse("iam-role").unwrap(),
            resource_type: None,
            resource_id: None,
            settings: "{}".to_owned(),
            description: String::new(),
            labels: Labels::default(),
            policy: MintPolicy::default(),
            verification: Verification {
                state: VerificationState::Verified,
                checked_at: BORN,
                reason: String::new(),
                identity: String::new(),
                reach: Vec::new(),
            },
            secret: SecretFacts {
                fields: vec![SecretFieldName::parse("key").unwrap()],
                version: 1,
                lineage: 1,
                created_at: BORN,
                expires_at: None,
                own_end: None,
                skew_tolerance: 0,
                fingerprint: String::new(),
                key_fingerprint: None,
                rotation: None,
            },
            created_by: PrincipalId::from_bytes([3; 16]),
            created_at: BORN,
            updated_at: BORN,
            version: Version::FIRST,
        };
        change(&mut connector);
        connector
    }

    /// The heads of the warnings after this long.
    fn heads(connector: &Connector, after: Duration) -> Vec<String> {
        let all = warnings(connector, &[], ENGINEER, BORN.plus(after));
        all.iter().map(|warning| warning.split_once(": ").unwrap().0.to_owned()).collect()
    }

    fn ending_after(life: Duration) -> Connector {
        connector(|c| c.secret.expires_at = Some(BORN.plus(life)))
    }

    #[test]
    fn nothing_is_said_of_a_young_verified_connector() {
        assert_eq!(heads(&connector(|_| {}), HOUR), Vec::<String>::new());
    }

    #[test]
    fn the_end_is_told_when_a_fifth_of_the_life_is_left_at_most_thirty_days() {
        for (life, ahead) in [(HOUR, HOUR / 5), (DAY * 20, DAY * 4), (DAY * 150, DAY * 30), (DAY * 3650, DAY * 30)] {
            let connector = ending_after(life);
            let told = |at: Duration| heads(&connector, at).iter().any(|head| head.starts_with("ends in "));
            assert!(!told(life - ahead - MOMENT), "{life:?}: not yet");
            assert!(told(life - ahead), "{life:?}: now");
            assert!(told(life - MOMENT), "{life:?}: until the end");
            assert!(!told(life), "{life:?}: it has ended");
        }
    }

    #[test]
    fn an_end_that_has_come_is_loud_and_says_what_to_do() {
        let connector = ending_after(DAY);
        assert_ne!(heads(&connector, DAY - MOMENT), ["EXPIRED"]);
        assert_eq!(heads(&connector, DAY), ["EXPIRED"]);
        let said = warnings(&connector, &[], ENGINEER, BORN.plus(DAY)).concat();
        assert!(said.contains("rotate-secret prod-s3 --auto"), "{said}");
        let by_hand = warnings(&connector, &[], Onlooker { rotates: false, ..ENGINEER }, BORN.plus(DAY)).concat();
        assert!(by_hand.contains("rotate-secret prod-s3`"), "{by_hand}");
        // What has ended is not told to be old as well.
        assert!(heads(&connector, AGE_MAX * 2).iter().all(|head| !head.ends_with(" old")));
    }

    #[test]
    fn a_skew_tolerance_moves_the_end_and_all_that_is_told_of_it() {
        let early = connector(|c| {
            c.secret.expires_at = Some(BORN.plus(DAY));
            c.secret.skew_tolerance = 3600;
        });
        assert_eq!(early.secret.usable_until(), Some(BORN.plus(DAY - HOUR)));
        assert_eq!(heads(&early, (DAY - HOUR) * 4 / 5 - MOMENT), Vec::<String>::new());
        assert_eq!(heads(&early, (DAY - HOUR) * 4 / 5).len(), 1);
        assert_ne!(heads(&early, DAY - HOUR - MOMENT), ["EXPIRED"]);
        assert_eq!(heads(&early, DAY - HOUR), ["EXPIRED"]);
        let said = warnings(&early, &[], ENGINEER, BORN.plus(DAY - HOUR)).concat();
        assert!(said.contains("3600 s early by its skew tolerance"), "{said}");
        let endless = connector(|c| c.secret.skew_tolerance = 3600);
        assert_eq!((endless.secret.usable_until(), heads(&endless, DAY).len()), (None, 0));
    }

    #[test]
    fn the_earlier_of_two_ends_counts_and_what_was_said_is_told_apart() {
        let mut facts = connector(|_| {}).secret;
        let (soon, late) = (Some(BORN.plus(HOUR)), Some(BORN.plus(DAY)));
        for (said, own, end, kept) in [
            (soon, late, soon, soon),
            (late, soon, soon, None),
            (None, soon, soon, None),
            (soon, None, soon, soon),
            (None, None, None, None),
        ] {
            facts.end_by(said, own);
            assert_eq!((facts.expires_at, facts.own_end, facts.said_end()), (end, own, kept));
        }
    }

    #[test]
    fn a_stored_key_is_old_after_ninety_days_and_no_key_never_is() {
        let fresh = |c: &mut Connector| c.verification.checked_at = BORN.plus(AGE_MAX);
        let stored = connector(fresh);
        assert_eq!(heads(&stored, AGE_MAX), Vec::<String>::new());
        assert_eq!(heads(&stored, AGE_MAX + MOMENT), ["90 days old"]);
        let nothing_stored = connector(|c| {
            fresh(c);
            c.secret.fields.clear();
        });
        assert_eq!(heads(&nothing_stored, AGE_MAX + MOMENT), Vec::<String>::new());
    }

    #[test]
    fn what_the_cloud_said_gets_stale_after_thirty_days() {
        let connector = connector(|_| {});
        assert_eq!(heads(&connector, VERIFICATION_AGE_MAX), Vec::<String>::new());
        assert_eq!(heads(&connector, VERIFICATION_AGE_MAX + MOMENT), ["verified 30 days ago"]);
    }

    #[test]
    fn unverified_and_failing_are_told_at_once_without_the_clouds_words() {
        let with = |state| {
            connector(|c| {
                c.verification.state = state;
                c.verification.reason = "arn:aws:iam::123456789012:user/x".to_owned();
            })
        };
        assert_eq!(heads(&with(VerificationState::Unverified), MOMENT), ["unverified"]);
        let failing = with(VerificationState::Failing);
        assert_eq!(heads(&failing, MOMENT), ["FAILING"]);
        assert!(!warnings(&failing, &[], ENGINEER, BORN).concat().contains("arn:"), "whoever lists may not see ids");
    }

    #[test]
    fn a_passthrough_is_the_first_thing_said() {
        let connector = connector(|c| {
            c.policy.allow_passthrough = true;
            c.verification.state = VerificationState::Unverified;
        });
        assert_eq!(heads(&connector, MOMENT), ["PASSTHROUGH", "unverified"]);
    }

    #[test]
    fn what_is_dangerous_in_the_settings_is_said_before_all_else() {
        let connector = connector(|c| c.policy.allow_passthrough = true);
        let said = warnings(&connector, &["INSECURE: nobody looks; look"], ENGINEER, BORN.plus(MOMENT));
        assert_eq!(said[0], "INSECURE: nobody looks; look");
        assert!(said[1].starts_with("PASSTHROUGH: ") && said.len() == 2, "{said:?}");
    }

    #[test]
    fn a_rotation_that_stopped_says_where_and_the_key_to_engineers_only() {
        let stopped = |stage| connector(|c| c.secret.rotation = Some(UnfinishedRotation { stage, since: BORN }));
        let key_id = "AKIA0000000000000001".to_owned();
        for (stage, head, named) in [
            (RotationStage::Asked, "rotation stopped", false),
            (RotationStage::Made { key_id: key_id.clone() }, "rotation stopped", true),
            (RotationStage::Retiring { key_id: key_id.clone() }, "old key not deleted", true),
        ] {
            let connector = stopped(stage);
            assert_eq!(heads(&connector, MOMENT), [head]);
            assert_eq!(warnings(&connector, &[], ENGINEER, BORN).concat().contains(&key_id), named);
            let scientist = Onlooker { settings_visible: false, ..ENGINEER };
            assert!(!warnings(&connector, &[], scientist, BORN).concat().contains(&key_id));
        }
    }

    #[test]
    fn stored_facts_from_before_rotations_still_parse() {
        let facts = connector(|_| {}).secret;
        let json = serde_json::to_string(&facts).unwrap();
        assert!(!["rotation", "own_end", "skew_tolerance"].iter().any(|new| json.contains(new)), "{json}");
        assert_eq!(serde_json::from_str::<SecretFacts>(&json).unwrap(), facts);
        let stage = RotationStage::Retiring { key_id: "k".to_owned() };
        let with = SecretFacts { rotation: Some(UnfinishedRotation { stage, since: BORN }), ..facts };
        assert_eq!(serde_json::from_str::<SecretFacts>(&serde_json::to_string(&with).unwrap()).unwrap(), with);
    }
}

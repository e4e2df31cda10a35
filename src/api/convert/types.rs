//! The nouns of `types.proto`, and small things that several services send.

use std::collections::BTreeMap;

use crate::domain::{
    AccessLevel, Downscope, FieldError, Labels, MintPolicy, Name, Pattern, Reach, Revocable, Timestamp, Ttl,
    Verification, Version, description,
};
use crate::proto;

/// The most patterns of one policy or binding.
pub const PATTERNS_MAX: usize = 64;
/// The last second of the year 9999: later ones have no RFC 3339 form.
const SECONDS_MAX: i64 = 253_402_300_799;
const NANOS_PER_MILLI: i32 = 1_000_000;

/// A level that was asked for, when one was.
///
/// # Errors
/// Names `field` when the number stands for no level.
pub fn access_level(field: &str, raw: i32) -> Result<Option<AccessLevel>, FieldError> {
    match proto::AccessLevel::try_from(raw) {
        Ok(proto::AccessLevel::Unspecified) => Ok(None),
        Ok(proto::AccessLevel::Read) => Ok(Some(AccessLevel::Read)),
        Ok(proto::AccessLevel::Write) => Ok(Some(AccessLevel::Write)),
        Ok(proto::AccessLevel::Admin) => Ok(Some(AccessLevel::Admin)),
        Err(_) => Err(FieldError::new(field, "one of read, write, admin")),
    }
}

/// A level, to send.
#[must_use]
pub const fn access_level_out(level: AccessLevel) -> proto::AccessLevel {
    match level {
        AccessLevel::Read => proto::AccessLevel::Read,
        AccessLevel::Write => proto::AccessLevel::Write,
        AccessLevel::Admin => proto::AccessLevel::Admin,
    }
}

/// A downscope, to send.
#[must_use]
pub const fn downscope_out(downscope: Downscope) -> proto::Downscope {
    match downscope {
        Downscope::None => proto::Downscope::None,
        Downscope::Resource => proto::Downscope::Resource,
        Downscope::Prefix => proto::Downscope::Prefix,
    }
}

/// What can be done about a credential, to send.
#[must_use]
pub const fn revocable_out(revocable: Revocable) -> proto::Revocable {
    match revocable {
        Revocable::No => proto::Revocable::No,
        Revocable::RoleWide => proto::Revocable::RoleWide,
        Revocable::Single => proto::Revocable::Single,
    }
}

/// A time between the years 1970 and 9999, when one was sent; below a
/// millisecond it is cut.
///
/// # Errors
/// Names `field`.
pub fn timestamp(field: &str, raw: Option<&prost_types::Timestamp>) -> Result<Option<Timestamp>, FieldError> {
    let Some(raw) = raw else { return Ok(None) };
    if !(0..=SECONDS_MAX).contains(&raw.seconds) || !(0..1_000_000_000).contains(&raw.nanos) {
        return Err(FieldError::new(field, "a time between the years 1970 and 9999"));
    }
    Ok(Some(Timestamp::from_millis(raw.seconds * 1000 + i64::from(raw.nanos / NANOS_PER_MILLI))))
}

/// A time, to send.
#[must_use]
pub fn timestamp_out(time: Timestamp) -> prost_types::Timestamp {
    let millis = i32::try_from(time.millis().rem_euclid(1000)).unwrap_or(0);
    prost_types::Timestamp { seconds: time.seconds(), nanos: millis * NANOS_PER_MILLI }
}

/// A name in `field`.
///
/// # Errors
/// Names `field`.
pub fn name(field: &str, text: &str) -> Result<Name, FieldError> {
    text.parse().map_err(|error: crate::domain::NameError| FieldError::new(field, error.to_string()))
}

/// A name in `field`, when one was sent.
///
/// # Errors
/// Names `field`.
pub fn name_if_any(field: &str, text: &str) -> Result<Option<Name>, FieldError> {
    if text.is_empty() { Ok(None) } else { name(field, text).map(Some) }
}

/// The longest text that resolves to a record: a name or an id.
const REFERENCE_LENGTH_MAX: usize = 63;

/// A name, an id or a prefix of one, in `field`.
///
/// # Errors
/// Names `field` when it is empty or could be none of these.
pub fn reference<'a>(field: &str, text: &'a str) -> Result<&'a str, FieldError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || text.len() > REFERENCE_LENGTH_MAX || !text.bytes().all(inner) {
        return Err(FieldError::new(field, "a name, an id or a unique prefix of an id is due"));
    }
    Ok(text)
}

/// The same, when one was sent.
///
/// # Errors
/// Names `field`.
pub fn reference_if_any<'a>(field: &str, text: &'a str) -> Result<Option<&'a str>, FieldError> {
    if text.is_empty() { Ok(None) } else { reference(field, text).map(Some) }
}

/// The version that a client has read, when it said so.
///
/// # Errors
/// Names `etag`.
pub fn etag(text: &str) -> Result<Option<Version>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    digits
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u64>().ok())
        // Above this no version is counted, and the one after it must be.
        .filter(|version| *version < u64::from(u32::MAX) << 16)
        .map(|version| Some(Version(version)))
        .ok_or_else(|| FieldError::new("etag", "is not one of ours; send back what an earlier reply said"))
}

/// A version, to send.
#[must_use]
pub fn etag_out(version: Version) -> String {
    format!("\"{}\"", version.0)
}

/// Labels.
///
/// # Errors
/// Names `labels` or `labels.KEY`.
pub fn labels(pairs: BTreeMap<String, String>) -> Result<Labels, FieldError> {
    Labels::parse(pairs)
}

/// Labels, to send.
#[must_use]
pub fn labels_out(labels: &Labels) -> BTreeMap<String, String> {
    labels.pairs().clone()
}

/// A description.
///
/// # Errors
/// Names `description`.
pub fn description(text: &str) -> Result<String, FieldError> {
    description::parse(text)
}

/// Globs of resource ids in `field`.
///
/// # Errors
/// Names `field`, with the place of the pattern.
pub fn patterns(field: &str, globs: &[String]) -> Result<Vec<Pattern>, FieldError> {
    if globs.len() > PATTERNS_MAX {
        return Err(FieldError::new(field, format!("at most {PATTERNS_MAX} patterns")));
    }
    let parse = |(place, glob): (usize, &String)| {
        Pattern::parse(glob).map_err(|error| FieldError::new(format!("{field}[{place}]"), error.problem))
    };
    globs.iter().enumerate().map(parse).collect()
}

/// A lifetime in seconds; 0 is none.
#[must_use]
pub const fn ttl(seconds: u32) -> Option<Ttl> {
    if seconds == 0 { None } else { Some(Ttl::seconds(seconds)) }
}

/// A lifetime in seconds, to send; none is 0.
#[must_use]
pub fn ttl_out(ttl: Option<Ttl>) -> u32 {
    ttl.map_or(0, Ttl::as_seconds)
}

/// A ceiling; what was not said is as in [`MintPolicy::default`].
///
/// # Errors
/// Names `mint_policy.FIELD`.
pub fn mint_policy(raw: Option<&proto::MintPolicy>) -> Result<MintPolicy, FieldError> {
    let base = MintPolicy::default();
    let Some(raw) = raw else { return Ok(base) };
    Ok(MintPolicy {
        resource_patterns: patterns("mint_policy.resource_patterns", &raw.resource_patterns)?,
        access_max: access_level("mint_policy.access_max", raw.access_max)?.unwrap_or(base.access_max),
        ttl_max: ttl(raw.ttl_max_seconds),
        allow_passthrough: raw.allow_passthrough,
        shared: raw.shared,
    })
}

/// A ceiling, to send.
#[must_use]
pub fn mint_policy_out(policy: &MintPolicy) -> proto::MintPolicy {
    proto::MintPolicy {
        resource_patterns: policy.resource_patterns.iter().map(ToString::to_string).collect(),
        access_max: access_level_out(policy.access_max).into(),
        ttl_max_seconds: ttl_out(policy.ttl_max),
        allow_passthrough: policy.allow_passthrough,
        shared: policy.shared,
    }
}

/// What verification found, to send. Whoever may not see identities gets the
/// record without it: that is the broker's to decide.
#[must_use]
pub fn verification_out(verification: &Verification) -> proto::Verification {
    proto::Verification {
        state: verification.state.as_str().to_owned(),
        checked_at: Some(timestamp_out(verification.checked_at)),
        reason: verification.reason.clone(),
        identity: verification.identity.clone(),
        reach: verification.reach.iter().map(reach_out).collect(),
    }
}

/// Which resources of a type are reached, to send.
#[must_use]
pub fn reach_out(reach: &Reach) -> proto::ResourceTypeReach {
    proto::ResourceTypeReach {
        resource_type: reach.resource_type.to_string(),
        resource_ids: reach.resource_ids.iter().map(ToString::to_string).collect(),
        error: reach.error.clone().unwrap_or_default(),
        missing_permissions: reach.missing_permissions.clone(),
        remedy: reach.remedy.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_comes_back_as_it_was_sent_and_in_no_other_spelling() {
        assert_eq!(etag(&etag_out(Version(7))).unwrap(), Some(Version(7)));
        assert_eq!(etag("").unwrap(), None);
        for bad in [
            "7",
            "\"7",
            "\"\"",
            "\"-1\"",
            "\"+7\"",
            "\"18446744073709551615\"",
            "\"99999999999999999999\"",
            "W/\"7\"",
            "\"",
        ] {
            assert_eq!(etag(bad).unwrap_err().field, "etag", "{bad}");
        }
    }

    #[test]
    fn times_out_of_range_are_refused_by_field() {
        let at = |seconds, nanos| timestamp("since", Some(&prost_types::Timestamp { seconds, nanos }));
        assert_eq!(at(1, 999_999_999).unwrap(), Some(Timestamp::from_millis(1999)));
        assert!(at(SECONDS_MAX, 0).is_ok());
        for (seconds, nanos) in [(-1, 0), (SECONDS_MAX + 1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, i32::MIN)] {
            assert_eq!(at(seconds, nanos).unwrap_err().field, "since");
        }
        assert_eq!(timestamp("since", None).unwrap(), None);
    }

    #[test]
    fn a_level_that_is_none_is_refused_and_an_unsaid_one_is_not_guessed() {
        assert_eq!(access_level("access_max", 0).unwrap(), None);
        assert_eq!(access_level("access_max", 3).unwrap(), Some(AccessLevel::Admin));
        assert_eq!(access_level("access_max", 4).unwrap_err().field, "access_max");
    }

    #[test]
    fn patterns_are_bounded_and_a_bad_one_is_named_by_place() {
        let many = vec!["a".to_owned(); PATTERNS_MAX];
        assert_eq!(patterns("p", &many).unwrap().len(), PATTERNS_MAX);
        assert_eq!(patterns("p", &[many, vec!["a".to_owned()]].concat()).unwrap_err().field, "p");
        assert_eq!(patterns("p", &["a".to_owned(), "a?".to_owned()]).unwrap_err().field, "p[1]");
    }

    #[test]
    fn a_reference_has_no_characters_that_names_and_ids_have_not() {
        assert!(reference("connector", "prod-aws").is_ok());
        assert!(reference("connector", "6f1c6d3a-5d0b-4f6e-9a55-0d1f5c1d7a11").is_ok());
        for bad in ["", "A", "a b", "a%", "a'--", "a\0", &"a".repeat(64)] {
            assert_eq!(reference("connector", bad).unwrap_err().field, "connector", "{bad:?}");
        }
    }
}

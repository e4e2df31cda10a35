//! What every service speaks of: names, times, levels, versions, ceilings,
//! and what makes two requests the same.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::broker::{Call, Once};
use crate::domain::{
    AccessLevel, Downscope, FieldError, Labels, MintPolicy, Name, Pattern, RequestId, Revocable, Timestamp, Ttl,
    Version,
};
use crate::proto;

/// The longest description, in characters.
pub const DESCRIPTION_LENGTH_MAX: usize = 1000;
/// The most globs of one ceiling or binding.
pub const PATTERNS_MAX: usize = 64;

/// A time, for a reply.
#[must_use]
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp { seconds: time.seconds(), nanos }
}

/// A time from a request: 1970 to 9999, or nothing.
///
/// # Errors
/// Names `field`.
pub fn parse_timestamp(field: &str, time: Option<&prost_types::Timestamp>) -> Result<Option<Timestamp>, FieldError> {
    const YEAR_9999: i64 = 253_402_300_799;
    let Some(time) = time else { return Ok(None) };
    let fits = (0..=YEAR_9999).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    if !fits {
        return Err(FieldError::new(field, "must be a time between 1970 and 9999"));
    }
    let millis = time.seconds * 1000 + i64::from(time.nanos / 1_000_000);
    Ok(Some(Timestamp::from_millis(millis)))
}

/// A name from a request.
///
/// # Errors
/// Names `field`.
pub fn name(field: &str, text: &str) -> Result<Name, FieldError> {
    text.parse().map_err(|error: crate::domain::NameError| FieldError::new(field, error.to_string()))
}

/// A description: at most 1,000 characters, no control characters but line
/// breaks.
///
/// # Errors
/// Names `description`.
pub fn description(text: String) -> Result<String, FieldError> {
    let fits = text.chars().count() <= DESCRIPTION_LENGTH_MAX && !text.chars().any(|c| c.is_control() && c != '\n');
    if fits { Ok(text) } else { Err(FieldError::new("description", "at most 1,000 characters, no control characters")) }
}

/// Labels from a request.
///
/// # Errors
/// Names `labels` or `labels.KEY`.
pub fn labels(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Labels, FieldError> {
    Labels::parse(pairs)
}

/// An access level from a request; nothing when it is unspecified.
///
/// # Errors
/// Names `field`.
pub fn access_level(field: &str, number: i32) -> Result<Option<AccessLevel>, FieldError> {
    match proto::AccessLevel::try_from(number) {
        Ok(proto::AccessLevel::Unspecified) => Ok(None),
        Ok(proto::AccessLevel::Read) => Ok(Some(AccessLevel::Read)),
        Ok(proto::AccessLevel::Write) => Ok(Some(AccessLevel::Write)),
        Ok(proto::AccessLevel::Admin) => Ok(Some(AccessLevel::Admin)),
        Err(_) => Err(FieldError::new(field, "one of read, write, admin")),
    }
}

/// An access level, for a reply.
#[must_use]
pub const fn access_view(level: AccessLevel) -> i32 {
    match level {
        AccessLevel::Read => proto::AccessLevel::Read as i32,
        AccessLevel::Write => proto::AccessLevel::Write as i32,
        AccessLevel::Admin => proto::AccessLevel::Admin as i32,
    }
}

/// How far the cloud narrows, for a reply.
#[must_use]
pub const fn downscope_view(downscope: Downscope) -> i32 {
    match downscope {
        Downscope::None => proto::Downscope::None as i32,
        Downscope::Resource => proto::Downscope::Resource as i32,
        Downscope::Prefix => proto::Downscope::Prefix as i32,
    }
}

/// What can be done about a credential, for a reply.
#[must_use]
pub const fn revocable_view(revocable: Revocable) -> i32 {
    match revocable {
        Revocable::No => proto::Revocable::No as i32,
        Revocable::RoleWide => proto::Revocable::RoleWide as i32,
        Revocable::Single => proto::Revocable::Single as i32,
    }
}

/// Globs from a request.
///
/// # Errors
/// Names `resource_patterns`.
pub fn patterns(globs: &[String]) -> Result<Vec<Pattern>, FieldError> {
    if globs.len() > PATTERNS_MAX {
        return Err(FieldError::new("resource_patterns", "at most 64 patterns"));
    }
    globs.iter().map(|glob| Pattern::parse(glob)).collect()
}

/// A ceiling from a request; the default one when there is none.
///
/// # Errors
/// Names the refused field.
pub fn mint_policy(policy: Option<proto::MintPolicy>) -> Result<MintPolicy, FieldError> {
    let Some(policy) = policy else { return Ok(MintPolicy::default()) };
    let access_max = access_level("mint_policy.access_max", policy.access_max)?;
    Ok(MintPolicy {
        resource_patterns: patterns(&policy.resource_patterns)?,
        access_max: access_max.unwrap_or_else(|| MintPolicy::default().access_max),
        ttl_max: (policy.ttl_max_seconds > 0).then(|| Ttl::seconds(policy.ttl_max_seconds)),
        allow_passthrough: policy.allow_passthrough,
        shared: policy.shared,
    })
}

/// A ceiling, for a reply.
#[must_use]
pub fn mint_policy_view(policy: &MintPolicy) -> proto::MintPolicy {
    proto::MintPolicy {
        resource_patterns: policy.resource_patterns.iter().map(ToString::to_string).collect(),
        access_max: access_view(policy.access_max),
        ttl_max_seconds: policy.ttl_max.map_or(0, Ttl::as_seconds),
        allow_passthrough: policy.allow_passthrough,
        shared: policy.shared,
    }
}

/// A version, for a reply: quoted, as in AIP-154.
#[must_use]
pub fn etag(version: Version) -> String {
    format!("\"{}\"", version.0)
}

/// A version from a request.
///
/// # Errors
/// Names `etag`.
pub fn parse_etag(text: &str) -> Result<Version, FieldError> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = inner.filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    let version = digits.and_then(|digits| digits.parse().ok()).map(Version);
    version.ok_or_else(|| FieldError::new("etag", "is needed as an earlier reply gave it; describe the record first"))
}

/// A version from a request; nothing when there is none.
///
/// # Errors
/// Names `etag`.
pub fn optional_etag(text: &str) -> Result<Option<Version>, FieldError> {
    if text.is_empty() { Ok(None) } else { parse_etag(text).map(Some) }
}

/// Digest of method and request. The caller has taken out the request id and
/// any secret; the broker adds a keyed digest of the secret.
#[must_use]
pub fn digest(call: &Call, request: &impl Message) -> [u8; 32] {
    let body = request.encode_to_vec();
    Sha256::new().chain_update(call.record.method).chain_update([0]).chain_update(body).finalize().into()
}

/// What makes a request the same; nothing without a request id.
///
/// # Errors
/// Names `request_id`.
pub fn once(request_id: &str, body_digest: [u8; 32]) -> Result<Option<Once>, FieldError> {
    if request_id.is_empty() {
        return Ok(None);
    }
    let request_id: RequestId =
        request_id.parse().map_err(|error: crate::domain::IdError| FieldError::new("request_id", error.to_string()))?;
    Ok(Some(Once { request_id, body_digest }))
}

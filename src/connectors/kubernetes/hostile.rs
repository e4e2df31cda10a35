//! The entry for the fuzz target: hostile answers to a TokenRequest.
//!
//! Asks nobody. What is believed is a token of the account, audience, life and
//! bond that were asked for (SECURITY D11), by its own words read once more.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::connectors::hostile::tells_little;
use crate::domain::{Timestamp, Ttl};
use crate::outbound::Response;

use super::ids::Account;
use super::upstream_token::{Given, Wanted};

const NOW: Timestamp = Timestamp::from_seconds(1_900_000_000);
const TTL: Ttl = Ttl::seconds(3600);
/// What a clock may be off.
const SKEW_MAX: Duration = Duration::from_secs(300);
const AUDIENCE: &str = "https://vault.example";
const BOND: &str = "11111111-2222-4333-8444-555555555555";

/// Reads `data` as the answer to the ask that its first byte names.
///
/// For the fuzz target: returns for every input. True when it was believed.
#[must_use]
pub fn fuzz_answer(data: &[u8]) -> bool {
    let Some((kind, body)) = data.split_first() else { return false };
    let account = Account { namespace: "ml".to_owned(), name: "reader".to_owned() };
    let audience = AUDIENCE.to_owned();
    let (audience, bond) = match kind {
        b't' => (None, None),
        b'a' => (Some(&audience), None),
        b'b' => (None, Some(BOND)),
        _ => return false,
    };
    let wanted = Wanted { account: &account, audience, ttl: TTL, bond, now: NOW };
    let read = wanted.read(&Response::new(201, None, body)).inspect_err(tells_little);
    read.map(|given| as_asked(&given, &wanted)).is_ok()
}

fn as_asked(given: &Given, wanted: &Wanted<'_>) {
    debug_assert!(given.expires_at > NOW && given.expires_at <= NOW.plus(TTL.as_duration()).plus(SKEW_MAX));
    let payload = given.token.reveal().split('.').nth(1).unwrap_or_default();
    let claims: Option<Value> =
        URL_SAFE_NO_PAD.decode(payload).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    debug_assert!(claims.is_some(), "a token that cannot be read");
    let Some(claims) = claims else { return };
    let is = |value: Option<&Value>, text: &str| value.is_some_and(|value| value == text);
    debug_assert!(is(claims.get("sub"), "system:serviceaccount:ml:reader"), "{claims}");
    if let Some(audience) = wanted.audience {
        let said = claims.get("aud");
        let only = said.and_then(Value::as_array).filter(|all| all.len() == 1).and_then(|all| all.first());
        debug_assert!(is(only, audience) || is(said, audience), "{claims}");
    }
    let bound = claims.get("kubernetes.io").and_then(|bound| bound.get("secret")).and_then(|secret| secret.get("uid"));
    debug_assert_eq!(bound.and_then(Value::as_str), wanted.bond, "{claims}");
    debug_assert!(
        given.id.as_deref().is_none_or(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    );
}

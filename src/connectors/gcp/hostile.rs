//! The entries for the fuzz targets: hostile files in place of Google's, and
//! hostile answers.
//!
//! What is taken names no program, no path, no other token endpoint and no
//! other universe, and only addresses and names that fit into calls. What is
//! believed of an answer may be handed out, and ends when it can.

use std::time::Duration;

use crate::connectors::hostile::tells_little;
use crate::connectors::{Doing, UpstreamError, token_endpoint};
use crate::domain::{SecretFieldName, Timestamp, Ttl};
use crate::outbound::Response;
use crate::sealing::{Plaintext, SourceCredential};

use super::place::{self, Place};
use super::settings_check::{EXTERNAL_ACCOUNT_JSON, SERVICE_ACCOUNT_JSON, USER_ACCOUNT_JSON};
use super::upstream_container::located;
use super::upstream_secret::{federation, key_id_fits, origin, service_account, user_login};
use super::upstream_source::Access;
use super::upstream_tokens::{an_hour_at_most, generated, known};
use super::{description, errors};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const TTL: Ttl = Ttl::seconds(3600);
/// What a clock may be off.
const SKEW_MAX: Duration = Duration::from_secs(60);
const DOING: Doing = Doing { permissions: &["container.clusters.get"], remedy: "remedy" };

const PLACE: Place<'static> = Place { project: "ml", location: None, endpoint_url: None };

/// Reads `data` as the file of each auth method that takes one.
///
/// For the fuzz target: returns for every input. True when one took it.
#[must_use]
pub fn fuzz_credentials(data: &[u8]) -> bool {
    let secret = |field: &str| {
        let name = SecretFieldName::parse(field).ok();
        SourceCredential::new(name.map(|name| (name, Plaintext::new(data.to_vec()))).into_iter().collect())
    };
    let key = service_account(&PLACE, &secret(SERVICE_ACCOUNT_JSON)).ok();
    let login = user_login(&PLACE, &secret(USER_ACCOUNT_JSON)).ok();
    let federated = federation(&PLACE, &secret(EXTERNAL_ACCOUNT_JSON)).ok();
    let taken = [key.is_some(), login.is_some(), federated.is_some()].into_iter().filter(|taken| *taken).count();
    debug_assert!(taken <= 1, "one file is of one kind");
    if let Some(key) = key {
        debug_assert!(place::email(&key.email) && key_id_fits(&key.key_id));
    }
    if let Some(login) = login {
        let words = [login.client_id.as_str(), login.client_secret.reveal(), login.refresh_token.reveal()];
        debug_assert!(words.iter().all(|word| !word.is_empty() && !word.contains(char::is_whitespace)));
    }
    if let Some(found) = federated {
        debug_assert!(origin(&found.source.url).is_some() && place::provider(&found.audience));
        debug_assert!(found.target.is_none_or(|target| place::email(&target)));
        debug_assert!(!runs_or_reads(data));
    }
    taken > 0
}

/// Reads `data` as the answer of Google that its first byte names.
///
/// For the fuzz target: returns for every input. True when it was believed.
#[must_use]
pub fn fuzz_answer(data: &[u8]) -> bool {
    let Some((kind, body)) = data.split_first() else { return false };
    let answer = |status| Response::new(status, None, body);
    let read = match kind {
        b't' => token_endpoint::answered(&answer(200), NOW).and_then(|token| an_hour_at_most(token, NOW)).map(living),
        b'i' => generated(&answer(200), NOW, TTL).map(living),
        b'n' => known(&answer(200), NOW).map(|found| {
            let latest = NOW.plus(Duration::from_secs(description::LONGEST.into()));
            debug_assert!(found.expires_at > NOW && found.expires_at <= latest);
            debug_assert!(found.email.is_none_or(|address| place::email(&address)));
            debug_assert!(found.client.is_none_or(|client| client.bytes().all(|byte| byte.is_ascii_graphic())));
        }),
        b'c' => located(&answer(200)).map(|found| {
            let host = found.endpoint.strip_prefix("https://").unwrap_or_default();
            debug_assert!(!host.is_empty() && !host.contains(['/', '?', '#', '@', '\\', ' ']), "{host}");
            debug_assert!(found.certificate_authority.is_some() || host.ends_with(".gke.goog"), "{host}");
        }),
        b'r' => Err(errors::refusal(&answer(403), DOING)),
        _ => return false,
    };
    read.inspect_err(|error| {
        tells_little(error);
        if let UpstreamError::Denied { missing, .. } = error {
            debug_assert!(missing.iter().all(|name| DOING.permissions.contains(&name.as_str())));
        }
    })
    .is_ok()
}

fn living(access: Access) {
    let latest = NOW.plus(TTL.as_duration()).plus(SKEW_MAX);
    debug_assert!(access.expires_at > NOW && access.expires_at <= latest);
    let token = access.token.reveal();
    debug_assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
}

/// Whether a file says, for certain, what another client would run or read.
fn runs_or_reads(data: &[u8]) -> bool {
    let file: Option<serde_json::Value> = serde_json::from_slice(data).ok();
    let keys = ["executable", "file", "environment_id", "certificate"];
    file.as_ref()
        .and_then(|file| file.get("credential_source"))
        .is_some_and(|source| keys.iter().any(|key| source.get(key).is_some_and(|value| !value.is_null())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_fuzzing_are_taken_or_not() {
        assert!(fuzz_credentials(include_bytes!("../../../tests/fuzz/seeds/google_credentials/user.json")));
        assert!(fuzz_credentials(include_bytes!("../../../tests/fuzz/seeds/google_credentials/federated.json")));
        assert!(!fuzz_credentials(include_bytes!("../../../tests/fuzz/seeds/google_credentials/no_key.json")));
        assert!(!fuzz_credentials(include_bytes!("../../../tests/fuzz/seeds/google_credentials/file.json")));
        assert!(!fuzz_credentials(b"{}"));
    }
}

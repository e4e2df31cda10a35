//! The entry for the fuzz target: hostile files in place of Google's.
//!
//! What is taken names no program, no path, no other token endpoint and no
//! other universe, and only addresses and names that fit into calls.

use crate::domain::SecretFieldName;
use crate::sealing::{Plaintext, SourceCredential};

use super::place::{self, Place};
use super::settings_check::{EXTERNAL_ACCOUNT_JSON, SERVICE_ACCOUNT_JSON, USER_ACCOUNT_JSON};
use super::upstream_secret::{federation, key_id_fits, origin, service_account, user_login};

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

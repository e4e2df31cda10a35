//! The entry for the fuzz target: hostile challenges of a registry.
//!
//! Asks nobody. Whatever a registry says, the password goes to the registry
//! itself, and what is read is what stands there.

use super::challenge::{Challenge, read};
use super::place::Place;

/// The longest header that is written here.
const WRITTEN_LENGTH_MAX: usize = 4096;

/// Reads each line of `text` as a `WWW-Authenticate` header of one answer.
///
/// For the fuzz target: returns for every input. True when there is a
/// challenge to meet.
#[must_use]
pub fn fuzz_challenge(text: &str) -> bool {
    let headers: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(found) = read(&headers) else { return false };
    if let Challenge::Bearer { realm, service } = &found {
        let said = [realm.as_str(), service.as_deref().unwrap_or_default()].concat();
        debug_assert!(said.len() <= text.len() && !said.chars().any(char::is_control));
        let place = Place { host: "registry.example.com".to_owned(), plain: false };
        if let Some(url) = place.token_service(realm, None) {
            debug_assert_eq!(url.origin().ascii_serialization(), place.base());
            debug_assert!(url.username().is_empty() && url.password().is_none());
        }
        let mut again = format!("Bearer realm={}", quoted(realm));
        if let Some(service) = service {
            again.push_str(",service=");
            again.push_str(&quoted(service));
        }
        debug_assert!(again.len() > WRITTEN_LENGTH_MAX || read(&[again]).as_ref() == Some(&found));
    }
    true
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_fuzzing_are_challenges() {
        assert!(fuzz_challenge(include_str!("../../../tests/fuzz/seeds/challenge/bearer")));
        assert!(fuzz_challenge(include_str!("../../../tests/fuzz/seeds/challenge/two")));
        // What these name is not the registry's own, and the password does not go there.
        assert!(fuzz_challenge(include_str!("../../../tests/fuzz/seeds/challenge/other_port")));
        assert!(fuzz_challenge(include_str!("../../../tests/fuzz/seeds/challenge/user_in_realm")));
        assert!(!fuzz_challenge(""));
    }
}

//! The entry for the fuzz target: hostile kubeconfigs.
//!
//! Reads no file and runs nothing. What is taken has a credential of one kind
//! and names that fit, and is unverified only where that was asked for.

use std::path::Path;

use super::{Allowed, CLUSTER_LENGTH_MAX, NAMED_CONTEXTS_MAX, WORD_LENGTH_MAX, parse};
use crate::domain::Name;

/// The longest error: the names of the contexts, each letter up to four bytes.
const SAID_LENGTH_MAX: usize = NAMED_CONTEXTS_MAX * (WORD_LENGTH_MAX * 4 + 2) + 1024;

/// Reads `data` as a kubeconfig; its first byte says whether an unverified
/// server is allowed.
///
/// For the fuzz target: returns for every input. True when it was taken.
#[must_use]
pub fn fuzz_kubeconfig(data: &[u8]) -> bool {
    let Some((first, text)) = data.split_first() else { return false };
    let allowed = Allowed { insecure: *first == b'i', files: false };
    let found = match parse(text, Path::new("/nowhere"), None, allowed) {
        Ok(found) => found,
        Err(error) => {
            let said = error.to_string();
            debug_assert!(said.len() <= SAID_LENGTH_MAX && !said.chars().any(char::is_control), "{said}");
            return false;
        }
    };
    let secrets: Vec<&str> = found.secrets.iter().map(|(name, _)| *name).collect();
    debug_assert!(matches!(
        (found.auth_method, secrets.as_slice()),
        ("token", ["token"] | ["client_certificate", "client_key"]) | ("password", ["username", "password"])
    ));
    debug_assert!(allowed.insecure || !found.settings.contains_key("insecure"));
    debug_assert!(found.name.parse::<Name>().is_ok(), "{}", found.name);
    let cluster = found.settings.get("cluster_name").and_then(serde_json::Value::as_str).unwrap_or_default();
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    debug_assert!((1..=CLUSTER_LENGTH_MAX).contains(&cluster.len()) && cluster.bytes().all(letters), "{cluster}");
    debug_assert!(cluster.starts_with(|c: char| c.is_ascii_alphanumeric()), "{cluster}");
    debug_assert!(found.notes.iter().all(|note| note.len() <= SAID_LENGTH_MAX && !note.chars().any(char::is_control)));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_fuzzing_are_taken_or_not() {
        assert!(fuzz_kubeconfig(include_bytes!("../../../../tests/fuzz/seeds/kubeconfig/token")));
        assert!(fuzz_kubeconfig(include_bytes!("../../../../tests/fuzz/seeds/kubeconfig/insecure_password")));
        assert!(!fuzz_kubeconfig(include_bytes!("../../../../tests/fuzz/seeds/kubeconfig/insecure_unasked")));
        assert!(!fuzz_kubeconfig(include_bytes!("../../../../tests/fuzz/seeds/kubeconfig/exec")));
        assert!(!fuzz_kubeconfig(include_bytes!("../../../../tests/fuzz/seeds/kubeconfig/aliases")));
    }
}

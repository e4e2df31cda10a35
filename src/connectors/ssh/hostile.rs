//! The entry for the fuzz target: hostile keys, lines and sign-ins.
//!
//! What is taken has one encoding and reads back as itself; a private key
//! signs for the public key that it says; nothing is signed for no host.

use crate::connectors::Challenge;

use super::challenge::Agreed;
use super::hosts::Host;
use super::public_key::{Key, of_caller, pins};
use super::upstream_key::SourceKey;

/// Reads `data` as what its first byte stands for: `c` a caller's key, `h` a
/// line of known_hosts, `p` a private key, else what is to be signed.
///
/// For the fuzz target: returns for every input. True when it was taken.
#[must_use]
pub fn fuzz_keys(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    match kind {
        b'c' => std::str::from_utf8(rest).is_ok_and(callers_key),
        b'h' => std::str::from_utf8(rest).is_ok_and(known_host),
        b'p' => private_key(rest),
        _ => sign_in(rest),
    }
}

fn callers_key(line: &str) -> bool {
    let Ok(key) = of_caller(line) else { return false };
    one_encoding(&key);
    debug_assert!(!key.kind().contains("cert") && !key.kind().contains("dss"));
    debug_assert_eq!(of_caller(&key.line()).as_ref(), Ok(&key), "written and read again");
    true
}

fn known_host(line: &str) -> bool {
    let Ok(pins) = pins(line) else { return false };
    for pin in &pins {
        debug_assert_eq!(Host::parse(&pin.host.id()).as_ref(), Some(&pin.host), "one spelling");
        one_encoding(&pin.key);
    }
    !pins.is_empty()
}

fn one_encoding(key: &Key) {
    debug_assert_eq!(Key::decode(&key.blob).as_ref(), Some(key), "it is none of its own");
    debug_assert!(Key::decode(&[key.blob.as_slice(), &[0]].concat()).is_none(), "a byte too many");
}

/// Without a passphrase: its rounds are slow, and bounded by what is tested.
fn private_key(text: &[u8]) -> bool {
    let Ok(key) = SourceKey::read(text, None) else { return false };
    let public = key.public().ok().and_then(|blob| Key::decode(&blob));
    let message = b"what a key signs";
    let signature = key.sign(key.best(), message);
    // A key that ring holds and cannot sign with signs nothing wrong either.
    let verified = public.zip(signature).is_none_or(|(public, signature)| public.verifies(message, &signature));
    debug_assert!(verified, "a {} key signs for another", key.kind());
    true
}

fn sign_in(data: &[u8]) -> bool {
    let agreed = Agreed { username: "ml", public_key: b"\0\0\0\x0bssh-ed25519", host_keys: &[] };
    for flags in [0, 2, 4] {
        let challenge = Challenge { data: data.to_vec(), flags, binding: None };
        debug_assert!(agreed.judge(&challenge).is_err(), "signed for no host");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_fuzzing_are_taken_or_not() {
        assert!(fuzz_keys(include_bytes!("../../../tests/fuzz/seeds/ssh_keys/caller_ed25519")));
        assert!(fuzz_keys(include_bytes!("../../../tests/fuzz/seeds/ssh_keys/known_host")));
        assert!(fuzz_keys(include_bytes!("../../../tests/fuzz/seeds/ssh_keys/private_ed25519")));
        assert!(fuzz_keys(include_bytes!("../../../tests/fuzz/seeds/ssh_keys/private_ecdsa")));
        assert!(!fuzz_keys(include_bytes!("../../../tests/fuzz/seeds/ssh_keys/caller_certificate")));
        assert!(!fuzz_keys(include_bytes!("../../../tests/fuzz/seeds/ssh_keys/sign_in")));
        assert!(!fuzz_keys(b"p"));
    }
}

//! A passphrase and its parameter file: altered, cheapened, inflated.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::sealing::seeded::{Failing, Seeded, Standing};

use super::*;

fn words(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn right() -> Zeroizing<Vec<u8>> {
    words("six random words make a passphrase")
}

fn place(folder: &TempDir) -> PathBuf {
    folder.path().join("root.params")
}

/// Changes the stored parameters as text and tries to start.
fn start_with(path: &Path, from: &str, to: &str) -> Option<RootKeyError> {
    let before = fs::read_to_string(path).unwrap();
    assert!(before.contains(from), "{before}");
    fs::write(path, before.replace(from, to)).unwrap();
    let refused = RootKey::from_passphrase(path, &right()).err();
    fs::write(path, before).unwrap();
    refused
}

#[test]
fn c14_a_passphrase_gives_its_key_again_and_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = place(&folder);
    let made = RootKey::create_passphrase(&path, &right(), &Seeded::new(1)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(RootKey::from_passphrase(&path, &right()).unwrap().id(), made.id());
    let wrong = RootKey::from_passphrase(&path, &words("six random words make a passphrasf")).err();
    assert_eq!(wrong, Some(RootKeyError::WrongPassphrase(path.clone())));
    let again = RootKey::create_passphrase(&path, &right(), &Seeded::new(2)).err();
    assert_eq!(again, Some(RootKeyError::Exists(path)));
}

#[test]
fn stored_costs_have_a_floor_and_a_ceiling() {
    let folder = tempfile::tempdir().unwrap();
    let path = place(&folder);
    RootKey::create_passphrase(&path, &right(), &Seeded::new(1)).unwrap();
    for (from, to) in [
        ("65536", "47103"),
        ("65536", "1048577"),
        ("65536", "4294967295"),
        ("\"passes\": 3", "\"passes\": 0"),
        ("\"passes\": 3", "\"passes\": 17"),
        ("\"lanes\": 1", "\"lanes\": 0"),
        ("\"lanes\": 1", "\"lanes\": 5"),
        ("\"version\": 1", "\"version\": 2"),
        ("\"version\": 1", "\"version\": 1, \"extra\": 1"),
        ("\"salt\": \"", "\"salt\": \"AAAA"),
        ("{", "["),
    ] {
        assert_eq!(start_with(&path, from, to), Some(RootKeyError::Parameters(path.clone())), "{from} -> {to}");
    }
    let within = start_with(&path, "\"passes\": 3", "\"passes\": 1");
    assert_eq!(within, Some(RootKeyError::WrongPassphrase(path.clone())), "altered, within bounds");
    assert_eq!(start_with(&path, "65536", "65536"), None);
}

#[test]
fn a_short_passphrase_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = place(&folder);
    for bad in ["", "elevenchars", &"x".repeat(1025)] {
        let refused = RootKey::create_passphrase(&path, &words(bad), &Seeded::new(1)).err();
        assert_eq!(refused, Some(RootKeyError::WeakPassphrase));
    }
    assert!(!path.exists());
}

#[test]
fn c9_no_parameters_are_made_without_randomness() {
    let folder = tempfile::tempdir().unwrap();
    let path = place(&folder);
    for entropy in [&Failing as &dyn Entropy, &Standing { step: 0 }] {
        assert_eq!(RootKey::create_passphrase(&path, &right(), entropy).err(), Some(RootKeyError::Entropy));
    }
    assert!(!path.exists());
}

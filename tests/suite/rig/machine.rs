//! What an engineer's machine has: files in the home that a vault's command line sees, and `--auto-configure` on them.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::vault::{Outcome, Vault};

/// Puts a file into the home; returns where.
pub fn has(vault: &Vault, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let file = vault.beside(path);
    fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("the home is writable");
    fs::write(&file, content).expect("the home is writable");
    file
}

/// Registers what the machine has of this type as `who`, with these settings on top.
pub fn register(vault: &Vault, who: &str, (name, kind): (&str, &str), settings: &[&str], more: &[&str]) -> Outcome {
    let settings = settings.iter().flat_map(|one| ["--set", *one]);
    let head = ["connector", "register", name, "--auto-configure", "--type", kind, "-o", "json"];
    vault.cli(who, &head.into_iter().chain(settings).chain(more.iter().copied()).collect::<Vec<_>>())
}

/// Nothing was stored, and nothing that was said, logged or written down holds any of these.
#[track_caller]
pub fn kept_nothing(vault: &Vault, said: &[Outcome], secrets: &[&str]) {
    assert_eq!(vault.cli("alice", &["connector", "list", "-o", "json"]).json(), json!([]));
    tells_nothing(vault, said, secrets);
}

/// Nothing that was said, logged or written down holds any of these, nor a sign that moves a terminal's cursor.
#[track_caller]
pub fn tells_nothing(vault: &Vault, said: &[Outcome], secrets: &[&str]) {
    let ledger = Value::from(vault.ledger()).to_string();
    for text in said.iter().map(Outcome::all).chain([vault.logs(), ledger]) {
        assert!(!text.contains('\u{1b}'), "{text:?}");
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

//! Controls: the same search finds what it must find, or its silence means nothing.

use valetkey::cli::Local;
use valetkey::daemon;

use super::encodings::{self, Canary};
use super::memory;
use super::scanner::Scanner;
use super::sinks::scan_files;
use crate::faults::asks::{self, reaching};
use crate::faults::sts::{SessionParts, Sts};
use crate::rig::cast;
use crate::rig::vault::{Setup, Vault};

#[test]
fn a_canary_in_a_file_is_found_in_every_encoding() {
    let canary = Canary::new("planted");
    let scanner = Scanner::new([&canary]);
    let folder = tempfile::tempdir().unwrap();
    for (encoding, bytes) in encodings::all(canary.bytes()) {
        let path = folder.path().join("file");
        std::fs::write(&path, [b"some noise before ".as_slice(), &bytes, b" and after"].concat()).unwrap();
        let hits = scan_files(folder.path(), &scanner, &|_| false);
        assert!(hits.iter().any(|hit| hit.encoding == encoding), "{encoding} was not found: {hits:?}");
    }
}

#[test]
fn base64_is_found_with_any_neighbours_and_padding() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    let canary = Canary::new("planted");
    let scanner = Scanner::new([&canary]);
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        for before in 0..7 {
            for after in 0..4 {
                let around = [vec![b'>'; before], canary.bytes().to_vec(), vec![b'?'; after]].concat();
                let encoded = engine.encode(around);
                assert!(!scanner.scan("text", encoded.as_bytes()).is_empty(), "{before} before, {after} after");
            }
        }
    }
}

#[test]
fn what_is_no_canary_is_not_found() {
    let canary = Canary::new("planted");
    let scanner = Scanner::new([&canary]);
    let mut neighbour = canary.text.clone().into_bytes();
    neighbour[encodings::LENGTH / 4] ^= 1;
    for (encoding, bytes) in encodings::all(&neighbour) {
        assert!(scanner.scan("text", &bytes).is_empty(), "one bit off, as {encoding}");
    }
}

#[test]
fn a_daemon_that_does_not_wipe_fails_the_search_that_ours_passes() {
    let vault = Setup::new().start();
    let wiped = register_and_search(&vault, "wiping");
    vault.stop();
    let suite = std::env::current_exe().expect("a test knows its binary");
    let again = format!("{ARGUMENTS}=\"$*\" exec '{}' --exact {CHILD} --nocapture", suite.display());
    vault.start_under(&["sh", "-c", &again, "sh"]);
    let left = register_and_search(&vault, "plain");
    assert!(!left.is_empty(), "the search is blind: it finds nothing in a daemon that does not wipe");
    assert!(wiped.is_empty(), "{} copies, the first: {:?}", wiped.len(), wiped.first());
}

/// Registers connectors over connections of their own, and searches when these have ended.
fn register_and_search(vault: &Vault, name: &str) -> Vec<super::scanner::Hit> {
    let canary = Canary::new(name);
    for n in 0..20 {
        let key = [canary.bytes(), canary.bytes()];
        cast::connector(
            vault,
            asks::role_connector(&format!("{name}-{n}"), "https://sts.us-east-1.amazonaws.com", key),
        );
    }
    memory::scan_when_quiet(vault, &Scanner::new([&canary]))
}

/// Not a test by itself: the daemon in this binary, whose allocator does not wipe.
#[test]
fn is_the_daemon_when_a_control_asks_for_it() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let local = Local { init: daemon::init, serve: daemon::serve, audit_verify: daemon::audit_verify };
    let ended = valetkey::cli::run(arguments.split(' ').map(Into::into), &local);
    panic!("the daemon ended: {ended:?}");
}

#[test]
fn a_live_minted_credential_is_found_in_the_memory_of_the_daemon() {
    let minted = Canary::new("minted");
    let session = SessionParts { secret: minted.text.clone(), ..constant_session() };
    let sts = Sts::start(session);
    let vault = reaching(&sts.url()).start();
    let scanner = Scanner::new([&minted]);
    assert!(memory::scan(&vault, &scanner).is_empty());
    cast::connector(
        &vault,
        asks::role_connector("data", &sts.url(), [b"AKIACONTROL000000001", b"a/long/enough/secret"]),
    );
    vault.run(vault.credentials("bob").mint_credential(asks::bucket("data", "datasets"))).expect("it mints");
    let hits = memory::scan(&vault, &scanner);
    assert!(!hits.is_empty(), "the cache holds it, and the search does not see it");
}

#[test]
fn a_canary_in_the_environment_or_arguments_of_the_daemon_is_found() {
    let (variable, argument) = (Canary::new("variable"), Canary::new("argument"));
    let vault = Setup::new().variable("SOMETHING", variable.text.clone()).start_empty();
    vault.stop();
    // `sh -c` gives the word to the daemon's own arguments by way of a harmless option.
    let with_argument =
        format!("program=$1; shift; exec \"$program\" \"$@\" --passphrase-file /nonexistent/{}", argument.text);
    let scanner = Scanner::new([&variable, &argument]);
    vault.start_under(&["sh", "-c", &with_argument, "sh"]);
    let hits = memory::scan(&vault, &scanner);
    for place in ["memory environ", "memory cmdline"] {
        assert!(hits.iter().any(|hit| hit.place == place), "{place}: {hits:?}");
    }
}

/// A session without anything to find.
fn constant_session() -> SessionParts {
    SessionParts { id: "ASIACONTROL000000001".to_owned(), secret: String::new(), token: "token".repeat(20) }
}

/// The variable that makes this binary a daemon, and the test that is one.
const ARGUMENTS: &str = "VALETKEY_SUITE_AS_DAEMON";
const CHILD: &str = "canary::controls::is_the_daemon_when_a_control_asks_for_it";

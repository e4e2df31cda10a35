//! The rules of the house, as tests: who may import whom, how long a file and a function may be, what nothing may be
//! called, where plaintext is touched, what never has a Debug, and what is never depended on.
//!
//! Owns the reading of our own source. Each rule lives in a file of its own under `house/`, beside a test that shows
//! the rule fail on a bad snippet. It never runs what it reads.
//!
//! `VALETKEY_BLESS=1` rewrites the golden file of plaintext sites.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, reads the environment, and matches on a foreign syntax tree"
)]

#[path = "house/catalog.rs"]
mod catalog;
#[path = "house/dependencies.rs"]
mod dependencies;
#[path = "house/imports.rs"]
mod imports;
#[path = "house/licences.rs"]
mod licences;
#[path = "house/names.rs"]
mod names;
#[path = "house/plaintext.rs"]
mod plaintext;
#[path = "house/silence.rs"]
mod silence;
#[path = "house/sizes.rs"]
mod sizes;
#[path = "house/source.rs"]
mod source;
#[path = "house/table.rs"]
mod table;

use source::House;

/// Fails with every finding, one a line.
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    none(imports::breaches(&House::read()));
}

#[test]
fn every_room_is_in_the_table() {
    none(imports::unknown_rooms(&House::read()));
}

#[test]
fn every_file_of_the_crate_is_a_module() {
    none(source::orphans(&House::read()));
}

#[test]
fn no_file_and_no_function_is_too_long() {
    none(sizes::too_long(&source::rust_files()));
}

#[test]
fn nothing_is_named_after_a_heap() {
    none(names::banned(&source::rust_files()));
}

#[test]
fn every_file_says_what_it_is() {
    none(names::without_a_header(&source::rust_files()));
}

#[test]
fn plaintext_is_touched_where_a_person_agreed() {
    none(plaintext::breaches(&House::read()));
}

#[test]
fn nothing_that_holds_a_secret_has_a_debug() {
    none(silence::breaches(&House::read()));
}

#[test]
fn every_connector_type_is_in_the_catalog() {
    none(catalog::missing());
}

#[test]
fn every_dependency_says_what_it_is_for() {
    none(dependencies::without_a_reason(&source::text_of("Cargo.toml")));
}

#[test]
fn no_banned_crate_is_locked() {
    none(dependencies::banned(&source::text_of("Cargo.lock")));
}

#[test]
fn every_locked_crate_comes_from_crates_io() {
    none(dependencies::from_elsewhere(&source::text_of("Cargo.lock")));
}

#[test]
fn the_two_lists_of_banned_crates_agree() {
    none(dependencies::not_in_deny(&source::text_of("deny.toml")));
}

#[test]
fn every_licence_is_a_permissive_one() {
    none(licences::not_allowed(&licences::metadata(), &source::text_of("deny.toml")));
}

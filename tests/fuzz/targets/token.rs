//! An API token as it arrives in a header, from anybody: parsing may fail, and must never panic.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let _ = black_box(valetkey::authn::api_token::parse(data));
});

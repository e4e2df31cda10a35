//! Connector settings as JSON from an authenticated caller: parsing may fail, and must never panic.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::connectors::fuzz_settings(data));
});

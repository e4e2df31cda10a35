//! A file in place of one of Google's: what is taken names no program, path or other endpoint, and reading never panics.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::connectors::gcp::fuzz_credentials(data));
});

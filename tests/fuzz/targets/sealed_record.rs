//! A sealed record read back from a disk that an enemy wrote: opening it may fail, and must never panic.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::sealing::fuzz_open(data));
});

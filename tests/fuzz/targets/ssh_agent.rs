//! What a local program writes to the SSH agent's socket: taken to the last byte or not at all, and never a panic.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::agent::ssh::fuzz_messages(data));
});

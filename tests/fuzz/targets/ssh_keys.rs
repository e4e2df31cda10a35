//! SSH keys, known_hosts and sign-ins as handed in: what is taken reads back as itself, and reading never panics.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::connectors::ssh::fuzz_keys(data));
});

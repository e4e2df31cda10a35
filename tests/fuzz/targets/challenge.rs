//! What a registry answers to a stranger (`WWW-Authenticate`): the password never goes anywhere else, and reading never panics.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let _ = black_box(valetkey::connectors::docker::fuzz_challenge(data));
});

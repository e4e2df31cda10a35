//! What a token endpoint answers: bounded when believed, silent when not, no refresh token lost, and never a panic.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::connectors::fuzz_answer(data));
});

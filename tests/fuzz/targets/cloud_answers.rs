//! What a cloud answers when it is asked for a credential or a list: what is believed is what was asked for, what is refused
//! says little, and reading never panics.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::connectors::fuzz_cloud_answer(data));
});

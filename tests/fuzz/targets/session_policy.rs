//! Whatever id, level and cap a session policy is written for: a judge of AWS's rules finds nothing in it that was not asked
//! for, and writing it never panics.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = black_box(valetkey::connectors::aws::fuzz_policy(text));
});

//! Somebody else's kubeconfig: nothing dangerous is taken unasked, and reading never panics.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = black_box(valetkey::config::found::kubeconfig::fuzz_kubeconfig(data));
});

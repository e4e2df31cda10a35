//! The one integration-test binary: every story that needs a real server or a real client.
//!
//! One binary, so that linking is paid once. Needs what `tests/run.sh` installs and fails loudly without it.
//! Tests share one server of each kind for a run and stay independent by using buckets and users of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and may look at the clock and the environment"
)]

mod aws_moto;
mod aws_weed;
mod bench_facts;
mod rig;

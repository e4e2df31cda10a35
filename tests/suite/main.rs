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
    clippy::print_stdout,
    reason = "a test fails by panicking, and may look at the clock and the environment"
)]

mod aws_moto;
mod aws_weed;
mod bench_facts;
mod canary;
mod cases_a;
mod cases_b;
mod cases_b12;
mod cases_b22;
mod cases_b4;
mod cases_b5;
mod cases_b5_projects;
mod cases_c;
mod cases_c_records;
mod cases_d;
mod cases_e;
mod cases_f6;
mod cases_f8;
mod cases_g;
mod cases_g6;
mod cases_h;
mod cases_i;
mod cases_i4;
mod cases_j;
mod cases_j12;
mod coverage;
mod coverage_roles;
mod crash;
mod faults;
mod memory_lock;
mod quickstart;
mod rig;
mod story_auto_azure;
mod story_auto_gcp;
mod story_aws;
mod story_azure;
mod story_docker;
mod story_federation;
mod story_gcp;
mod story_gcp_client;
mod story_gcp_methods;
mod story_gcp_rotate;
mod story_issuer;
mod story_json;
mod story_kubernetes;
mod story_methods;
mod story_oauth2;
mod story_register;
mod story_rotate;
mod story_run;
mod story_ssh;
mod story_watch;
mod thundering;
mod tls_versions;

//! What a mint costs: the daemon beside a floor that does nothing, as whole processes over TLS.
//!
//! This program starts itself again for each part: the load, the floor (the same call, answered by a constant, with
//! the same message sizes), and an STS that always gives the same answer after a set delay. The daemon is the real
//! binary on a new data directory. It never runs in tests.
//!
//! ```text
//! cargo bench --bench mint_path                 all but the big store, in less than five minutes
//! cargo bench --bench mint_path -- --big        with 100,000 connectors and 1,000,000 ledger lines
//! cargo bench --bench mint_path -- --seconds 2  how long each load is measured (5)
//! cargo bench --bench mint_path -- --threads 2  worker threads of the daemon (0: it decides)
//! cargo bench --bench mint_path -- --only mint  only the loads whose name contains this
//! cargo bench --bench mint_path -- --folder D   where data directories are made (the system's temporary folder)
//! ```

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, prints its table, and owns its clock and its tasks"
)]

mod big;
mod child;
mod daemon;
mod floor;
mod founding;
mod load;
mod meter;
mod options;
mod phases;
mod plan;
mod report;
mod sts;

use std::process::ExitCode;

fn main() -> ExitCode {
    // It fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("load") => load::run(),
        Some("floor") => floor::run(),
        Some("sts") => sts::run(),
        _ => options::Options::parse(std::env::args().skip(1)).and_then(|options| phases::run(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mint_path: {error}");
            ExitCode::FAILURE
        }
    }
}

//! The one binary: parses the command line and hands it to its room.
//!
//! Owns the process: the allocator that wipes what is freed, and the one TLS
//! provider. It decides nothing else.

use std::process::ExitCode;

use valetkey::cli::{self, Local};
use valetkey::daemon;

/// Wipes memory when it is freed, also in crates that are not ours.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    // It fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let local = Local { init: daemon::init, serve: daemon::serve, audit_verify: daemon::audit_verify };
    cli::run(std::env::args_os(), &local)
}

//! The switchboard: `init`, `serve` and `audit verify`, as `main` calls them.
//!
//! Owns the clock, the randomness, the process and its signals, and wires all
//! rooms together. Holds no rule of its own about who may do what.

mod announce;
mod certificates;
mod data_dir;
mod dev;
mod error;
mod founding;
mod hardening;
mod init;
mod issuer_door;
mod issuing;
pub mod listener;
mod runtime;
mod serve;
mod signals;
mod system;
mod timekeeping;
mod upkeep;
mod verify;

use std::process::ExitCode;

use tracing_subscriber::filter::LevelFilter;

use crate::cli::args::{InitArgs, ServeArgs, VerifyArgs};
use crate::config::{self, Config, LogFormat, LogLevel};
use crate::store::Unsealed;
use crate::telemetry::{Chain, LogForm, start_log};

pub use data_dir::DataDir;
pub use error::DaemonError;
pub use system::{SystemClock, SystemEntropy};

/// `EX_SOFTWARE`: the store failed for good, and a restart may help.
const EXIT_FATAL: i32 = 70;

/// `valetkey init`.
#[must_use]
pub fn init(args: InitArgs) -> ExitCode {
    ended(hardening::harden().and_then(|()| {
        let plan = init::Plan::of(&args)?;
        if let Some(taken) = args.token_out.as_deref().filter(|path| path.exists()) {
            return Err(DaemonError::Refused(format!("--token-out: {} exists already", taken.display())));
        }
        let founders = plan.carry_out()?;
        announce::initialised(&plan.data_dir, &founders, &args)
    }))
}

/// `valetkey serve`.
#[must_use]
pub fn serve(args: ServeArgs) -> ExitCode {
    ended(hardening::harden().and_then(|()| serving(&args)))
}

/// `valetkey audit verify`.
#[must_use]
pub fn audit_verify(args: VerifyArgs) -> ExitCode {
    ended(verify::run(&args))
}

fn serving(args: &ServeArgs) -> Result<(), DaemonError> {
    let mut config = Config::load(args.config.as_deref())?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    start_log(level(config.log.level), form(config.log.format))
        .map_err(|_| DaemonError::Refused("the log was started before".to_owned()))?;
    hardening::hook_panics();
    if args.dev {
        return dev::run(config, args);
    }
    let named = args.data_dir.as_deref().unwrap_or(&config.store.data_dir);
    let data_dir = DataDir::at(config::data_dir(Some(named)));
    let unsealed = if args.seal_records { Unsealed::Vouched } else { Unsealed::Refused };
    let plan = serve::Plan { config, data_dir, passphrase_file: args.passphrase_file.clone(), unsealed };
    plan.carry_out(&|_| Ok(()))
}

/// Ends the process after an error of the store that is final: nobody can say
/// what reached the disk, so nothing more may be acknowledged.
// Draining would serve on; the kernel frees what is not wiped.
#[allow(clippy::disallowed_methods)]
fn exit_at_once(what: &'static str) {
    tracing::error!(what, "the store failed for good; the next start recovers what was acknowledged");
    std::process::exit(EXIT_FATAL);
}

fn ended(done: Result<(), DaemonError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", Chain(&error));
            ExitCode::FAILURE
        }
    }
}

const fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

const fn form(format: LogFormat) -> LogForm {
    match format {
        LogFormat::Text => LogForm::Text,
        LogFormat::Json => LogForm::Json,
    }
}

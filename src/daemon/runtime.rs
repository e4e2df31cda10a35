//! Which runtime serves. Work stealing costs more than it gives on one or two
//! cores: one thread answers half again as many calls there.

use tokio::runtime::{Builder, Runtime};

use super::error::DaemonError;

/// Up to so many cores one thread is the better runtime.
const FEW_CORES: usize = 2;

/// A runtime of one thread: the caller's.
pub(super) fn current_thread() -> Result<Runtime, DaemonError> {
    built(&mut Builder::new_current_thread())
}

/// The runtime for so many workers; 0 decides by the machine.
pub(super) fn of(worker_threads: usize) -> Result<Runtime, DaemonError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    match worker_threads {
        0 if cores <= FEW_CORES => current_thread(),
        1 => current_thread(),
        0 => built(Builder::new_multi_thread().worker_threads(cores)),
        many => built(Builder::new_multi_thread().worker_threads(many)),
    }
}

fn built(builder: &mut Builder) -> Result<Runtime, DaemonError> {
    builder.enable_all().build().map_err(DaemonError::file("the runtime cannot be started"))
}

//! The signals that the daemon heeds. SIGPIPE is ignored by the runtime; a
//! storm of SIGHUP counts as one.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::error::DaemonError;

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP: read the certificate again.
    Reload,
    /// SIGTERM or SIGINT: end.
    Stop,
}

/// The signals as they come.
pub(super) struct Signals {
    hang_up: Stream,
    terminate: Stream,
    interrupt: Stream,
}

impl Signals {
    /// Heeds signals from now on.
    pub(super) fn listen() -> Result<Self, DaemonError> {
        let listen = |kind| signal(kind).map_err(DaemonError::file("signals cannot be heeded"));
        Ok(Self {
            hang_up: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

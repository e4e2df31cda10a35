//! The log on standard error: one line an event, colours on a terminal only.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log: our own lines up to `level`, warnings of libraries.
///
/// # Errors
/// When a log was started before.
pub fn start_log(level: LevelFilter, form: LogForm) -> Result<(), TryInitError> {
    let registry = tracing_subscriber::registry().with(levels(level));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    match form {
        LogForm::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init(),
        LogForm::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    }
}

/// Libraries say at most warnings: below that they may print what they carry.
fn levels(own: LevelFilter) -> Targets {
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target("valetkey", own)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn h10_no_level_makes_a_library_log_more_than_warnings() {
        let trace = levels(LevelFilter::TRACE);
        assert!(trace.would_enable("valetkey::api", &Level::TRACE));
        for library in ["h2", "hyper", "rustls", "tonic", "tokio_rustls", "aws_sdk_sts"] {
            assert!(trace.would_enable(library, &Level::WARN));
            assert!(!trace.would_enable(library, &Level::INFO), "{library}");
        }
        assert!(!levels(LevelFilter::ERROR).would_enable("h2", &Level::WARN));
    }
}

//! Log set-up, the sampler of repeated log lines, and the printer of error
//! chains. Never sees a secret: error types hold none.
//!
//! The level comes from the config alone: no variable can make a library log
//! headers or bodies in a running daemon.

mod chain;
mod log;
mod sampler;

pub use chain::Chain;
pub use log::{LogForm, start_log};
pub use sampler::Sampler;

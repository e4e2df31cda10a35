//! Use cases of runs, one verb a file. A run is its starter, confined to one
//! stack and to an end; `authz` confines it, and this is about its life.

mod finish;
mod list;
mod named;
mod renew;
mod start;

pub use finish::{FinishRun, Finished};
pub use list::RunAsk;
pub use start::{NewRun, Started};

#[cfg(test)]
mod tests;

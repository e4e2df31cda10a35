//! skeleton
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
pub mod audit;
pub mod authz;
pub mod broker;
pub mod config;
pub mod connectors;
pub mod domain;
pub mod outbound;
pub mod sealing;
pub mod store;
pub mod telemetry;

/// The generated code of `proto/valetkey/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction)]
pub mod proto {
    tonic::include_proto!("valetkey.v1");
}

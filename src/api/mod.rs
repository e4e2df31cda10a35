//! The door: gRPC. Decode, one call of the broker, encode.

pub mod caller;
pub mod connectors;
pub mod convert;
pub mod credentials;
pub mod status;

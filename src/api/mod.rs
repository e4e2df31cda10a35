//! The door: gRPC in, one use case, gRPC out.
//!
//! A handler decodes, makes one call of the broker, and encodes. It decides
//! nothing, and knows neither store nor clouds. Only `status` knows gRPC's
//! codes.

pub mod access;
pub mod audit;
pub mod caller;
pub mod components;
pub mod connector_types;
pub mod connectors;
pub mod convert;
pub mod credentials;
pub mod layers;
pub mod operator;
pub mod routes;
pub mod stacks;
pub mod status;

//! The door: gRPC in, one use case, gRPC out.
//!
//! A handler decodes, makes one call of the broker, and encodes. It decides
//! nothing, and knows neither store nor clouds. Only `status` knows gRPC's
//! codes.

pub mod caller;
pub mod connectors;
pub mod convert;
pub mod credentials;
pub mod layers;
pub mod status;

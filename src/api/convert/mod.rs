//! Proto to domain and back, one file a service, and the pieces they share.
//!
//! Everything that arrives is parsed here and bounded; a refusal names the
//! field. Nothing is decided, nothing is looked up.

pub mod access;
pub mod audit;
pub mod components;
pub mod connector_types;
pub mod connectors;
pub mod credentials;
pub mod operator;
pub mod request;
pub mod runs;
pub mod stacks;
pub mod types;

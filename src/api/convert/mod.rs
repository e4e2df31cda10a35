//! Between proto and domain: everything that comes in is parsed to a type or
//! refused with the name of its field.

pub mod connectors;
pub mod credentials;
pub mod types;

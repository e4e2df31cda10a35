//! The manual: chapters in rustdoc, next to the code they speak of. No code.

pub mod adding_a_connector;
pub mod adding_a_store;
pub mod command_line;
pub mod openid_issuer;
pub mod operations;
pub mod performance;
pub mod roles;
pub mod runs;
pub mod ssh_hosts;
pub mod threat_model;

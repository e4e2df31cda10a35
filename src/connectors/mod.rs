//! The workshops: one folder for each connector type, one line in [`CATALOG`].
//!
//! A type says what may be registered, how an ask is narrowed (pure), and how
//! its cloud is asked. It sees plaintext in its `upstream.rs` only, lent for
//! one call.

pub mod catalog;
pub mod description;
pub mod erased;
pub mod typed;
pub mod upstream_error;

pub use catalog::{CATALOG, find};
pub use description::{AccessMeaning, MethodDescription, ResourceDescription, SecretFieldDescription, TypeDescription};
pub use erased::{AnyConnectorType, CheckedSettings, NarrowedScope};
pub use typed::{Ask, ConnectorType, ListAsk, Upstream, Verified};
pub use upstream_error::UpstreamError;

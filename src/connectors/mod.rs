//! The workshops: one folder for each connector type, one line in [`CATALOG`].
//!
//! A type says what may be registered, how an ask is narrowed (pure), and how
//! its cloud is asked. It sees plaintext in its `upstream.rs` only, lent for
//! one call.

pub mod answer;
pub mod aws;
pub mod azure;
pub mod catalog;
pub mod clear;
#[cfg(test)]
mod conformance;
pub mod description;
pub mod docker;
pub mod erased;
#[cfg(test)]
mod every_mint;
pub mod gcp;
mod hostile;
#[cfg(test)]
mod hostile_clouds;
#[cfg(test)]
mod hostile_ends;
pub mod kubernetes;
pub mod long_work;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod matrix;
pub mod oauth2;
#[cfg(test)]
pub(crate) mod paper;
#[cfg(test)]
mod promised;
mod refusals;
pub mod search;
pub mod secret_end;
pub mod ssh;
#[cfg(test)]
mod stage;
pub mod token_endpoint;
pub mod typed;
pub mod upstream_error;
#[cfg(test)]
mod workbench;

pub use answer::Doing;
pub use catalog::{CATALOG, find, gives};
pub use description::{
    AccessMeaning, MethodDescription, ParameterDescription, ResourceDescription, SecretFieldDescription,
    TypeDescription,
};
pub use erased::{AnyConnectorType, CheckedSettings, NarrowedScope};
pub use hostile::{fuzz_answer, fuzz_cloud_answer};
pub use long_work::{Busy, Lane, aside};
pub use secret_end::SecretEnd;
pub use typed::{
    Ask, CLOUD_ACCEPTED, Challenge, ConnectorType, HostBinding, ListAsk, MadeKey, MintOutcome, Upstream, Verified,
    unsupported,
};
pub use upstream_error::UpstreamError;

use crate::domain::AuthMethodName;

/// Parses hostile settings as every type and method would; for fuzzing. True
/// when one of them took the bytes.
pub fn fuzz_settings(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let methods = CATALOG.iter().flat_map(|kind| kind.description().methods.iter().map(move |method| (kind, method)));
    methods
        .filter_map(|(kind, method)| Some((kind, AuthMethodName::parse(method.name).ok()?)))
        .any(|(kind, method)| kind.parse_settings(&method, text).is_ok() || kind.stored_settings(text).is_ok())
}

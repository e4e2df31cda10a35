//! Use cases of minting: one upstream call for any number of equal asks, a
//! ledger line before anything is handed out, and nothing handed out that a
//! change acknowledged meanwhile would forbid.

mod breaker;
#[cfg(test)]
mod breaker_tests;
mod cache;
mod exclusive;
mod flight;
mod hand_out;
#[cfg(test)]
mod hand_out_tests;
mod issuances;
mod mint;
mod outliving;
mod plan;
mod revoke;
mod route;
mod sign;
mod successor;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
mod tests_ceilings;
#[cfg(test)]
mod tests_clock;
#[cfg(test)]
mod tests_ends;
#[cfg(test)]
mod tests_exclusive;
#[cfg(test)]
mod tests_outliving;
#[cfg(test)]
mod tests_passthrough;
#[cfg(test)]
mod tests_revoke;
#[cfg(test)]
mod tests_scoped;
#[cfg(test)]
mod tests_sign;
#[cfg(test)]
mod tests_touched;
#[cfg(test)]
mod tests_watch;
mod touched;
mod turns;
mod watch;

pub use hand_out::HandedOut;
pub use issuances::IssuanceAsk;
pub use plan::{MintAsk, MintSource};
pub use revoke::{Revoke, Revoked};
pub use sign::SignAsk;
pub use watch::Pushed;

pub(super) use breaker::Breakers;
pub(super) use cache::CredentialCache;
pub(super) use flight::Flights;
pub(super) use outliving::Outliving;
pub(super) use plan::changed_meanwhile;
pub(super) use revoke::REVOKE_MAX;
pub(super) use route::Routes;
pub(super) use touched::Touched;
pub(super) use turns::Turns;
pub(super) use watch::WATCHES_MAX;

//! May you: permissions, the decision, and the proof of it.
//!
//! `decide` is a total pure function with default deny. A [`Permit`] is made
//! by it and by nothing else, so a value of that type is the authorization.

pub mod permission;
pub mod permit;
pub mod policy;

pub use permission::Permission;
pub use permit::{Limits, Permit};
pub use policy::{Decision, DenyReason, MintWish, Question, Subject, Target, Visible, decide, visible_scope};

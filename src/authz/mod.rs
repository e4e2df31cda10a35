//! May you: permissions, the decision, and the proof of it.
//!
//! `decide` is a total pure function with default deny. A [`Permit`] is made
//! by it and by nothing else, so a value of that type is the authorization.

pub mod grant;
pub mod method_rule;
pub mod permission;
pub mod permit;
pub mod policy;
pub mod roles;
pub mod run_scope;

pub use grant::{GrantRefusal, may_grant, mint_grants, mints_through};
pub use method_rule::{METHOD_RULES, MethodRule, check_rules, rule_of};
pub use permission::Permission;
pub use permit::{Limits, Permit};
pub use policy::{Decision, DenyReason, MintWish, Question, Subject, Target, Visible, decide, visible_scope};
pub use roles::{permissions_of, summary_of, takes_effect};
pub use run_scope::{RUN_PERMISSIONS, RunScope};

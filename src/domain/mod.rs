//! The nouns and the pure rules: no I/O, no async, no proto, no SQL.
//!
//! Words, one for each idea:
//! - *project*: the tenancy boundary; every record belongs to one.
//! - *connector*: a stored record with a sealed *source credential* and a mint
//!   policy, its ceiling.
//! - *component*: a stack component, linked to one connector and resource.
//! - *stack*: a named list of components.
//! - *run*: one execution of a pipeline on a stack: its starter, confined to
//!   that stack's components and to an end.
//! - *minted credential*: what a caller gets: short-lived, narrowed, attributed.
//! - *issuance*: the record of a mint, never the credential.
//! - *principal*: a user, a service account, or the daemon itself.
//! - *role*, *binding*: who may do what, where, and under which conditions.

pub mod access_level;
pub mod alias;
pub mod attribution;
pub mod claimed_end;
pub mod clock;
pub mod clock_watch;
pub mod component;
pub mod connector;
pub mod description;
pub mod field_error;
pub mod identity;
pub mod ids;
pub mod issuance;
pub mod issuer_key;
pub mod issuer_url;
pub mod jws;
pub mod labels;
pub mod minted;
pub mod name;
pub mod page;
pub mod pattern;
pub mod principal;
pub mod resource;
pub mod role;
pub mod run;
pub mod scope;
pub mod secret_text;
pub mod share;
pub mod stack;
pub mod token;
pub mod ttl;
pub mod warnings;

pub use access_level::AccessLevel;
pub use attribution::Attribution;
pub use claimed_end::{claimed_end, claims_text};
pub use clock::{Clock, Entropy, EntropyError, ManualClock, Timestamp};
pub use clock_watch::{ClockJump, ClockNews, ClockWatch, LastSeen, SteadyClock};
pub use component::{Component, ComponentLink, Requirement};
pub use connector::{
    AuthMethodName, Connector, ConnectorTypeName, MintPolicy, Reach, RotationStage, SKEW_TOLERANCE_MAX, SecretFacts,
    SecretFieldName, UnfinishedRotation, Verification, VerificationState, Version,
};
pub use field_error::{FieldError, FieldErrors};
pub use identity::{IdentityError, IdentityTokens, NoIssuer, Subject, SubjectForm};
pub use ids::{
    BindingId, ComponentId, ConnectorId, IdError, IssuanceId, KekId, PrincipalId, ProjectId, RequestId, RunId, StackId,
};
pub use issuance::{Issuance, IssuanceState};
pub use issuer_key::{IssuerKeyFacts, IssuerKeyId, IssuerKeyState};
pub use issuer_url::{IssuerUrl, IssuerUrlError};
pub use labels::Labels;
pub use minted::{Minted, MintedShape, ShapeName};
pub use name::{Name, NameError};
pub use page::{Page, PageAsk};
pub use pattern::Pattern;
pub use principal::{Principal, PrincipalKind, Project};
pub use resource::{ResourceId, ResourceTypeName};
pub use role::{Binding, BindingTarget, Conditions, Role};
pub use run::{Run, RunState};
pub use scope::{Downscope, EnforcedScope, Revocable};
pub use secret_text::SecretText;
pub use share::Share;
pub use stack::Stack;
pub use token::{TokenDigest, TokenId, TokenRecord};
pub use ttl::{Ttl, TtlRange};
pub use warnings::{Onlooker, warnings};

//! The cellar: small traits by noun, one folder for each backend.
//!
//! A change and its ledger line commit in one transaction ([`Tx`]). Updates
//! carry the version they expect. A monotonic [`Revision`] orders all changes
//! to projects, connectors, components, bindings, principals and tokens.

#[cfg(test)]
pub mod conformance;
pub mod error;
pub mod limits;
pub mod nouns;
pub mod recovery;
pub mod sqlite;
pub mod tx;

pub use error::{RoleRule, StoreError};
pub use limits::{ID_PREFIX_LENGTH_MIN, RUNS_MAX, TOKENS_MAX};
pub use nouns::{
    AuditLines, Bindings, Change, Changes, Components, Connectors, IssuanceFilter, Issuances, IssuerKeys, Keks,
    Principals, Projects, Requests, RunFilter, Runs, Stacks, Store, StoreFacts, Tokens, Transactions,
};
pub use recovery::close_open_intents;
pub use sqlite::{OpenError, RecordMac, SqliteOptions, SqliteStore, Unsealed};
pub use tx::{Committed, Guard, Remembered, Revision, Tx, Write};

//! **valetkey** is a credential broker for machine-learning platforms.
//!
//! Platform engineers register *connectors*: sealed, write-only, long-lived
//! cloud credentials. Stack components and pipeline runs ask over gRPC and get
//! *minted credentials*: short-lived, narrowed, attributed. Data scientists
//! never see a raw secret.
//!
//! # From a request to a credential
//!
//! ```text
//!  client ──TLS 1.3──► daemon::listener ──► api::layers ──► api handlers
//!                      caps, deadlines      shape, who,     decode, one call,
//!                                           quota, line     encode
//!                                                              │
//!              authz::decide ◄──────────── broker ─────────────┤
//!              (Permit)                    one verb a file     │
//!                                             │                │
//!              audit::Ledger ◄────────────────┤ intent         │
//!              (OpenEntry)                    │                │
//!              sealing::Keyring ◄─────────────┤ Permit + OpenEntry
//!              (plaintext, one call)          │                │
//!              connectors::aws ──outbound──► cloud             │
//!                                             │                │
//!              store::sqlite ◄────────────────┘ change + line, one transaction
//! ```
//!
//! # Rooms
//!
//! | room | what it holds | who it may know |
//! | --- | --- | --- |
//! | [`domain`] | nouns and pure rules | nothing of ours |
//! | [`telemetry`] | logs | nothing of ours |
//! | [`config`] | the only reader of files and environment | domain |
//! | [`authn`] | who are you: tokens | domain, outbound |
//! | [`authz`] | may you: roles, the decision, the permit | domain |
//! | [`audit`] | the ledger: lines, the chain, the open entry | domain |
//! | [`sealing`] | the strongroom: keys and plaintext | domain, and the two proofs |
//! | [`outbound`] | the one way out to clouds | domain |
//! | [`connectors`] | one folder for each connector type, and the catalog | domain, plaintext, outbound |
//! | [`store`] | traits by noun; SQLite | domain, sealed records, audit |
//! | [`issuer`] | the OpenID issuer: its keys, their schedule, tokens, documents | domain, audit, sealing, the store's traits |
//! | [`broker`] | the use cases, one verb a file | all above, by traits |
//! | [`api`] | gRPC: layers, handlers, conversion, statuses | domain, broker, authn, proto |
//! | [`agent`] | what stock clients speak on this machine: the SSH agent's socket | config, proto |
//! | [`cli`] | the command line, one noun a file | proto, config, agent |
//! | [`daemon`] | wiring, hardening, listener, drain | everything; known by main alone |
//!
//! `tests/house.rs` enforces the table, the size of files and functions, and
//! the list of files that touch plaintext.
//!
//! # Invariants
//!
//! - A source credential goes in and never comes out. It is plaintext inside
//!   [`sealing`] and a connector's `upstream*.rs`, for one call.
//! - [`authz::Permit`] is made by [`authz::decide`] only, [`audit::OpenEntry`]
//!   by the ledger once its line is durable; [`sealing::Keyring::with_open`]
//!   needs both, about the same connector.
//! - A change and its ledger line commit in one transaction.
//! - A credential leaves only after the line of that hand-out is durable, and
//!   only if what allowed it is still so then.
//! - A run is allowed nothing that its starter is not at that moment, nothing
//!   outside of its stack, and nothing after its end.
//! - Every record, query and ledger line belongs to one project.
//! - A record that decides is what its seal is over, and the newest.
//! - What ends, ends by the later of two clocks; while they disagree nothing is
//!   minted.
//!
//! Longer reading is in [`manual`].

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::disallowed_methods
    )
)]

pub mod agent;
pub mod api;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod broker;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod daemon;
pub mod domain;
pub mod issuer;
pub mod manual;
pub mod outbound;
pub mod sealing;
pub mod store;
pub mod telemetry;

/// The generated code of `proto/valetkey/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction)]
pub mod proto {
    tonic::include_proto!("valetkey.v1");

    /// The encoded descriptor set, for reflection and the coverage tests.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    /// Messages that hold a secret, and all that contain one: they have no
    /// Debug.
    pub const SENSITIVE_MESSAGES: &[&str] = include!(concat!(env!("OUT_DIR"), "/sensitive_messages.rs"));
}

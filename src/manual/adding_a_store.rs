//! # Adding a store
//!
//! One folder under `src/store/` with the file names of `sqlite/`. Implement
//! the traits by noun and [`Journal`](crate::audit::Journal); run
//! `store::conformance` against it.
//!
//! What the suite cannot show and the author must keep:
//!
//! - a [`Tx`](crate::store::Tx) commits whole, with its ledger lines, and is
//!   durable when `commit` returns;
//! - an error of the disk while committing is final: stop, do not retry;
//! - the new revision is visible to `watch_revision` before the commit that
//!   made it is acknowledged: caches rest on this;
//! - records that decide have seals, and are held against them when read
//!   ([`super::threat_model`]); the seals and their head are renewed inside the
//!   transaction, and the head is bound to the revision that the ledger tells;
//! - what lists many records is read in a lane of its own;
//! - lines get gapless places and chained hashes inside the same transaction.

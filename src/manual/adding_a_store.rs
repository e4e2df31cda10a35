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
//! - lines get gapless places and chained hashes inside the same transaction.

//! # Threat model
//!
//! The tests that can fail when a guarantee is broken carry the ids of the
//! cases in their names: `c2_...` for a swapped record, `b10_...` for a right
//! taken away in mid-stream. `cargo nextest list | grep c2_` finds them.
//!
//! ## Against whom
//!
//! An anonymous network peer; a data scientist with a valid token; a runner
//! with its own token; a pipeline with the token of its run ([`super::runs`]);
//! a platform engineer who may write connectors but must not read a secret
//! back, grant to themselves, or erase traces; an owner of another project; a
//! reader of the database, its WAL, logs and core dumps; a writer of the
//! database file (what he makes up or moves is detected, see below for what
//! was once true); a cloud that is slow, wrong or
//! hostile in its answers; power loss and a full disk.
//!
//! Who writes connectors sets what they may mint, and so mints only by a grant
//! that an owner gives on one connector or component. As long as it lasts, its
//! holder changes neither ceiling nor settings of that connector, nor what the
//! component is linked to (`SELF_GRANT`): a colleague does.
//!
//! A change commits only while its caller is there and holds what allowed it:
//! a removal that was acknowledged ends calls that wait for a cloud, and those
//! whose body comes late. A token that was found makes none of its holder's own
//! that outlives it, except where the holder manages everybody's.
//!
//! ## Not against
//!
//! Root on the host while the daemon runs; a cloud that ignores its own
//! session policy; the holder of a credential that was already handed out and
//! that the cloud cannot recall: its life is bounded by its TTL, and every
//! reply says when it really ends. A writer of the database file who puts back
//! a connector's row *and* its sealed fields as both were before a rotation
//! brings the retired credential back, and role bindings carry no seal: neither
//! is detected in the rows themselves. Replacing the *whole* store with an
//! older copy is not detected without an anchor outside of it: `audit verify
//! --expect-head SEQ:HASH` is that anchor, to be kept elsewhere. An owner
//! creates tokens for others and could use one before handing it over; the
//! ledger shows who created which token.
//!
//! ## The issuer's keys
//!
//! Whoever can sign as the issuer is every connector that trusts it, so its
//! private keys are sealed like the keys of projects, shown by no call, and
//! opened in memory one at a time. What is published is derived from them: a
//! writer of the database file can publish no key of his own, and can swap no
//! two. He can have an old key sign again; it is one that clouds trusted. The
//! public door answers by method and path alone and ends each connection in
//! ten seconds; behind it is nothing but two public documents.
//!
//! ## Secrets in memory
//!
//! Source credentials are moved out of the request into wiped memory and
//! sealed; keys sit in locked pages; the global allocator wipes whatever is
//! freed, in crates that are not ours too. After a call that carried a secret
//! the connection is closed, so that buffers of HTTP and TLS are freed and
//! wiped. What remains is the life of a connection's buffers until then.

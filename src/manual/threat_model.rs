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
//! database file (what he makes up, moves or puts back is detected, see
//! [the seals](#the-records-seals) for how, and below for what is not); a
//! clock that jumps; a cloud that is slow, wrong or hostile in its answers;
//! power loss and a full disk.
//!
//! Who writes connectors sets what they may mint, and so mints only by a grant
//! that an owner gives on one connector or component. As long as it lasts, its
//! holder changes neither ceiling nor settings of that connector, nor what the
//! component is linked to (`SELF_GRANT`): a colleague does.
//!
//! A change commits only while its caller is there and holds what allowed it:
//! a removal that was acknowledged ends calls that wait for a cloud, and those
//! whose body comes late. A token that was found makes none of its holder's own
//! that outlives it, except where the holder manages everybody's. It can start a
//! run, which goes on for its own time, seven days at most: `run list` shows
//! it to the holder, and `run finish` ends it.
//!
//! ## Not against
//!
//! Root on the host while the daemon runs; a cloud that ignores its own
//! session policy; the holder of a credential that was already handed out and
//! that the cloud cannot recall: its life is bounded by its TTL, and every
//! reply says when it really ends. Replacing the *whole* store with an older
//! copy, its ledger included, is not detected without an anchor outside of it,
//! and neither are records put back by one who also rewrites the end of the
//! ledger: `audit verify --expect-head SEQ:HASH` is that anchor, to be kept
//! elsewhere. An owner of the project who acts under a second name, or by a
//! token that it made for somebody else: what it leaves behind is in
//! [`super::roles`].
//!
//! ## The records' seals
//!
//! Projects, connectors, components, stacks, principals, tokens, role bindings
//! and runs each have a MAC over all that their rows say, under a key derived
//! from the root key (`valetkey/mac/v1/record`). One MAC more, the head, is over all of
//! these and the store's revision; a change renews both in its transaction,
//! and every line of the ledger carries the revision.
//!
//! At start the head is held against all seals, and the last line of the
//! ledger against the head: a store whose records were put back, with their
//! seals or without, does not open (`AlteredRecords`). The seals then stay in
//! memory, and a record is held against its own row, and that row against its
//! seal, whenever it is read to decide something: one that was altered, made up
//! or put back, also under a running daemon, answers `DATA_LOSS`, and its
//! neighbours go on; so does a row that claims to be another one. A source
//! credential is bound to the version in its connector's row, so the two cannot
//! be mixed.
//!
//! Not sealed: the lists that people are shown (nobody gets anything by them;
//! `rotate-secret --auto` looks through one for others that hold the same key),
//! issuances, the answers kept for repeated requests, what a transaction looks
//! at once more when it commits, and that a record is *missing*, which takes
//! power away and gives none, until the next start. The keys of projects and of
//! the issuer are sealed by themselves.
//!
//! A store with records and no seals does not open: it is one of a release that
//! made none, or one whose seals and ledger somebody took away, and only a
//! person can tell. `valetkey serve --seal-records` is that person's word: the
//! records get seals as they are, and the ledger says so
//! (`daemon/seal-records`).
//!
//! ## The clock
//!
//! What ends is judged by the later of two clocks: the wall clock, and the time
//! that has passed since it was last believed, by a clock that nobody sets and
//! that goes on while the machine sleeps. A clock that is set back revives no
//! token, grant or credential. Back by more than a minute or ahead by more than
//! five, and nothing is minted, signed, and no token or run is made
//! (`CLOCK_JUMPED`), until it is back or an owner accepts it; both are lines of
//! the ledger, whose order is that of its places and never of its times.
//! Across starts the clock is held against the last line: behind it is a jump;
//! ahead is one only after a stop in order in the same boot of the machine
//! (`/proc/sys/kernel/random/boot_id`), or when it was one before. Else nobody
//! can know how long the daemon was down.
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
//!
//! Google's client library has an HTTP client of its own, which nothing of ours
//! bounds. It gets no secret and no answer of a cloud: it asks with stand-ins,
//! drawn for one ask, at a loopback relay that lets one request through, on a
//! thread that is gone before the secrets take their places and Google is
//! asked. Who reads loopback sees stand-ins; who answers in the relay's place
//! gets the ask refused.

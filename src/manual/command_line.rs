//! # The command line, for whoever writes programs around it
//!
//! People get tables and, where a terminal has no room for one, lines; neither
//! is for programs. `-o json` and `-o yaml` are: the same fields in both, kept
//! from one release to the next. A field may be added; none changes its meaning.
//!
//! ## Rules of every answer
//!
//! - One record is an object, a list an array, also when it is empty. A stream
//!   (`audit tail`, `mint --watch`) is one object a line, in YAML one document.
//! - A record has the same fields in a list, in a description, and in the answer
//!   of the verb that made or changed it. What is shown once comes on top of
//!   them: `secret` of a new token or run, the keys of a rotation.
//! - What is absent is `null`, never an empty string and never left out. A limit
//!   that nobody set is `null`, not 0. The one field that may be missing is the
//!   object of values of a minted credential: it stands under the name in `shape`.
//! - Lists are never `null`. An empty one of patterns means that there is no such
//!   limit.
//! - Times are RFC 3339 in UTC, with `Z`; lengths of time are whole seconds, in
//!   fields that end in `_seconds`.
//! - Words of closed sets are those of the tables: `read`, `write`, `admin`;
//!   `role-wide`; `service-account`. `unknown` is a word that this version of the
//!   command line does not know.
//! - Ids are whole. Verbs take a name, an id, or a unique prefix of the id.
//! - A verb that ends something answers `{"deleted": ..}` or `{"revoked": ..}`
//!   with what it was asked to end.
//! - Keys are `snake_case`, but for those inside of `labels`, `details`,
//!   `settings` and `settings_schema`, which are as they were handed in.
//! - Control characters and direction marks are escaped, whoever wrote them.
//!
//! ## When it goes wrong
//!
//! Nothing is on standard output then. With `-o json` standard error has
//! `{"error": {"exit_code", "message", "reason", "hint", "fields"}}`; `reason` is
//! the word to act on, and stays. The exit code is 0 ok, 1 failed, 2 usage, 3
//! denied, 4 not found, 5 unavailable.
//!
//! A call that no cloud was asked about is made again by the command line itself,
//! up to three times. One that asks a cloud is so only when the daemon promises
//! that nothing was spent: `nothing_spent` is `true` in the metadata of its
//! `ErrorInfo`, and `RetryInfo` says that it passes by itself. Other clients may
//! rely on the same: without that promise a source credential that each use
//! replaces may be used up, and the same call again could end it.

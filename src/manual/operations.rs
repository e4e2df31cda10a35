//! # Operations
//!
//! ## Files
//!
//! The data directory (0700) holds the store (`valetkey.db` with its WAL), the
//! root key or the parameters of its passphrase, the CA and the server's
//! certificate, and a lock. Back up the root key apart from the store: either
//! alone is worth nothing.
//!
//! ## Signals
//!
//! SIGTERM or SIGINT drains: health turns to NOT_SERVING, no new connections,
//! streams end, calls finish within `server.drain_timeout`. A second signal
//! stops at once. SIGHUP reads the certificate again; one that does not load
//! leaves the old one serving.
//!
//! ## When the disk is full
//!
//! Calls that mint or change answer UNAVAILABLE with `STORE_UNWRITABLE`;
//! health and audit reads go on. Free space and the daemon goes on by itself.
//! An I/O error while committing is another matter: the daemon exits, because
//! nobody can say what reached the disk; the store recovers at the next start.
//!
//! ## The OpenID issuer
//!
//! Off until `[issuer] url` is set; how to have AWS, Google and Entra trust it
//! is in [`super::openid_issuer`].
//!
//! ## Checking the ledger
//!
//! `valetkey audit verify --data-dir DIR` reads the store without the daemon
//! and names the first bad line. Keep the head it prints somewhere else, and
//! hand it back with `--expect-head`: that shows a cut tail, too.

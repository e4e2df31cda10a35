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
//! health and audit reads go on. So does taking power away: bindings, tokens,
//! people, connectors, runs and issuances are still listed, deleted, revoked
//! and finished, in room that is kept for it. What was listed meanwhile is
//! counted, and is in the ledger once there is room. Free space and the daemon
//! goes on by itself.
//! An I/O error while committing is another matter: the daemon exits, because
//! nobody can say what reached the disk; the store recovers at the next start.
//!
//! ## Keys in memory
//!
//! At start the pages of keys are locked, so that none is swapped to disk. When
//! the system refuses, the daemon starts and warns, and `valetkey key status`
//! says so: raise `LimitMEMLOCK` of the unit (or `ulimit -l`) and restart, or
//! encrypt the swap.
//!
//! ## The OpenID issuer
//!
//! Off until `[issuer] url` is set; how to have AWS, Google and Entra trust it
//! is in [`super::openid_issuer`].
//!
//! Strangers may ask the server and the issuer's door, and nobody can take all
//! places: a stranger has seconds, and at the cap the oldest of the address
//! with the most connections gives way. Behind a proxy that hides the addresses
//! of its clients they all are one.
//!
//! ## Names of resources
//!
//! A mint names a resource by any spelling of its cloud, and the server keeps
//! one of it. It asks no cloud what a name could mean: a short name is
//! completed from the connector's settings and refused without them, because
//! its meaning would change with what else there is, and whether somebody has
//! a right to it is decided before a source credential is opened.
//!
//! | short | what it takes |
//! | --- | --- |
//! | GKE's `CLUSTER` | `location` on the connector, or `LOCATION/CLUSTER` |
//! | AKS's `CLUSTER` | `resource_group`, or `RESOURCE_GROUP/CLUSTER` |
//! | Azure's `CONTAINER`, `az://CONTAINER` | `storage_account`, or `az://ACCOUNT/CONTAINER` |
//! | a subscription's name | `subscription_id` and `subscription_name`, or the GUID |
//!
//! `valetkey connector update NAME --set location=LOCATION` sets one, and
//! `valetkey connector list-resources NAME` shows the full ids. Its list of
//! Azure's containers goes through every storage account, unless one is set;
//! an account that it may not look into is named beside what was found.
//!
//! ## Checking the ledger
//!
//! `valetkey audit verify --data-dir DIR` reads the store without the daemon
//! and names the first bad line. Keep the head it prints somewhere else, and
//! hand it back with `--expect-head`: that shows a cut tail, too.
//!
//! ## How long what is minted lives
//!
//! A wish (`--ttl`) beyond a `ttl_max`, the end of the grant or the end of the
//! run is cut, and the reply's `ttl_note` says by what. AWS, Kubernetes, SSH
//! and signed URLs live as long as was granted. Entra's tokens (60 to 90
//! minutes, on the server's own machine up to a day), those of registries and
//! of OAuth 2.0 providers, Google's (an hour), and what was handed in live as
//! long as somebody else decided. Beyond a wish alone they are handed out, and
//! the `ttl_note` says until when they live. Beyond a `ttl_max`, the grant or
//! the run, by more than a minute for clocks and rounding, they are not: the
//! mint fails with `OUTLIVES_CEILING`, which names the life and the ceiling.
//! What the provider made is in the ledger and in `issuance list` as
//! `withdrawn`, until its end handed to nobody, or as `revoked` where the
//! provider ended it. For five minutes it is not asked again. Set a `ttl_max`
//! for such connectors that their provider keeps to: for Entra 90 minutes.
//!
//! ## Rotating source credentials
//!
//! When a source credential ends is read from itself where it says so (the
//! `notAfter` of a certificate, the `exp` of a JWT), else it is what was said
//! with `--secret-expires-in`; the sooner of the two counts.
//! `--secret-skew-tolerance` has it count as ended that much sooner, for clouds
//! whose clocks differ.
//!
//! `valetkey connector list` warns about what is expired, about to end (a
//! fifth of its life is left, at most 30 days), older than 90 days, unverified,
//! failing, verified more than 30 days ago, and about every connector with
//! `allow_passthrough`.
//!
//! `valetkey connector rotate-secret NAME --auto` makes the next key at the
//! cloud, verifies it, switches to it and deletes the old one. Each step is a
//! line of the ledger (`ROTATION_ASKED`, `_MADE`, `_SWITCHED`, `_DONE`; when it
//! stops, `ROTATION_STOPPED` with the step and the ids of the keys that are
//! left). What is stored works wherever it stops, also by a power cut; the same
//! command again takes it up: it deletes the key that is left and finishes. It
//! cannot delete a key whose answer was lost (`ROTATION_ASKED` alone): AWS then
//! refuses a third key, and the refusal names both with their ages. On AWS the
//! user needs `iam:CreateAccessKey`, `iam:DeleteAccessKey` and
//! `iam:ListAccessKeys` on itself.

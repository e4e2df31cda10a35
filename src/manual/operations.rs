//! # Operations
//!
//! ## Files
//!
//! The data directory (0700) holds the store (`valetkey.db` with its WAL), the
//! root key or the parameters of its passphrase, the CA and the server's
//! certificate, and a lock. Back up the root key apart from the store: either
//! alone is worth nothing.
//!
//! ## The config
//!
//! One TOML file (`--config`), and over it a variable for each key, which is
//! all there is with `serve --dev`: `VALETKEY__SECTION__KEY`, with lists as in
//! TOML. Where a connector may lead besides the clouds' own hosts is
//! `allowed_endpoints` under `[outbound]`, or
//! `VALETKEY__OUTBOUND__ALLOWED_ENDPOINTS='["https://127.0.0.1:6443"]'`.
//!
//! ## Proxies
//!
//! The server goes to clouds by itself and obeys no proxy of its environment.
//! Google's client library does, and asks nobody but a relay within the server:
//! where `HTTP_PROXY` or `ALL_PROXY` would lead it away from there, gcp's
//! user-account, external-account and implicit answer `NOT_ENABLED`, until
//! `NO_PROXY` has 127.0.0.1 or its network in it. An asterisk is not enough.
//! Where `GCE_METADATA_HOST` is set, implicit does so: set `metadata_url` of
//! the connector instead.
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
//! ## When there are too many
//!
//! All that is bounded for everybody is bounded for each principal, too: it may
//! have `limits.principal_share` percent of it at a time, 25 as shipped. What
//! is beyond is answered RESOURCE_EXHAUSTED with the limit in the message, and
//! is in the ledger as throttled, counted when it is much.
//!
//! | reason | of what | all | a quarter |
//! | --- | --- | --- | --- |
//! | `PRINCIPAL_CALLS` | calls in progress | `server.requests_max`, 48,000 | 12,000 |
//! | `PRINCIPAL_WATCHES` | streams of WatchCredential | 4,096 | 1,024 |
//! | `PRINCIPAL_TAILS` | streams of TailAuditLines | 64 | 16 |
//! | `PRINCIPAL_MINTS` | mints that ask a cloud | 4,096 | 1,024 |
//! | `PRINCIPAL_TURNS` | mints that wait for a connector whose secret each use replaces | 256 | 64 |
//!
//! Connections are not refused: when all `server.connections_max` are taken and
//! nobody among them is a stranger, a principal that has more than its share
//! loses the one that is idle the longest to whoever comes. A run counts as its
//! starter. Where one service account does all the work of a platform, raise
//! the share (100 is all of it) or give it more accounts.
//!
//! Reading is not refused below that rate, but it fills no disk either: after a
//! hundred reading calls at once a principal has five lines of its own in a
//! second (`audit::reads`). The rest are counted in one line a second for each
//! method, outcome, run and address, with the principal; a power cut loses the
//! count of its last second. Mints and changes have a line of their own each.
//!
//! `PRINCIPAL_RATE` is the rate of calls (`limits.calls_per_second`,
//! `calls_burst`); `OVERLOADED`, `TOO_MANY_WATCHES` and `TOO_MANY_TAILS` say
//! that all places are taken.
//!
//! ## When a cloud asks to slow down
//!
//! A connector whose cloud throttles a mint asks it nothing more for as long as
//! the cloud said (a minute at most), or for 2 s, and twice as long each time
//! in a row, when it did not say. What is kept is served on. Other asks of that
//! connector, whatever they are for, are answered UNAVAILABLE with
//! `UPSTREAM_THROTTLED` and the time that is left. Then one ask goes through,
//! and the rest follow when it is answered. The log has a warning with the
//! connector and the seconds; a change of the connector ends the pause.
//!
//! ## What a change ends
//!
//! Minted credentials are kept in memory until they end. Before a change is
//! acknowledged, what it touches is dropped and wiped, and a mint in flight
//! puts none of it back:
//!
//! | change | what goes |
//! | --- | --- |
//! | a connector updated, rotated by hand, deleted, or its issuances revoked | what it minted |
//! | a role binding deleted | what its principal had minted, by whatever binding |
//! | a principal deleted | what it had minted |
//! | a token revoked | what its principal had minted with tokens of its own, or in the run if it is a run's |
//! | a component linked, unlinked or deleted | what was minted through it |
//! | a component taken from a stack, a stack deleted | what runs had minted through it |
//! | a run finished | what was minted in it |
//!
//! What is still allowed is minted anew when it is asked for. The cloud honours
//! what was handed out before until it ends, or until `issuance revoke`.
//!
//! ## When the clock jumps
//!
//! `valetkey status` says `JUMPED` with both times, the log has an error, the
//! ledger a line `daemon/clock` with `CLOCK_JUMPED`, and nothing is minted;
//! everything else goes on. Set the clock right, and it is believed again
//! within a second (`CLOCK_SETTLED`). When it is right as it is, because it was
//! wrong before, an owner says so with `valetkey clock accept`. Lines written
//! meanwhile have the time that has passed as theirs, and what the clock showed
//! as the detail `clock`. The line of each start names the boot of the machine.
//!
//! ## When records were altered
//!
//! A call that reads a record that does not fit its seal answers `DATA_LOSS`,
//! and the log names the record. A daemon that says at start that records were
//! altered or put back does not serve: restore a backup. One that says that they
//! have no seals was served by a release that made none, or somebody took the
//! seals away. Who knows that it is the first starts it once with
//! `valetkey serve --seal-records`, which reads every record once and seals it
//! as it is.
//!
//! ## Long lists and expensive keys
//!
//! Lists and audit queries are read by half of `store.readers`, and keys whose
//! passphrase costs many rounds are opened two at a time of those that are
//! handed in, and two of those that are stored; all on threads that give way to
//! others. Beyond that callers are told to come again
//! (`OVERLOADED`); minting and health do not wait for them.
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
//! ## Revoking what was minted
//!
//! `valetkey issuance revoke` says `revoked` only when the cloud that minted a
//! credential has ended it; else it is `withdrawn`: handed out no more, and
//! honoured until the end that the note names. A connector that was pointed
//! elsewhere since is not asked: another cloud knows nothing of it. What can
//! only be ended with everything else of its kind is left to a person, with the
//! cloud's own command in the note.
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
//! refuses a third key, and the refusal names both with their ages. Where other
//! connectors of the project hold the same key it is refused with
//! `SECRET_IS_SHARED` and their names: give each a key of its own first. What
//! another project or a program of somebody's does with the key nobody sees
//! here: for them it is gone, too. On AWS the
//! user needs `iam:CreateAccessKey`, `iam:DeleteAccessKey` and
//! `iam:ListAccessKeys` on itself.
//!
//! A refresh token that each use replaces is waited for six times as long as
//! `outbound.call_timeout`, a minute at most, also when whoever asked has gone:
//! a successor that nobody hears is lost. When no answer comes, the mint fails
//! with `SOURCE_CREDENTIAL_IN_DOUBT`, the connector counts as failing, and no
//! client or watch of ours tries again by itself: providers take a second use
//! for theft. The next mint, or `valetkey connector verify`, asks with the old
//! one once more; when that is refused, hand in a new one.

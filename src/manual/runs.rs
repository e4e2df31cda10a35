//! # Runs
//!
//! A run is one execution of a pipeline on a stack. Its token mints through the
//! components of that stack and does nothing else:
//!
//! ```sh
//! valetkey run start --stack prod --name nightly --token-out run.token    # a day; the token an hour at a time
//! export VALETKEY_TOKEN_FILE=run.token                                    # in the pipeline, nothing more
//! valetkey mint --component artifacts --format env
//! valetkey run renew --self                                               # before the hour is over
//! valetkey run finish --self                                              # the token is nobody's from here on
//! ```
//!
//! ## What a run may do
//!
//! A run is its starter, confined. Each call is decided with what the starter
//! holds at that moment, and then within the run: credentials through the
//! stack's components as they are now, the lists of those components, of that
//! stack and of what the run itself minted, its own renewal and end. Mints by
//! connector, other components, other runs, tokens, and everything that writes
//! are refused with `OUTSIDE_RUN`, whether what was named exists or not. When
//! the starter loses its grant, the stack a component, or the store the stack
//! or the starter, the run has lost it at the next call; an open stream ends
//! by itself. Who may change the stack changes what its runs reach, never
//! beyond what their starters may mint.
//!
//! Data scientists start runs on stacks that they see, and a `runner` on those
//! of whose every component it is bound to. Nobody starts a run from within
//! one.
//!
//! ## How long
//!
//! The run ends after `--max-duration`, a day when unsaid, seven days at most;
//! nothing that it is handed outlives that by more than a minute: lifetimes are
//! cut, and where a provider gives a longer one all the same the mint is refused
//! with `OUTLIVES_CEILING`; see [`super::operations`]. What was minted before
//! serves on until it ends. Its token lives for an hour at most
//! from its start and from each renewal. The run renews it while it lives; the
//! starter also afterwards, with its own token. A name is a label: it means the
//! run that goes on under it, or the last one that did.
//!
//! `run finish` (by the run, its starter, owners and platform engineers) ends
//! the token before it answers, on disk: also after a power cut. What the run
//! minted is handed out no more. The answer lists what clouds still honour and
//! until when (the last 1,000, and whether there is more); with `--revoke` it
//! is ended where the cloud can end a single credential, and the answer says
//! where not. Beyond 1,000 the command goes on until all of it is done, unless
//! it is the run's own token that asks, which has ended by then. What a cloud
//! was still minting at that moment is handed to nobody and ended, too. A token
//! that leaked is worth
//! nothing after `run finish`; a credential that leaked lives to its end.
//!
//! A principal has a thousand live runs at most. What was over for 90 days is
//! forgotten; ledger and issuances name its id for longer.
//!
//! ## Who is told of it
//!
//! | where | what |
//! | --- | --- |
//! | ledger | `run_id` on each line of a call from within it, beside the principal; starting and ending it are lines about `run/ID` |
//! | `audit list --run RUN` | those lines: what was done in it and what was done to it |
//! | `issuance list --run RUN` | what it minted |
//! | AWS | session name `vk-NAME-RUN-HASH` with the first eight digits of the run's id, session tag `valetkey:run` with all of them; the source identity is the starter's in whichever run |
//! | clouds that trust the issuer | the claims `run` and `run_name`, and `:run:ID` at the end of the subject: [`super::openid_issuer`] |
//! | Kubernetes | the annotation `valetkey/run` of the Secret that a token is bound to |
//! | SSH hosts | the key id of a certificate, which is the session name |
//!
//! Google's own log and Entra's name the subject of an exchanged token; where a
//! connector has a stored secret they name that account, and the issuance says
//! which run it was. A connector that shares its credentials names the first
//! that asked.
//!
//! A minted credential is kept for its run alone: another run and the starter
//! outside of it get one of their own, unless the connector shares.

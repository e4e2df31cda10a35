//! # Roles, and who keeps an eye on whom
//!
//! | role | may | may not |
//! | --- | --- | --- |
//! | `owner` | create people, service accounts and tokens, give and take roles, revoke what was minted, read the ledger | write a connector, mint, give a role to itself |
//! | `platform-engineer` | write connectors, components and stacks, revoke what was minted | read a secret back, give a role, mint without a grant on one connector or component |
//! | `data-scientist` | register and link components, mint, start runs | write a connector, see account ids and roles of the cloud |
//! | `runner` | mint through the component it is bound to, start runs there | anything else |
//! | `auditor` | read the ledger and who may do what | change anything |
//!
//! `tests/golden/rbac_matrix.txt` has every call, for a role that is bound to
//! the project (`P`), to one connector (`C`) or to one component (`K`). It is
//! made with what the daemon puts before its decision, and a test asks a real
//! daemon about each cell with somebody who holds nothing else.
//!
//! A role on one connector reaches what is about that connector: `issuance
//! list --connector NAME` shows all of it and `issuance revoke` ends it; of one
//! component, what was minted through it is revoked by its ids. A new component
//! is linked to nothing yet: who registers one needs a role on the project.
//!
//! ## Two roles that go apart
//!
//! Nobody holds both `owner` and `platform-engineer`, wherever either is bound:
//! who gives roles writes no connectors. The store refuses the second of the
//! two, also of two that are given at the same moment, and names the field
//! `role`. Take the first away, or give the second to another principal. A
//! binding that has ended is none. Any other two go together; a platform
//! engineer who is data scientist too mints only by a binding on one connector
//! or component, which an owner gave.
//!
//! A store from before this rule may have such a pair (one that somebody writes
//! into the file is an altered record). Its holder stays an owner, and the engineer's binding gives
//! nothing while the owner's lasts: calls that need it answer
//! `PERMISSION_DENIED` with `ROLES_APART`, which the ledger keeps. Nobody is
//! locked out: the holder, or any owner, takes one of the two away with
//! `valetkey binding delete`. Connectors go on, whoever wrote them.
//!
//! ## What is not prevented
//!
//! Principals are names, and nothing here tells that two of them are one
//! person. An owner can create a second user or service account, make a token
//! for it, and give it `platform-engineer` or `data-scientist`; and an owner
//! can make a token for a principal that has the role already. With either it
//! writes connectors or mints, under that name. It still reads no secret back,
//! and it cannot do it unseen:
//!
//! - The ledger has `CreatePrincipal`, `CreateToken` (with whom it is `for`) and
//!   `CreateBinding` (with the role, and whose), each under the owner's name;
//!   no call takes a line out. `valetkey audit list --principal OWNER` shows
//!   them. Lines of what the second principal then does name that principal,
//!   not the token nor who made it.
//! - The records say it for as long as they live: `token list --for NAME` has
//!   who created each, and so have `user list`, `service-account list` and
//!   `binding list` with `-o json`. Everybody sees the tokens of their own.
//!
//! So have an `auditor` who is no owner look at these, and keep the number of
//! owners small. A token that a person made for themselves names that person as
//! its creator; one that an owner made names the owner.
//!
//! ## Calls that are made again
//!
//! Every call that changes something takes a `request_id`: the same request
//! under the same id is done once, and answered as it was for a day. What is
//! shown once is not shown again: `CreateToken` and `StartRun` then answer
//! without the secret. Revoke a token, or finish a run, whose secret was lost.
//! `MintCredential`, `WatchCredential`, `SignChallenge`, `VerifyConnector` and
//! `ListConnectorResources` take none: they change nothing that a second call
//! would change again. (A refresh token that each use replaces is used by each
//! `VerifyConnector`, and what replaces it is kept.)

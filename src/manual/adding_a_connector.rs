//! # Adding a connector type
//!
//! One folder under `src/connectors/`, one line in
//! [`CATALOG`](crate::connectors::CATALOG). Proto, broker, CLI and store stay
//! as they are.
//!
//! 1. `settings.rs`: an enum tagged by `auth_method`; a method and its fields
//!    are one variant. Derive the JSON schema: the CLI prompts from it.
//! 2. `scope.rs`: what an ask is narrowed to. Pure; refuse what cannot be
//!    narrowed, never widen.
//! 3. `upstream.rs`: the only file that exposes plaintext. Believe the cloud's
//!    expiry, bound its answers, map its errors to
//!    [`UpstreamError`](crate::connectors::UpstreamError) by code: its words
//!    never travel. A library of the cloud's takes the client of
//!    [`outbound`](crate::outbound), or no secret: see `gcp/client`.
//! 4. `mod.rs`: implement [`ConnectorType`](crate::connectors::ConnectorType).
//!    There are no default methods: say what the type does.
//! 5. `fake.rs` and `tests.rs`: a fake that refuses wrong requests as the real
//!    cloud does; real software wherever there is some. `stage.rs` has a
//!    connector to it for each auth method.
//!
//! The conformance suite runs over the catalog, so the new type is in it by
//! being listed. So is the table of what is minted, which `VALETKEY_BLESS=1`
//! writes anew for a person to read; each line of it is minted on the fake, and
//! at each request of that the fake is slow, floods, answers with a page, lies
//! about lengths and ends, redirects, and tells secrets in its errors: a type
//! that believes or repeats any of it does not pass.
//!
//! What decides where a secret is sent belongs in `destination`: a change of it
//! then needs the secret again, and a stored record edited to point elsewhere
//! does not open.

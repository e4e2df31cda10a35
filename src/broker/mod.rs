//! The hall: the use cases, one verb a file.
//!
//! A verb decides first, then asks the ledger, then opens a key or calls a
//! cloud, then commits the change with its line. It knows the store and the
//! connector types by their traits only, and neither proto nor SQL.

mod access;
mod audit;
mod authenticate;
mod call;
mod components;
mod connector_types;
mod connectors;
mod credentials;
mod detach;
mod entry;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod gate;
mod gone_with;
mod lookup;
mod once;
mod operator;
mod own_grant;
mod page_token;
mod runs;
mod shared_places;
mod stacks;
mod vouching;

pub use access::{
    Mintable, NewBinding, NewPrincipal, NewToken, NewTokenSecret, RoleSeen, TOKEN_DAYS_DEFAULT, TOKEN_DAYS_MAX,
    TokenSeen, WishedTarget,
};
pub use audit::{LineAsk, LineKind, LineSubject, Outcome, Seq, StoredLine, Tailed};
// What callers of the broker must name: the door writes a line for each call
// that has none, and words every error.
pub use crate::audit::{Aggregator, Line, Measure, READ_LINES_BURST, READ_LINES_PER_SECOND, ReadCounts, Reason};
pub use crate::connectors::UpstreamError;
pub use crate::connectors::{Challenge, HostBinding};
pub use authenticate::CallerFacts;
pub use call::{Call, CallRecord};
pub use components::{ComponentFilter, Connect, Link, NewComponent};
pub use connector_types::{MethodDescription, ResourceDescription, TypeDescription};
pub use connectors::{
    ConnectorFilter, ConnectorSeen, Deleted, Register, ResourcesAsk, Rotate, RotateAuto, Rotated, Update,
};
pub use credentials::{HandedOut, IssuanceAsk, MintAsk, MintSource, Pushed, Revoke, Revoked, SignAsk};
pub use error::BrokerError;
pub use once::Once;
pub use operator::{DaemonStatus, IssuerReport, KeyReport, ProjectKey};
pub use page_token::PageTokens;
pub use runs::{FinishRun, Finished, NewRun, RunAsk, Started};
pub use shared_places::{HeldPlace, NoPlace, SharedPlaces};
pub use stacks::NewStack;

use std::sync::Arc;

use crate::audit::{Ledger, OpenEntry};
use crate::connectors::Upstream;
use crate::domain::{
    Clock, ClockWatch, Connector, ConnectorId, Entropy, IssuanceId, Share, Subject, SubjectForm, Timestamp,
};
use crate::issuer::Issuer;
use crate::sealing::Keyring;
use crate::store::Store;

use audit::TAILS_MAX;
use connectors::RotationTurns;
use credentials::{Breakers, CredentialCache, Flights, Outliving, Routes, Touched, Turns, WATCHES_MAX};
use lookup::Lookups;
use vouching::Vouching;

/// What the broker is made of; the daemon wires it.
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The keys.
    pub keyring: Arc<Keyring>,
    /// The ledger; writes through the same store.
    pub ledger: Ledger,
    /// The way to the clouds.
    pub upstream: Upstream,
    /// The OpenID issuer, when there is one; `upstream` makes tokens with it.
    pub issuer: Option<Arc<Issuer>>,
    /// The time, watched.
    pub watch: Arc<ClockWatch>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How much of what is bounded one principal may have.
    pub share: Share,
    /// For people: `file` or `passphrase`.
    pub root_provider: &'static str,
    /// The root key's id, safe to show.
    pub root_key_id: String,
}

/// The use cases.
pub struct Broker {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    ledger: Ledger,
    upstream: Upstream,
    issuer: Option<Arc<Issuer>>,
    watch: Arc<ClockWatch>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    lookups: Lookups,
    routes: Routes,
    cache: CredentialCache,
    flights: Flights,
    breakers: Breakers,
    outliving: Outliving,
    rotations: RotationTurns,
    turns: Turns,
    watches: Arc<SharedPlaces>,
    tails: Arc<SharedPlaces>,
    pages: PageTokens,
    started_at: Timestamp,
    root_provider: &'static str,
    root_key_id: String,
}

impl Broker {
    /// A broker of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            lookups: Lookups::new(parts.store.watch_revision()),
            routes: Routes::new(),
            cache: CredentialCache::new(),
            flights: Flights::new(parts.share),
            breakers: Breakers::default(),
            outliving: Outliving::default(),
            rotations: RotationTurns::default(),
            turns: Turns::new(parts.share),
            watches: SharedPlaces::new(WATCHES_MAX, parts.share),
            tails: SharedPlaces::new(TAILS_MAX, parts.share),
            pages: PageTokens::new(Arc::clone(&parts.keyring)),
            started_at: parts.watch.now(),
            store: parts.store,
            keyring: parts.keyring,
            ledger: parts.ledger,
            upstream: parts.upstream,
            issuer: parts.issuer,
            clock: Arc::clone(&parts.watch) as _,
            watch: parts.watch,
            entropy: parts.entropy,
            root_provider: parts.root_provider,
            root_key_id: parts.root_key_id,
        }
    }

    /// Drops everything a connector minted, before a change of it is
    /// acknowledged; and what its cloud said of the one that it was.
    fn forget_minted(&self, connector: ConnectorId) {
        self.breakers.forget(connector);
        self.flights.forget(connector);
        self.forget(&[Touched::Connector(connector)]);
    }

    /// Drops what a change touched, before it is acknowledged: also what is
    /// still on its way here.
    fn forget(&self, touched: &[Touched]) {
        self.cache.forget(touched, self.lookups.revision());
    }

    /// The way to the clouds, for a call about one connector. The result of
    /// `entry` says which identity token was made on it.
    fn upstream_for(
        &self,
        call: &Call,
        connector: &Connector,
        issuance: Option<IssuanceId>,
        entry: &OpenEntry,
    ) -> Upstream {
        let principal = call.principal();
        let subject = Subject {
            project: call.caller.project.name.clone(),
            connector: connector.name.clone(),
            principal: (principal.kind, principal.name.clone()),
            run: call.caller.subject.run.as_ref().map(|scope| (scope.run.id, scope.run.name.clone())),
            issuance,
            form: SubjectForm::default(),
        };
        let identities = Arc::new(Vouching::new(Arc::clone(&self.upstream.identities), entry.notes().clone()));
        Upstream { subject: Some(Arc::new(subject)), identities, ..self.upstream.clone() }
    }

    /// The time, for what a reply says of now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The codec of page tokens.
    #[must_use]
    pub const fn pages(&self) -> &PageTokens {
        &self.pages
    }
}

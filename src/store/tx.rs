//! A transaction as a value: what to write, what must hold, which ledger
//! lines go with it. All of it commits, or none.

use std::collections::BTreeSet;

use crate::audit::{Line, Seq};
use crate::domain::{
    Binding, BindingId, BindingTarget, Component, ComponentId, Connector, ConnectorId, Issuance, IssuanceId,
    IssuanceState, IssuerKeyId, Principal, PrincipalId, Project, ProjectId, RequestId, Run, RunId, Stack, StackId,
    Timestamp, TokenId, TokenRecord, Version,
};
use crate::sealing::{SealedCredential, SealedIssuerKey, WrappedKek};

/// Orders all changes of a store; grows by one with each transaction that
/// changes a project, connector, component, stack, binding, principal, token or
/// run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// One write. An update carries the whole new record, whose version must be
/// the one after `expected`.
#[derive(Clone)]
#[allow(missing_docs, clippy::large_enum_variant)]
pub enum Write {
    InsertProject(Project),
    InsertKek(WrappedKek),
    InsertConnector {
        connector: Connector,
        sealed: SealedCredential,
    },
    /// Replaces the sealed credential too, when there is one; the old one is
    /// deleted.
    UpdateConnector {
        connector: Connector,
        expected: Version,
        sealed: Option<SealedCredential>,
    },
    /// Refused while a component links to it; takes bindings on it along.
    DeleteConnector {
        project: ProjectId,
        id: ConnectorId,
        expected: Version,
    },
    InsertComponent(Component),
    UpdateComponent {
        component: Component,
        expected: Version,
    },
    /// Refused while a stack names it; takes bindings on it along.
    DeleteComponent {
        project: ProjectId,
        id: ComponentId,
        expected: Version,
    },
    InsertStack(Stack),
    UpdateStack {
        stack: Stack,
        expected: Version,
    },
    DeleteStack {
        project: ProjectId,
        id: StackId,
        expected: Version,
    },
    InsertPrincipal(Principal),
    /// Takes tokens and bindings along; the last owner's is refused.
    DeletePrincipal {
        project: ProjectId,
        id: PrincipalId,
    },
    /// Refused beyond `TOKENS_MAX` live tokens of one principal.
    InsertToken(TokenRecord),
    DeleteToken {
        project: ProjectId,
        id: TokenId,
    },
    /// With its token. Refused beyond `RUNS_MAX` live runs of one principal.
    InsertRun {
        run: Run,
        token: TokenRecord,
    },
    /// Its token lives until then, or longer if it did; stale when the run is
    /// finished.
    RenewRun {
        project: ProjectId,
        id: RunId,
        token_expires_at: Timestamp,
    },
    /// Its token is gone. What is finished stays as it was.
    FinishRun {
        project: ProjectId,
        id: RunId,
        at: Timestamp,
    },
    /// Refused while its principal holds a role that may not go together with
    /// this one, wherever.
    InsertBinding(Binding),
    /// The last owner's is refused.
    DeleteBinding {
        project: ProjectId,
        id: BindingId,
    },
    /// At most one key that signs and one that will.
    InsertIssuerKey(SealedIssuerKey),
    /// The next key signs from `at` on, and `retire` no more; stale when they
    /// are not in these states.
    ActivateIssuerKey {
        id: IssuerKeyId,
        retire: Option<IssuerKeyId>,
        at: Timestamp,
    },
    /// Of a key that signs no more; stale otherwise.
    DeleteIssuerKey(IssuerKeyId),
    InsertIssuance(Issuance),
    EndIssuance {
        project: ProjectId,
        id: IssuanceId,
        state: IssuanceState,
        ended_at: Timestamp,
    },
}

/// What must hold when the transaction commits, checked inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The connector is still at this version.
    ConnectorAt {
        /// Its project.
        project: ProjectId,
        /// The connector.
        id: ConnectorId,
        /// Its version.
        version: Version,
    },
    /// The principal still exists.
    PrincipalExists {
        /// Its project.
        project: ProjectId,
        /// The principal.
        id: PrincipalId,
    },
    /// The component still exists.
    ComponentExists {
        /// Its project.
        project: ProjectId,
        /// The component.
        id: ComponentId,
    },
    /// Nobody has finished the run: stale otherwise.
    RunUnfinished {
        /// Its project.
        project: ProjectId,
        /// The run.
        id: RunId,
    },
    /// The caller is who it was when it was let in: its token is there and has
    /// not ended, and so it is with what it holds; stale otherwise.
    CallerStands {
        /// Its project.
        project: ProjectId,
        /// The principal.
        principal: PrincipalId,
        /// The token that it presented.
        token: TokenId,
        /// Bindings that it held; more do not matter.
        bindings: Vec<BindingId>,
    },
    /// The principal holds none but these bindings; stale otherwise.
    HoldsNoMore {
        /// Its project.
        project: ProjectId,
        /// The principal.
        principal: PrincipalId,
        /// What it may hold, or less.
        bindings: BTreeSet<BindingId>,
    },
    /// Exactly these bindings are on the connector or component; stale
    /// otherwise.
    BoundBy {
        /// Its project.
        project: ProjectId,
        /// The connector or component; on the whole project there are none.
        target: BindingTarget,
        /// All of them.
        bindings: BTreeSet<BindingId>,
    },
    /// None of these components is linked to the connector; stale otherwise.
    NotLinked {
        /// Their project.
        project: ProjectId,
        /// The connector.
        connector: ConnectorId,
        /// The components; those that are gone are linked to nothing.
        components: Vec<ComponentId>,
    },
}

/// The answer to a request, kept so that the same request is done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The tenancy.
    pub project: ProjectId,
    /// Who asked.
    pub principal: PrincipalId,
    /// The client's id of the request.
    pub request_id: RequestId,
    /// SHA-256 of method and body.
    pub body_digest: [u8; 32],
    /// The answer, encoded; never a secret.
    pub response: Vec<u8>,
    /// When; kept for 24 hours.
    pub at: Timestamp,
}

/// A transaction.
#[derive(Clone, Default)]
pub struct Tx {
    /// What must hold.
    pub guards: Vec<Guard>,
    /// What to write, in order.
    pub writes: Vec<Write>,
    /// Which ledger lines go with it, stamped.
    pub lines: Vec<Line>,
    /// The answer to keep.
    pub remember: Option<Remembered>,
}

impl Tx {
    /// A transaction with one ledger line: there is none without.
    #[must_use]
    pub fn with_line(line: Line) -> Self {
        Self { lines: vec![line], ..Self::default() }
    }

    /// And this write.
    #[must_use]
    pub fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// And this must hold.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// And keep this answer.
    #[must_use]
    pub fn remember(mut self, remembered: Option<Remembered>) -> Self {
        self.remember = remembered;
        self
    }
}

/// A transaction that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The store's revision after it.
    pub revision: Revision,
    /// The places of its ledger lines.
    pub lines: Vec<Seq>,
}

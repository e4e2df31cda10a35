//! The ports: one small trait for each noun. Every read names its project.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::audit::{Journal, LineFilter, Seq, StoredLine};
use crate::domain::{
    Binding, BindingId, BindingTarget, Component, ComponentId, Connector, ConnectorId, ConnectorTypeName, Issuance,
    IssuanceId, Labels, Name, Page, PageAsk, Principal, PrincipalId, PrincipalKind, Project, ProjectId, RequestId, Run,
    RunId, Stack, StackId, Timestamp, TokenId, TokenRecord,
};
use crate::sealing::{SealedCredential, SealedIssuerKey, WrappedKek};

use super::error::StoreError;
use super::tx::{Committed, Remembered, Revision, Tx};

type Found<T> = Result<T, StoreError>;

/// Projects.
#[async_trait]
pub trait Projects: Send + Sync {
    /// By name.
    async fn project_named(&self, name: &Name) -> Found<Project>;
    /// Every project.
    async fn projects(&self) -> Found<Vec<Project>>;
}

/// Connectors. `resolve` takes a name, an id or a unique prefix of an id of
/// at least four characters; the same holds for the other nouns.
#[async_trait]
pub trait Connectors: Send + Sync {
    /// By id.
    async fn connector(&self, project: ProjectId, id: ConnectorId) -> Found<Connector>;
    /// By name, id or unique prefix of the id.
    async fn resolve_connector(&self, project: ProjectId, text: &str) -> Found<Connector>;
    /// By name; with all these labels, of this type when one is given.
    async fn connectors(
        &self,
        project: ProjectId,
        connector_type: Option<&ConnectorTypeName>,
        labels: &Labels,
        page: &PageAsk,
    ) -> Found<Page<Connector>>;
    /// The sealed source credential.
    async fn sealed_credential(&self, project: ProjectId, id: ConnectorId) -> Found<SealedCredential>;
}

/// Components.
#[async_trait]
pub trait Components: Send + Sync {
    /// By id.
    async fn component(&self, project: ProjectId, id: ComponentId) -> Found<Component>;
    /// By name, id or unique prefix of the id.
    async fn resolve_component(&self, project: ProjectId, text: &str) -> Found<Component>;
    /// By name; with all these labels, of this type, linked to this connector.
    async fn components(
        &self,
        project: ProjectId,
        component_type: Option<&Name>,
        connector: Option<ConnectorId>,
        labels: &Labels,
        page: &PageAsk,
    ) -> Found<Page<Component>>;
}

/// Stacks.
#[async_trait]
pub trait Stacks: Send + Sync {
    /// By id.
    async fn stack(&self, project: ProjectId, id: StackId) -> Found<Stack>;
    /// By name, id or unique prefix of the id.
    async fn resolve_stack(&self, project: ProjectId, text: &str) -> Found<Stack>;
    /// By name; with all these labels.
    async fn stacks(&self, project: ProjectId, labels: &Labels, page: &PageAsk) -> Found<Page<Stack>>;
}

/// Users and service accounts.
#[async_trait]
pub trait Principals: Send + Sync {
    /// By id.
    async fn principal(&self, project: ProjectId, id: PrincipalId) -> Found<Principal>;
    /// By name, id or unique prefix of the id.
    async fn resolve_principal(&self, project: ProjectId, text: &str) -> Found<Principal>;
    /// By name.
    async fn principals(
        &self,
        project: ProjectId,
        kind: Option<PrincipalKind>,
        page: &PageAsk,
    ) -> Found<Page<Principal>>;
}

/// Tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// By its public part, in any project: authentication starts here. Those
    /// of runs too, which the other two leave out.
    async fn token(&self, id: &TokenId) -> Found<TokenRecord>;
    /// By its public part or a unique prefix of it.
    async fn resolve_token(&self, project: ProjectId, text: &str) -> Found<TokenRecord>;
    /// Of one principal, newest first.
    async fn tokens_of(&self, project: ProjectId, principal: PrincipalId) -> Found<Vec<TokenRecord>>;
}

/// Which runs are wished for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Started by this principal.
    pub principal: Option<PrincipalId>,
    /// On this stack.
    pub stack: Option<StackId>,
    /// Neither finished nor at their end at this time.
    pub live_at: Option<Timestamp>,
}

/// Runs.
#[async_trait]
pub trait Runs: Send + Sync {
    /// By id.
    async fn run(&self, project: ProjectId, id: RunId) -> Found<Run>;
    /// By name, id or unique prefix of the id, of one principal when it is
    /// given. A name is of the one run that goes on under it; when none does,
    /// of the last one.
    async fn resolve_run(&self, project: ProjectId, principal: Option<PrincipalId>, text: &str) -> Found<Run>;
    /// Newest first.
    async fn runs(&self, project: ProjectId, filter: &RunFilter, page: &PageAsk) -> Found<Page<Run>>;
}

/// Role bindings.
#[async_trait]
pub trait Bindings: Send + Sync {
    /// Everything one principal holds, expired ones too; at most 1,000.
    async fn bindings_of(&self, project: ProjectId, principal: PrincipalId) -> Found<Vec<Binding>>;
    /// On this connector or component, oldest first; those on the whole project
    /// are on neither.
    async fn bindings_on(&self, project: ProjectId, target: BindingTarget, limit: u32) -> Found<Vec<Binding>>;
    /// By id or unique prefix.
    async fn resolve_binding(&self, project: ProjectId, text: &str) -> Found<Binding>;
    /// Oldest first.
    async fn bindings(&self, project: ProjectId, page: &PageAsk) -> Found<Page<Binding>>;
    /// By id.
    async fn binding(&self, project: ProjectId, id: BindingId) -> Found<Binding>;
}

/// Which issuances are wished for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuanceFilter {
    /// Of this connector.
    pub connector: Option<ConnectorId>,
    /// Of this principal.
    pub principal: Option<PrincipalId>,
    /// Minted in this run.
    pub run: Option<RunId>,
    /// Alive at this time: neither expired nor ended.
    pub active_at: Option<Timestamp>,
}

/// Issuances.
#[async_trait]
pub trait Issuances: Send + Sync {
    /// By id.
    async fn issuance(&self, project: ProjectId, id: IssuanceId) -> Found<Issuance>;
    /// By id or unique prefix.
    async fn resolve_issuance(&self, project: ProjectId, text: &str) -> Found<Issuance>;
    /// Newest first.
    async fn issuances(&self, project: ProjectId, filter: &IssuanceFilter, page: &PageAsk) -> Found<Page<Issuance>>;
    /// The same for whoever ends them, who does not wait behind what people
    /// look at.
    async fn issuances_to_end(
        &self,
        project: ProjectId,
        filter: &IssuanceFilter,
        page: &PageAsk,
    ) -> Found<Page<Issuance>>;
}

/// Project keys, wrapped.
#[async_trait]
pub trait Keks: Send + Sync {
    /// Every project key.
    async fn keks(&self) -> Found<Vec<WrappedKek>>;
    /// How many values a project's keys seal.
    async fn sealed_values(&self, project: ProjectId) -> Found<u64>;
}

/// Signing keys of the issuer, sealed. They belong to no project.
#[async_trait]
pub trait IssuerKeys: Send + Sync {
    /// Every key, oldest first.
    async fn issuer_keys(&self) -> Found<Vec<SealedIssuerKey>>;
}

/// The ledger, to read.
#[async_trait]
pub trait AuditLines: Send + Sync {
    /// Newest first.
    async fn lines(&self, filter: &LineFilter, page: &PageAsk) -> Found<Page<StoredLine>>;
    /// In order, after `seq`, at most `limit`.
    async fn lines_after(&self, project: Option<ProjectId>, seq: Seq, limit: u32) -> Found<Vec<StoredLine>>;
    /// The last line's place; 0 when there is none.
    async fn last_seq(&self) -> Found<Seq>;
    /// Intents without a result, at most `limit`.
    async fn open_intents(&self, limit: u32) -> Found<Vec<StoredLine>>;
    /// The place of the last line, as it grows.
    fn watch_lines(&self) -> watch::Receiver<Seq>;
}

/// Answers that are kept.
#[async_trait]
pub trait Requests: Send + Sync {
    /// The answer to this request, when it was done in the last 24 hours.
    async fn recall(
        &self,
        project: ProjectId,
        principal: PrincipalId,
        request_id: RequestId,
    ) -> Found<Option<Remembered>>;
}

/// One change of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place.
    pub revision: Revision,
    /// In which project.
    pub project: ProjectId,
    /// `connector`, `component`, `stack`, `principal`, `token`, `run` or
    /// `binding`.
    pub noun: String,
    /// The record's id.
    pub id: String,
}

/// The change feed.
#[async_trait]
pub trait Changes: Send + Sync {
    /// The revision, as it grows; the new value is seen before the commit
    /// that made it is acknowledged.
    fn watch_revision(&self) -> watch::Receiver<Revision>;
    /// In order, after `revision`, at most `limit`.
    async fn changes_after(&self, revision: Revision, limit: u32) -> Found<Vec<Change>>;
}

/// What a store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFacts {
    /// For example `sqlite 3.54.1`.
    pub backend: String,
    /// The schema's version.
    pub schema_version: u32,
    /// Writes are possible.
    pub writable: bool,
}

/// The one way to change anything.
#[async_trait]
pub trait Transactions: Send + Sync {
    /// Commits all of it or nothing; durable when it returns.
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError>;
    /// What the store says of itself.
    fn facts(&self) -> StoreFacts;
}

/// A whole store.
pub trait Store:
    Projects
    + Connectors
    + Components
    + Stacks
    + Principals
    + Tokens
    + Runs
    + Bindings
    + Issuances
    + Keks
    + IssuerKeys
    + AuditLines
    + Requests
    + Changes
    + Transactions
    + Journal
{
}

impl<S> Store for S where
    S: Projects
        + Connectors
        + Components
        + Stacks
        + Principals
        + Tokens
        + Runs
        + Bindings
        + Issuances
        + Keks
        + IssuerKeys
        + AuditLines
        + Requests
        + Changes
        + Transactions
        + Journal
{
}

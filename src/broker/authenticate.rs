//! Who is calling: a token in, a principal with its bindings out.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::audit::{Line, LineKind, Outcome, Reason};
use crate::authn::api_token;
use crate::authz::{RunScope, Subject};
use crate::domain::{Project, RunId, Timestamp, TokenDigest, TokenId, TokenRecord};
use crate::sealing::Purpose;
use crate::store::{Revision, StoreError};

use super::call::CallRecord;
use super::error::BrokerError;
use super::{Broker, Call};

/// A known caller.
#[derive(Debug, Clone)]
pub struct CallerFacts {
    /// The principal and what it holds.
    pub subject: Subject,
    /// Its project.
    pub project: Arc<Project>,
    /// The token it presented.
    pub token: TokenId,
    /// When that token ends.
    pub token_expires_at: Timestamp,
    /// The store's revision that these facts are as of, or an earlier one.
    pub as_of: Revision,
}

/// A caller in memory: with the digest that every presentation of its token
/// is compared with, also when nothing is read from the store.
pub(super) struct Known {
    facts: Arc<CallerFacts>,
    digest: TokenDigest,
}

impl Broker {
    /// Who presents this `authorization` header?
    ///
    /// # Errors
    /// `Unauthenticated` for whatever is wrong with it, with nothing more
    /// said; `Unavailable` when the store cannot be read.
    pub async fn authenticate(&self, authorization: &[u8]) -> Result<Arc<CallerFacts>, BrokerError> {
        // What is no token, or has a wrong checksum, is never looked up.
        let presented = api_token::bearer(authorization).and_then(api_token::parse).map_err(|_| NOBODY)?;
        let known = self.known(presented.id()).await?;
        let digest = self.keyring.mac(Purpose::TokenPepper, presented.as_bytes());
        if !api_token::digest_matches(&known.digest, &digest) {
            return Err(NOBODY);
        }
        self.alive(&known)
    }

    /// The same caller as of now: its token may have been revoked, its
    /// bindings changed.
    pub(super) async fn caller_again(&self, token: &TokenId) -> Result<Arc<CallerFacts>, BrokerError> {
        self.alive(&*self.known(token).await?)
    }

    fn alive(&self, known: &Known) -> Result<Arc<CallerFacts>, BrokerError> {
        let ended = known.facts.token_expires_at <= self.clock.now();
        if ended { Err(NOBODY) } else { Ok(Arc::clone(&known.facts)) }
    }

    /// What is stored about a token, as of the store's revision or later.
    async fn known(&self, token: &TokenId) -> Result<Arc<Known>, BrokerError> {
        let revision = self.lookups.revision();
        if let Some(known) = self.lookups.callers.fresh(token, revision) {
            return Ok(known);
        }
        let known = Arc::new(Box::pin(self.read_known(token, revision)).await.map_err(|error| nobody_or(&error))?);
        self.lookups.callers.keep(token.clone(), revision, Arc::clone(&known));
        Ok(known)
    }

    async fn read_known(&self, token: &TokenId, as_of: Revision) -> Result<Known, StoreError> {
        let record = self.store.token(token).await?;
        let principal = self.store.principal(record.project, record.principal).await?;
        let bindings = self.store.bindings_of(record.project, record.principal).await?;
        let projects = self.store.projects().await?;
        let project = projects.into_iter().find(|p| p.id == record.project).ok_or(StoreError::NotFound)?;
        let run = match record.run {
            Some(run) => Some(self.run_scope(&record, run).await?),
            None => None,
        };
        // Invariant: the token of a run is nobody's once the run is over.
        let ends = run.as_ref().map_or(record.expires_at, |scope| scope.run.ends_at.min(record.expires_at));
        let facts = CallerFacts {
            subject: Subject { principal: Arc::new(principal), bindings: bindings.into(), run },
            project: Arc::new(project),
            token: record.id,
            token_expires_at: ends,
            as_of,
        };
        Ok(Known { facts: Arc::new(facts), digest: record.digest })
    }

    /// What confines the token of a run: its stack as it is now. A stack that
    /// is gone leaves nothing.
    async fn run_scope(&self, record: &TokenRecord, id: RunId) -> Result<RunScope, StoreError> {
        let run = self.store.run(record.project, id).await?;
        if run.finished_at.is_some() || run.principal != record.principal {
            return Err(StoreError::NotFound);
        }
        let components = match self.store.stack(record.project, run.stack).await {
            Ok(stack) => stack.components.into_iter().collect(),
            Err(StoreError::NotFound) => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        Ok(RunScope { run: Arc::new(run), components: Arc::new(components) })
    }

    /// Keyed digest of a peer's address, in hex: equal for equal addresses of
    /// this store, and nothing more.
    #[must_use]
    pub fn source_digest(&self, peer: IpAddr) -> String {
        let bytes = match peer.to_canonical() {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let mac = self.keyring.mac(Purpose::SourceDigest, &bytes);
        hex::encode(mac.iter().take(8).copied().collect::<Vec<u8>>())
    }

    /// Writes the line of a call that ended without one: reads that went
    /// well, and whatever was refused before a use case saw it.
    ///
    /// # Errors
    /// When the line is not durable.
    pub async fn line_of(
        &self,
        record: &CallRecord,
        call: Option<&Call>,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), BrokerError> {
        let line = match call {
            Some(call) => call.line(outcome, reason),
            None => Line {
                source: record.source.clone(),
                reason: Reason::new(reason),
                ..Line::about(record.method, LineKind::Single, outcome)
            },
        };
        self.write_line(record, line).await
    }

    /// Writes lines that stand for many calls.
    ///
    /// # Errors
    /// When a line is not durable.
    pub async fn write_counted(&self, lines: Vec<Line>) -> Result<(), BrokerError> {
        for line in lines {
            self.ledger.write(line).await?;
        }
        Ok(())
    }
}

const NOBODY: BrokerError = BrokerError::Unauthenticated;

/// An unknown token is answered as a wrong secret is.
fn nobody_or(error: &StoreError) -> BrokerError {
    if *error == StoreError::NotFound { NOBODY } else { BrokerError::of("caller", error) }
}

#[cfg(test)]
#[path = "authenticate_tests.rs"]
mod tests;

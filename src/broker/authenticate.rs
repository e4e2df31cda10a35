//! Who is calling: a token in, a principal with its bindings out.

use std::net::IpAddr;
use std::sync::Arc;

use crate::audit::{Line, LineKind, Outcome, Reason};
use crate::authz::Subject;
use crate::domain::{Project, Timestamp, TokenId};
use crate::sealing::Purpose;
use crate::store::Revision;

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

impl Broker {
    /// Who presents this `authorization` header?
    ///
    /// # Errors
    /// `Unauthenticated` for whatever is wrong with it, with nothing more
    /// said; `Unavailable` when the store cannot be read.
    pub async fn authenticate(&self, _authorization: &[u8]) -> Result<Arc<CallerFacts>, BrokerError> {
        todo!()
    }

    /// The same caller as of now: its token may have been revoked, its
    /// bindings changed.
    pub(super) async fn caller_again(&self, _token: &TokenId) -> Result<Arc<CallerFacts>, BrokerError> {
        todo!()
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

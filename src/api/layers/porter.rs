//! What the layers ask of the broker: who somebody is, and to write lines.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::broker::{Broker, BrokerError, Call, CallRecord, CallerFacts};
use crate::broker::{Line, Outcome};

/// The part of the broker that the layers see.
#[async_trait]
pub trait Porter: Send + Sync {
    /// See [`Broker::authenticate`].
    ///
    /// # Errors
    /// `Unauthenticated`, or `Unavailable` when nobody can say.
    async fn authenticate(&self, authorization: &[u8]) -> Result<Arc<CallerFacts>, BrokerError>;
    /// See [`Broker::source_digest`].
    fn source_digest(&self, peer: IpAddr) -> String;
    /// See [`Broker::line_of`].
    ///
    /// # Errors
    /// When the line is not durable.
    async fn line_of(
        &self,
        record: &CallRecord,
        call: Option<&Call>,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), BrokerError>;
    /// See [`Broker::write_counted`].
    ///
    /// # Errors
    /// When a line is not durable.
    async fn write_counted(&self, lines: Vec<Line>) -> Result<(), BrokerError>;
}

#[async_trait]
impl Porter for Broker {
    async fn authenticate(&self, authorization: &[u8]) -> Result<Arc<CallerFacts>, BrokerError> {
        Self::authenticate(self, authorization).await
    }

    fn source_digest(&self, peer: IpAddr) -> String {
        Self::source_digest(self, peer)
    }

    async fn line_of(
        &self,
        record: &CallRecord,
        call: Option<&Call>,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), BrokerError> {
        Self::line_of(self, record, call, outcome, reason).await
    }

    async fn write_counted(&self, lines: Vec<Line>) -> Result<(), BrokerError> {
        Self::write_counted(self, lines).await
    }
}

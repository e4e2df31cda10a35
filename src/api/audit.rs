//! AuditService: decode, one call of the broker, encode.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call, Seq, Tailed};
use crate::proto;
use crate::proto::audit_service_server::AuditService;

use super::convert::audit as convert;
use super::convert::request::{Listing, failed, opened, own_project, reply};

/// The handlers of AuditService.
pub struct AuditHandlers {
    broker: Arc<Broker>,
}

impl AuditHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn list(
        &self,
        call: &Call,
        mut body: proto::ListAuditLinesRequest,
    ) -> Result<proto::ListAuditLinesResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_audit_lines(call, &convert::line_ask(&body)?, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let lines = found.items.into_iter().map(|line| convert::line(call, line)).collect();
        Ok(proto::ListAuditLinesResponse { lines, next_page_token })
    }

    async fn tail(
        &self,
        call: &Call,
        body: &proto::TailAuditLinesRequest,
    ) -> Result<mpsc::Receiver<Tailed>, BrokerError> {
        own_project(call, &body.project)?;
        let after = (body.after_seq > 0).then_some(Seq(body.after_seq));
        self.broker.tail_audit_lines(call, after).await
    }
}

#[tonic::async_trait]
impl AuditService for AuditHandlers {
    async fn list_audit_lines(
        &self,
        request: Request<proto::ListAuditLinesRequest>,
    ) -> Result<Response<proto::ListAuditLinesResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.list(&call, body).await;
        reply(&call, answer)
    }

    type TailAuditLinesStream = Pin<Box<dyn Stream<Item = Result<proto::TailAuditLinesResponse, Status>> + Send>>;

    async fn tail_audit_lines(
        &self,
        request: Request<proto::TailAuditLinesRequest>,
    ) -> Result<Response<Self::TailAuditLinesStream>, Status> {
        let (call, body) = opened(request)?;
        let tailed = self.tail(&call, &body).await.map_err(|error| failed(&call, error))?;
        let stream = ReceiverStream::new(tailed).map(move |item| match item {
            Ok(line) => Ok(proto::TailAuditLinesResponse { line: Some(convert::line(&call, line)) }),
            Err(error) => Err(failed(&call, error)),
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

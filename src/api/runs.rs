//! RunService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call};
use crate::proto;
use crate::proto::run_service_server::RunService;

use super::convert::request::{Listing, once, opened, own_project, reply};
use super::convert::runs as convert;
use super::convert::types::ttl;

/// The handlers of RunService.
pub struct RunHandlers {
    broker: Arc<Broker>,
}

impl RunHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn start(
        &self,
        call: &Call,
        mut body: proto::StartRunRequest,
    ) -> Result<proto::StartRunResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let started = self.broker.start_run(call, convert::new_run(&body)?, once.as_ref()).await?;
        Ok(convert::started(call, &self.broker, started))
    }

    async fn renew(
        &self,
        call: &Call,
        mut body: proto::RenewRunRequest,
    ) -> Result<proto::RenewRunResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let text = convert::run_reference(call, &body.run)?;
        let run = self.broker.renew_run(call, &text, ttl(body.ttl_seconds), once.as_ref()).await?;
        Ok(proto::RenewRunResponse { run: Some(convert::run(call, &self.broker, &run)) })
    }

    async fn finish(
        &self,
        call: &Call,
        body: proto::FinishRunRequest,
    ) -> Result<proto::FinishRunResponse, BrokerError> {
        own_project(call, &body.project)?;
        let finished = self.broker.finish_run(call, &convert::finish(call, body)?).await?;
        Ok(convert::finished(call, &self.broker, finished))
    }

    async fn list(
        &self,
        call: &Call,
        mut body: proto::ListRunsRequest,
    ) -> Result<proto::ListRunsResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_runs(call, &convert::run_ask(&body)?, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let runs = found.items.iter().map(|run| convert::run(call, &self.broker, run)).collect();
        Ok(proto::ListRunsResponse { runs, next_page_token })
    }

    async fn describe(
        &self,
        call: &Call,
        body: proto::DescribeRunRequest,
    ) -> Result<proto::DescribeRunResponse, BrokerError> {
        own_project(call, &body.project)?;
        let run = self.broker.describe_run(call, &convert::run_reference(call, &body.run)?).await?;
        Ok(proto::DescribeRunResponse { run: Some(convert::run(call, &self.broker, &run)) })
    }
}

#[tonic::async_trait]
impl RunService for RunHandlers {
    async fn start_run(
        &self,
        request: Request<proto::StartRunRequest>,
    ) -> Result<Response<proto::StartRunResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.start(&call, body).await;
        reply(&call, answer)
    }

    async fn renew_run(
        &self,
        request: Request<proto::RenewRunRequest>,
    ) -> Result<Response<proto::RenewRunResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.renew(&call, body).await;
        reply(&call, answer)
    }

    async fn finish_run(
        &self,
        request: Request<proto::FinishRunRequest>,
    ) -> Result<Response<proto::FinishRunResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.finish(&call, body).await;
        reply(&call, answer)
    }

    async fn list_runs(
        &self,
        request: Request<proto::ListRunsRequest>,
    ) -> Result<Response<proto::ListRunsResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.list(&call, body).await;
        reply(&call, answer)
    }

    async fn describe_run(
        &self,
        request: Request<proto::DescribeRunRequest>,
    ) -> Result<Response<proto::DescribeRunResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.describe(&call, body).await;
        reply(&call, answer)
    }
}

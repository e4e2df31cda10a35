//! StackService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call};
use crate::proto;
use crate::proto::stack_service_server::StackService;

use super::convert::request::{Listing, once, opened, own_project, reply};
use super::convert::stacks as convert;
use super::convert::types::{etag, labels, reference};

/// The handlers of StackService.
pub struct StackHandlers {
    broker: Arc<Broker>,
}

impl StackHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn register(
        &self,
        call: &Call,
        mut body: proto::RegisterStackRequest,
    ) -> Result<proto::RegisterStackResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let stored = self.broker.register_stack(call, convert::new_stack(body)?, once.as_ref()).await?;
        Ok(proto::RegisterStackResponse { stack: Some(convert::stack(call, &self.broker, &stored).await?) })
    }

    async fn list(
        &self,
        call: &Call,
        mut body: proto::ListStacksRequest,
    ) -> Result<proto::ListStacksResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_stacks(call, &labels(body.labels)?, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let mut stacks = Vec::with_capacity(found.items.len());
        for one in &found.items {
            stacks.push(convert::stack(call, &self.broker, one).await?);
        }
        Ok(proto::ListStacksResponse { stacks, next_page_token })
    }

    async fn describe(
        &self,
        call: &Call,
        body: proto::DescribeStackRequest,
    ) -> Result<proto::DescribeStackResponse, BrokerError> {
        own_project(call, &body.project)?;
        let found = self.broker.describe_stack(call, reference("stack", &body.stack)?).await?;
        Ok(proto::DescribeStackResponse { stack: Some(convert::stack(call, &self.broker, &found).await?) })
    }

    async fn update(
        &self,
        call: &Call,
        mut body: proto::UpdateStackRequest,
    ) -> Result<proto::UpdateStackResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let (text, expected) = (reference("stack", &body.stack)?, etag(&body.etag)?);
        let components = convert::components(body.components.clone())?;
        let stored = self.broker.update_stack(call, text, &components, expected, once.as_ref()).await?;
        Ok(proto::UpdateStackResponse { stack: Some(convert::stack(call, &self.broker, &stored).await?) })
    }

    async fn delete(
        &self,
        call: &Call,
        mut body: proto::DeleteStackRequest,
    ) -> Result<proto::DeleteStackResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let text = reference("stack", &body.stack)?;
        self.broker.delete_stack(call, text, etag(&body.etag)?, once.as_ref()).await?;
        Ok(proto::DeleteStackResponse {})
    }
}

#[tonic::async_trait]
impl StackService for StackHandlers {
    async fn register_stack(
        &self,
        request: Request<proto::RegisterStackRequest>,
    ) -> Result<Response<proto::RegisterStackResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.register(&call, body).await;
        reply(&call, answer)
    }

    async fn list_stacks(
        &self,
        request: Request<proto::ListStacksRequest>,
    ) -> Result<Response<proto::ListStacksResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.list(&call, body).await;
        reply(&call, answer)
    }

    async fn describe_stack(
        &self,
        request: Request<proto::DescribeStackRequest>,
    ) -> Result<Response<proto::DescribeStackResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.describe(&call, body).await;
        reply(&call, answer)
    }

    async fn update_stack(
        &self,
        request: Request<proto::UpdateStackRequest>,
    ) -> Result<Response<proto::UpdateStackResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.update(&call, body).await;
        reply(&call, answer)
    }

    async fn delete_stack(
        &self,
        request: Request<proto::DeleteStackRequest>,
    ) -> Result<Response<proto::DeleteStackResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.delete(&call, body).await;
        reply(&call, answer)
    }
}

//! ComponentService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call};
use crate::proto;
use crate::proto::component_service_server::ComponentService;

use super::convert::components as convert;
use super::convert::request::{Listing, once, opened, own_project, reply};
use super::convert::types::{etag, reference};

/// The handlers of ComponentService.
pub struct ComponentHandlers {
    broker: Arc<Broker>,
}

impl ComponentHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn register(
        &self,
        call: &Call,
        mut body: proto::RegisterComponentRequest,
    ) -> Result<proto::RegisterComponentResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let stored = self.broker.register_component(call, convert::new_component(body)?, once.as_ref()).await?;
        let component = Some(convert::component(call, &self.broker, &stored).await);
        Ok(proto::RegisterComponentResponse { component })
    }

    async fn list(
        &self,
        call: &Call,
        mut body: proto::ListComponentsRequest,
    ) -> Result<proto::ListComponentsResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_components(call, &convert::filter(&body)?, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let mut components = Vec::with_capacity(found.items.len());
        for one in &found.items {
            components.push(convert::component(call, &self.broker, one).await);
        }
        Ok(proto::ListComponentsResponse { components, next_page_token })
    }

    async fn describe(
        &self,
        call: &Call,
        body: proto::DescribeComponentRequest,
    ) -> Result<proto::DescribeComponentResponse, BrokerError> {
        own_project(call, &body.project)?;
        let found = self.broker.describe_component(call, reference("component", &body.component)?).await?;
        let component = Some(convert::component(call, &self.broker, &found).await);
        Ok(proto::DescribeComponentResponse { component })
    }

    async fn connect(
        &self,
        call: &Call,
        mut body: proto::ConnectComponentRequest,
    ) -> Result<proto::ConnectComponentResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let stored = self.broker.connect_component(call, convert::connect(&body)?, once.as_ref()).await?;
        let component = Some(convert::component(call, &self.broker, &stored).await);
        Ok(proto::ConnectComponentResponse { component })
    }

    async fn delete(
        &self,
        call: &Call,
        mut body: proto::DeleteComponentRequest,
    ) -> Result<proto::DeleteComponentResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let text = reference("component", &body.component)?;
        self.broker.delete_component(call, text, etag(&body.etag)?, once.as_ref()).await?;
        Ok(proto::DeleteComponentResponse {})
    }
}

#[tonic::async_trait]
impl ComponentService for ComponentHandlers {
    async fn register_component(
        &self,
        request: Request<proto::RegisterComponentRequest>,
    ) -> Result<Response<proto::RegisterComponentResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.register(&call, body).await;
        reply(&call, answer)
    }

    async fn list_components(
        &self,
        request: Request<proto::ListComponentsRequest>,
    ) -> Result<Response<proto::ListComponentsResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.list(&call, body).await;
        reply(&call, answer)
    }

    async fn describe_component(
        &self,
        request: Request<proto::DescribeComponentRequest>,
    ) -> Result<Response<proto::DescribeComponentResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.describe(&call, body).await;
        reply(&call, answer)
    }

    async fn connect_component(
        &self,
        request: Request<proto::ConnectComponentRequest>,
    ) -> Result<Response<proto::ConnectComponentResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.connect(&call, body).await;
        reply(&call, answer)
    }

    async fn delete_component(
        &self,
        request: Request<proto::DeleteComponentRequest>,
    ) -> Result<Response<proto::DeleteComponentResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.delete(&call, body).await;
        reply(&call, answer)
    }
}

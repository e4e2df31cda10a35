//! ConnectorService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::Broker;
use crate::proto::connector_service_server::ConnectorService;
use crate::proto::{
    DeleteConnectorRequest, DeleteConnectorResponse, DescribeConnectorRequest, DescribeConnectorResponse,
    ListConnectorResourcesRequest, ListConnectorResourcesResponse, ListConnectorsRequest, ListConnectorsResponse,
    RegisterConnectorRequest, RegisterConnectorResponse, RotateConnectorSecretRequest, RotateConnectorSecretResponse,
    UpdateConnectorRequest, UpdateConnectorResponse, VerifyConnectorRequest, VerifyConnectorResponse,
};

use super::caller::{call_in, failed};
use super::convert::connectors as convert;
use super::convert::types::{digest, once, optional_etag};

/// The handlers of ConnectorService.
pub struct ConnectorHandlers {
    broker: Arc<Broker>,
}

impl ConnectorHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

#[tonic::async_trait]
impl ConnectorService for ConnectorHandlers {
    async fn register_connector(
        &self,
        request: Request<RegisterConnectorRequest>,
    ) -> Result<Response<RegisterConnectorResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let ask = convert::register(&call, request.into_inner()).map_err(|e| failed(&call, e.into()))?;
        let connector = self.broker.register_connector(&call, ask).await.map_err(|e| failed(&call, e))?;
        let seen = self.broker.seen(&call, connector);
        Ok(Response::new(RegisterConnectorResponse { connector: Some(convert::view(&call, &self.broker, seen).await) }))
    }

    async fn list_connectors(
        &self,
        request: Request<ListConnectorsRequest>,
    ) -> Result<Response<ListConnectorsResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let filters = convert::list_digest(&request);
        let parsed = convert::filter(&request).and_then(|filter| {
            let page = self.broker.pages().parse(&call, &filters, request.page_size, &request.page_token)?;
            Ok((filter, page))
        });
        let (filter, page) = parsed.map_err(|e| failed(&call, e.into()))?;
        let found = self.broker.list_connectors(&call, &filter, &page).await.map_err(|e| failed(&call, e))?;
        let next_page_token = self.broker.pages().next(&call, &filters, found.next.as_deref());
        let connectors = convert::views(&call, &self.broker, found.items).await;
        Ok(Response::new(ListConnectorsResponse { connectors, next_page_token }))
    }

    async fn describe_connector(
        &self,
        request: Request<DescribeConnectorRequest>,
    ) -> Result<Response<DescribeConnectorResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let text = request.into_inner().connector;
        let seen = self.broker.describe_connector(&call, &text).await.map_err(|e| failed(&call, e))?;
        Ok(Response::new(DescribeConnectorResponse { connector: Some(convert::view(&call, &self.broker, seen).await) }))
    }

    async fn update_connector(
        &self,
        request: Request<UpdateConnectorRequest>,
    ) -> Result<Response<UpdateConnectorResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let ask = convert::update(&call, request.into_inner()).map_err(|e| failed(&call, e.into()))?;
        let connector = self.broker.update_connector(&call, ask).await.map_err(|e| failed(&call, e))?;
        let seen = self.broker.seen(&call, connector);
        Ok(Response::new(UpdateConnectorResponse { connector: Some(convert::view(&call, &self.broker, seen).await) }))
    }

    async fn rotate_connector_secret(
        &self,
        request: Request<RotateConnectorSecretRequest>,
    ) -> Result<Response<RotateConnectorSecretResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let ask = convert::rotate(&call, request.into_inner()).map_err(|e| failed(&call, e.into()))?;
        let connector = self.broker.rotate_connector_secret(&call, ask).await.map_err(|e| failed(&call, e))?;
        let seen = self.broker.seen(&call, connector);
        let connector = Some(convert::view(&call, &self.broker, seen).await);
        Ok(Response::new(RotateConnectorSecretResponse { connector }))
    }

    async fn verify_connector(
        &self,
        request: Request<VerifyConnectorRequest>,
    ) -> Result<Response<VerifyConnectorResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let text = request.into_inner().connector;
        let connector = self.broker.verify_connector(&call, &text).await.map_err(|e| failed(&call, e))?;
        let seen = self.broker.seen(&call, connector);
        Ok(Response::new(VerifyConnectorResponse { connector: Some(convert::view(&call, &self.broker, seen).await) }))
    }

    async fn list_connector_resources(
        &self,
        request: Request<ListConnectorResourcesRequest>,
    ) -> Result<Response<ListConnectorResourcesResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let filters = convert::resources_digest(&request);
        let parsed = self.broker.pages().parse(&call, &filters, request.page_size, &request.page_token);
        let ask = parsed.and_then(|page| convert::resources(request, page)).map_err(|e| failed(&call, e.into()))?;
        let reach = self.broker.list_connector_resources(&call, ask).await.map_err(|e| failed(&call, e))?;
        let next = reach.iter().find_map(|found| found.next_page.as_deref());
        let next_page_token = self.broker.pages().next(&call, &filters, next);
        let reach = reach.into_iter().map(convert::reach).collect();
        Ok(Response::new(ListConnectorResourcesResponse { reach, next_page_token }))
    }

    async fn delete_connector(
        &self,
        request: Request<DeleteConnectorRequest>,
    ) -> Result<Response<DeleteConnectorResponse>, Status> {
        let call = call_in(&request, &request.get_ref().project)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let parsed = once(&request_id, digest(&call, &request)).and_then(|o| Ok((o, optional_etag(&request.etag)?)));
        let (once, expected) = parsed.map_err(|e| failed(&call, e.into()))?;
        let deleted = self.broker.delete_connector(&call, &request.connector, expected, once).await;
        let deleted = deleted.map_err(|e| failed(&call, e))?;
        Ok(Response::new(convert::deleted(&deleted)))
    }
}

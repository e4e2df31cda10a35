//! ConnectorService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call, Deleted, Rotated};
use crate::domain::Connector;
use crate::proto;
use crate::proto::connector_service_server::ConnectorService;

use super::convert::connectors as convert;
use super::convert::request::{Listing, once, opened, own_project, reply};
use super::convert::types::{etag, reference};

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

    async fn view(&self, call: &Call, connector: Connector) -> Option<proto::Connector> {
        let seen = self.broker.seen(call, connector);
        Some(convert::view(call, &self.broker, seen).await)
    }

    async fn register(&self, call: &Call, body: proto::RegisterConnectorRequest) -> Result<Connector, BrokerError> {
        own_project(call, &body.project)?;
        self.broker.register_connector(call, convert::register(call, body)?).await
    }

    async fn list(
        &self,
        call: &Call,
        mut body: proto::ListConnectorsRequest,
    ) -> Result<proto::ListConnectorsResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let found = self.broker.list_connectors(call, &convert::filter(&body)?, &listing.page).await?;
        let next_page_token = listing.next(&self.broker, call, found.next.as_deref());
        let connectors = convert::views(call, &self.broker, found.items).await;
        Ok(proto::ListConnectorsResponse { connectors, next_page_token })
    }

    async fn update(&self, call: &Call, body: proto::UpdateConnectorRequest) -> Result<Connector, BrokerError> {
        own_project(call, &body.project)?;
        self.broker.update_connector(call, convert::update(call, body)?).await
    }

    async fn rotate(&self, call: &Call, body: proto::RotateConnectorSecretRequest) -> Result<Rotated, BrokerError> {
        own_project(call, &body.project)?;
        match convert::rotate(call, body)? {
            convert::Rotation::Auto(ask) => self.broker.rotate_connector_secret_auto(call, ask).await,
            convert::Rotation::HandedIn(ask) => {
                let connector = self.broker.rotate_connector_secret(call, ask).await?;
                Ok(Rotated { connector, made_key: None, deleted_keys: Vec::new() })
            }
        }
    }

    async fn resources(
        &self,
        call: &Call,
        mut body: proto::ListConnectorResourcesRequest,
    ) -> Result<proto::ListConnectorResourcesResponse, BrokerError> {
        own_project(call, &body.project)?;
        let (size, token) = (std::mem::take(&mut body.page_size), std::mem::take(&mut body.page_token));
        let listing = Listing::parse(&self.broker, call, size, &token, &body)?;
        let ask = convert::resources(body, size, &listing.page)?;
        let reach = self.broker.list_connector_resources(call, ask).await?;
        let next = reach.iter().find_map(|found| found.next_page.as_deref());
        let next_page_token = listing.next(&self.broker, call, next);
        Ok(proto::ListConnectorResourcesResponse { reach: convert::reaches(&reach), next_page_token })
    }

    async fn delete(&self, call: &Call, mut body: proto::DeleteConnectorRequest) -> Result<Deleted, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let text = reference("connector", &body.connector)?;
        self.broker.delete_connector(call, text, etag(&body.etag)?, once).await
    }
}

#[tonic::async_trait]
impl ConnectorService for ConnectorHandlers {
    async fn register_connector(
        &self,
        request: Request<proto::RegisterConnectorRequest>,
    ) -> Result<Response<proto::RegisterConnectorResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = match self.register(&call, body).await {
            Ok(stored) => Ok(proto::RegisterConnectorResponse { connector: self.view(&call, stored).await }),
            Err(error) => Err(error),
        };
        reply(&call, answer)
    }

    async fn list_connectors(
        &self,
        request: Request<proto::ListConnectorsRequest>,
    ) -> Result<Response<proto::ListConnectorsResponse>, Status> {
        let (call, body) = opened(request)?;
        reply(&call, self.list(&call, body).await)
    }

    async fn describe_connector(
        &self,
        request: Request<proto::DescribeConnectorRequest>,
    ) -> Result<Response<proto::DescribeConnectorResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = async {
            own_project(&call, &body.project)?;
            let seen = self.broker.describe_connector(&call, reference("connector", &body.connector)?).await?;
            let connector = Some(convert::view(&call, &self.broker, seen).await);
            Ok(proto::DescribeConnectorResponse { connector })
        };
        reply(&call, answer.await)
    }

    async fn update_connector(
        &self,
        request: Request<proto::UpdateConnectorRequest>,
    ) -> Result<Response<proto::UpdateConnectorResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = match self.update(&call, body).await {
            Ok(stored) => Ok(proto::UpdateConnectorResponse { connector: self.view(&call, stored).await }),
            Err(error) => Err(error),
        };
        reply(&call, answer)
    }

    async fn rotate_connector_secret(
        &self,
        request: Request<proto::RotateConnectorSecretRequest>,
    ) -> Result<Response<proto::RotateConnectorSecretResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = match self.rotate(&call, body).await {
            Ok(Rotated { connector, made_key, deleted_keys: deleted_key_ids }) => {
                let connector = self.view(&call, connector).await;
                let made_key_id = made_key.unwrap_or_default();
                Ok(proto::RotateConnectorSecretResponse { connector, made_key_id, deleted_key_ids })
            }
            Err(error) => Err(error),
        };
        reply(&call, answer)
    }

    async fn verify_connector(
        &self,
        request: Request<proto::VerifyConnectorRequest>,
    ) -> Result<Response<proto::VerifyConnectorResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = async {
            own_project(&call, &body.project)?;
            let stored = self.broker.verify_connector(&call, reference("connector", &body.connector)?).await?;
            Ok(proto::VerifyConnectorResponse { connector: self.view(&call, stored).await })
        };
        reply(&call, answer.await)
    }

    async fn list_connector_resources(
        &self,
        request: Request<proto::ListConnectorResourcesRequest>,
    ) -> Result<Response<proto::ListConnectorResourcesResponse>, Status> {
        let (call, body) = opened(request)?;
        reply(&call, self.resources(&call, body).await)
    }

    async fn delete_connector(
        &self,
        request: Request<proto::DeleteConnectorRequest>,
    ) -> Result<Response<proto::DeleteConnectorResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.delete(&call, body).await;
        reply(&call, answer.map(|deleted| convert::deleted(&deleted)))
    }
}

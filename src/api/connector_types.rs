//! ConnectorTypeService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call};
use crate::proto;
use crate::proto::connector_type_service_server::ConnectorTypeService;

use super::convert::connector_types::connector_type;
use super::convert::request::{opened, own_project, reply};

/// The handlers of ConnectorTypeService.
pub struct ConnectorTypeHandlers {
    broker: Arc<Broker>,
}

impl ConnectorTypeHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn list(
        &self,
        call: &Call,
        body: proto::ListConnectorTypesRequest,
    ) -> Result<proto::ListConnectorTypesResponse, BrokerError> {
        own_project(call, &body.project)?;
        let found = self.broker.list_connector_types(call).await?;
        let connector_types = found.into_iter().map(connector_type).collect();
        Ok(proto::ListConnectorTypesResponse { connector_types })
    }

    async fn describe(
        &self,
        call: &Call,
        body: proto::DescribeConnectorTypeRequest,
    ) -> Result<proto::DescribeConnectorTypeResponse, BrokerError> {
        own_project(call, &body.project)?;
        let found = self.broker.describe_connector_type(call, &body.name).await?;
        Ok(proto::DescribeConnectorTypeResponse { connector_type: Some(connector_type(found)) })
    }
}

#[tonic::async_trait]
impl ConnectorTypeService for ConnectorTypeHandlers {
    async fn list_connector_types(
        &self,
        request: Request<proto::ListConnectorTypesRequest>,
    ) -> Result<Response<proto::ListConnectorTypesResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.list(&call, body).await;
        reply(&call, answer)
    }

    async fn describe_connector_type(
        &self,
        request: Request<proto::DescribeConnectorTypeRequest>,
    ) -> Result<Response<proto::DescribeConnectorTypeResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.describe(&call, body).await;
        reply(&call, answer)
    }
}

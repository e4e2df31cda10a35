//! OperatorService: decode, one call of the broker, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::broker::{Broker, BrokerError, Call};
use crate::proto;
use crate::proto::operator_service_server::OperatorService;

use super::convert::operator as convert;
use super::convert::request::{once, opened, own_project, reply};

/// The handlers of OperatorService.
pub struct OperatorHandlers {
    broker: Arc<Broker>,
}

impl OperatorHandlers {
    /// Handlers that call `broker`.
    #[must_use]
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn status(
        &self,
        call: &Call,
        body: proto::GetStatusRequest,
    ) -> Result<proto::GetStatusResponse, BrokerError> {
        own_project(call, &body.project)?;
        Ok(convert::status(self.broker.daemon_status(call).await?))
    }

    async fn keys(
        &self,
        call: &Call,
        body: proto::GetKeyStatusRequest,
    ) -> Result<proto::GetKeyStatusResponse, BrokerError> {
        own_project(call, &body.project)?;
        Ok(convert::keys(call, self.broker.key_status(call).await?))
    }

    async fn accept(
        &self,
        call: &Call,
        mut body: proto::AcceptClockRequest,
    ) -> Result<proto::AcceptClockResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let accepted = self.broker.accept_clock(call, once.as_ref()).await?;
        Ok(proto::AcceptClockResponse { accepted: Some(convert::clock_jump(accepted)) })
    }

    async fn rotate(
        &self,
        call: &Call,
        mut body: proto::RotateIssuerKeyRequest,
    ) -> Result<proto::RotateIssuerKeyResponse, BrokerError> {
        own_project(call, &body.project)?;
        let request_id = std::mem::take(&mut body.request_id);
        let once = once(call, &request_id, &body)?;
        let rotation = self.broker.rotate_issuer_key(call, once.as_ref()).await?;
        let retired_key = rotation.retired.map(|key| key.to_string()).unwrap_or_default();
        Ok(proto::RotateIssuerKeyResponse { active_key: rotation.active.to_string(), retired_key })
    }
}

#[tonic::async_trait]
impl OperatorService for OperatorHandlers {
    async fn get_status(
        &self,
        request: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.status(&call, body).await;
        reply(&call, answer)
    }

    async fn get_key_status(
        &self,
        request: Request<proto::GetKeyStatusRequest>,
    ) -> Result<Response<proto::GetKeyStatusResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.keys(&call, body).await;
        reply(&call, answer)
    }

    async fn accept_clock(
        &self,
        request: Request<proto::AcceptClockRequest>,
    ) -> Result<Response<proto::AcceptClockResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.accept(&call, body).await;
        reply(&call, answer)
    }

    async fn rotate_issuer_key(
        &self,
        request: Request<proto::RotateIssuerKeyRequest>,
    ) -> Result<Response<proto::RotateIssuerKeyResponse>, Status> {
        let (call, body) = opened(request)?;
        let answer = self.rotate(&call, body).await;
        reply(&call, answer)
    }
}

//! The door: gRPC in, one use case, gRPC out.
//!
//! A handler decodes, makes one call of the broker, and encodes. It decides
//! nothing, and knows neither store nor clouds. Only `status` knows gRPC's
//! codes. Nothing reaches a handler but through `layers`.

pub mod access;
pub mod audit;
pub mod caller;
pub mod components;
pub mod connector_types;
pub mod connectors;
pub mod convert;
pub mod credentials;
pub mod layers;
pub mod operator;
pub mod runs;
pub mod stacks;
pub mod status;

use std::sync::Arc;

use tonic::service::Routes;

use crate::broker::Broker;
use crate::proto::access_service_server::AccessServiceServer;
use crate::proto::audit_service_server::AuditServiceServer;
use crate::proto::component_service_server::ComponentServiceServer;
use crate::proto::connector_service_server::ConnectorServiceServer;
use crate::proto::connector_type_service_server::ConnectorTypeServiceServer;
use crate::proto::credential_service_server::CredentialServiceServer;
use crate::proto::operator_service_server::OperatorServiceServer;
use crate::proto::run_service_server::RunServiceServer;
use crate::proto::stack_service_server::StackServiceServer;

/// The handlers of every service of ours, behind no gate: they are for
/// [`layers::Door`].
#[must_use]
pub fn routes(broker: &Arc<Broker>) -> Routes {
    let broker = || Arc::clone(broker);
    Routes::default()
        .add_service(ConnectorTypeServiceServer::new(connector_types::ConnectorTypeHandlers::new(broker())))
        .add_service(ConnectorServiceServer::new(connectors::ConnectorHandlers::new(broker())))
        .add_service(ComponentServiceServer::new(components::ComponentHandlers::new(broker())))
        .add_service(StackServiceServer::new(stacks::StackHandlers::new(broker())))
        .add_service(RunServiceServer::new(runs::RunHandlers::new(broker())))
        .add_service(CredentialServiceServer::new(credentials::CredentialHandlers::new(broker())))
        .add_service(AccessServiceServer::new(access::AccessHandlers::new(broker())))
        .add_service(AuditServiceServer::new(audit::AuditHandlers::new(broker())))
        .add_service(OperatorServiceServer::new(operator::OperatorHandlers::new(broker())))
}

#[cfg(test)]
#[path = "handlers_tests.rs"]
mod tests;

//! Every service behind the gates.

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
use crate::proto::stack_service_server::StackServiceServer;

use super::access::AccessHandlers;
use super::audit::AuditHandlers;
use super::components::ComponentHandlers;
use super::connector_types::ConnectorTypeHandlers;
use super::connectors::ConnectorHandlers;
use super::credentials::CredentialHandlers;
use super::operator::OperatorHandlers;
use super::stacks::StackHandlers;

/// The handlers of every service of the package. A service that is missing
/// here answers UNIMPLEMENTED, which the coverage tests find.
#[must_use]
pub fn routes(broker: &Arc<Broker>) -> Routes {
    let handlers = || Arc::clone(broker);
    Routes::new(AccessServiceServer::new(AccessHandlers::new(handlers())))
        .add_service(AuditServiceServer::new(AuditHandlers::new(handlers())))
        .add_service(ComponentServiceServer::new(ComponentHandlers::new(handlers())))
        .add_service(ConnectorServiceServer::new(ConnectorHandlers::new(handlers())))
        .add_service(ConnectorTypeServiceServer::new(ConnectorTypeHandlers::new(handlers())))
        .add_service(CredentialServiceServer::new(CredentialHandlers::new(handlers())))
        .add_service(OperatorServiceServer::new(OperatorHandlers::new(handlers())))
        .add_service(StackServiceServer::new(StackHandlers::new(handlers())))
}

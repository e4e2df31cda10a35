//! What a broker's error is in gRPC: the only place that knows the codes.

use tonic::{Code, Status};

use crate::broker::BrokerError;

/// The status of an error.
#[must_use]
pub fn status(error: BrokerError) -> Status {
    let code = match &error {
        BrokerError::Unauthenticated => Code::Unauthenticated,
        BrokerError::Denied { .. } => Code::PermissionDenied,
        BrokerError::NotFound { .. } => Code::NotFound,
        BrokerError::Invalid(_) => Code::InvalidArgument,
        BrokerError::Stale { .. } => Code::Aborted,
        BrokerError::NameTaken { .. } => Code::AlreadyExists,
        BrokerError::Precondition { .. } | BrokerError::Upstream(_) => Code::FailedPrecondition,
        BrokerError::Exhausted { .. } => Code::ResourceExhausted,
        BrokerError::Unavailable { .. } => Code::Unavailable,
        BrokerError::DataLoss { .. } => Code::DataLoss,
        BrokerError::Internal { .. } => Code::Internal,
    };
    Status::new(code, error.to_string())
}

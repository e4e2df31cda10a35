//! placeholder until the daemon branch lands
use crate::broker::BrokerError;
/// status
pub fn status(_: BrokerError) -> tonic::Status {
    tonic::Status::internal("")
}

//! Whoever asked for a rotation must still be allowed it when the new key
//! takes the place of the old one: making and verifying it takes minutes.
//!
//! Otherwise the new key is taken back, and what is stored stays.

use crate::authz::{Decision, Question, Target, decide};
use crate::broker::BrokerError;
use crate::connectors::MadeKey;

use super::Rotation;

impl Rotation {
    /// Goes on only for a caller that is there and may rotate this connector.
    pub(super) async fn still_allowed(&mut self, made: &MadeKey) -> Result<(), BrokerError> {
        let permission = self.permit.permission();
        let target = Target::about(permission, self.call.project(), Some(self.connector.id), None);
        let question = Question { permission, target, wish: None };
        let why = match self.broker.caller_again(&self.call.caller.token).await {
            Ok(caller) => match decide(&caller.subject, &question, self.broker.clock.now()) {
                Decision::Allow(_) => return Ok(()),
                Decision::Deny(_) => "who asked for it may not rotate any more".to_owned(),
            },
            Err(error) => format!("who asked for it is not let in any more: {error}"),
        };
        Err(self.take_back(made, "switching to the new key", &why).await)
    }
}

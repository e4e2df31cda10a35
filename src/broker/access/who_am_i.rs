//! Who is calling, and what it holds. The cheapest call there is: nothing is
//! read from the store.

use std::sync::Arc;

use crate::authz::Permission;

use super::super::{Broker, BrokerError, Call, CallerFacts};

impl Broker {
    /// The caller as it was authenticated.
    ///
    /// # Errors
    /// `Denied` never happens to an authenticated caller.
    pub async fn who_am_i(&self, call: &Call) -> Result<Arc<CallerFacts>, BrokerError> {
        self.permit(call, Permission::Own).await?;
        Ok(Arc::clone(&call.caller))
    }
}

//! List users and service accounts, and find one by what somebody wrote.

use crate::authz::Permission;
use crate::domain::{Page, PageAsk, Principal, PrincipalKind};

use super::super::{Broker, BrokerError, Call};

impl Broker {
    /// Lists users and service accounts by name.
    ///
    /// # Errors
    /// `Denied`; `Unavailable`.
    pub async fn list_principals(
        &self,
        call: &Call,
        kind: Option<PrincipalKind>,
        page: &PageAsk,
    ) -> Result<Page<Principal>, BrokerError> {
        self.permit(call, Permission::PrincipalsList).await?;
        let found = self.store.principals(call.project(), kind, page).await;
        found.map_err(|error| BrokerError::of("principal", &error))
    }

    /// A principal of the caller's project by name, id or unique prefix of
    /// the id. The caller must have been allowed to know of it.
    pub(in crate::broker) async fn principal_named(&self, call: &Call, text: &str) -> Result<Principal, BrokerError> {
        let found = self.store.resolve_principal(call.project(), text).await;
        found.map_err(|error| BrokerError::of("principal", &error))
    }
}

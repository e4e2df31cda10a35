//! The catalog of connector types, as each describes itself.

use crate::authz::Permission;
use crate::connectors::{CATALOG, find};
pub use crate::connectors::{MethodDescription, ResourceDescription, TypeDescription};
use crate::domain::ConnectorTypeName;

use super::{Broker, BrokerError, Call};

impl Broker {
    /// Every connector type, by name.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn list_connector_types(&self, call: &Call) -> Result<Vec<&'static TypeDescription>, BrokerError> {
        self.permit(call, Permission::ConnectorTypesRead).await?;
        let mut all: Vec<_> = CATALOG.iter().map(|kind| kind.description()).collect();
        all.sort_by_key(|description| description.name);
        Ok(all)
    }

    /// One connector type.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn describe_connector_type(
        &self,
        call: &Call,
        name: &str,
    ) -> Result<&'static TypeDescription, BrokerError> {
        self.permit(call, Permission::ConnectorTypesRead).await?;
        let name = ConnectorTypeName::parse(name).ok();
        let found = name.and_then(|name| find(name.as_str())).map(|kind| kind.description());
        found.ok_or(BrokerError::NotFound { noun: "connector type" })
    }
}

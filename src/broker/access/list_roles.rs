//! List the built-in roles and what each allows.

use crate::authz::{Permission, permissions_of, summary_of};
use crate::domain::Role;

use super::super::{Broker, BrokerError, Call};

/// A role, for people.
#[derive(Debug, Clone)]
pub struct RoleSeen {
    /// The role.
    pub role: Role,
    /// One line about it.
    pub summary: &'static str,
    /// What it allows.
    pub permissions: &'static [Permission],
}

impl Broker {
    /// Lists the built-in roles.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn list_roles(&self, call: &Call) -> Result<Vec<RoleSeen>, BrokerError> {
        self.permit(call, Permission::RolesList).await?;
        let seen = |role| RoleSeen { role, summary: summary_of(role), permissions: permissions_of(role) };
        Ok(Role::ALL.into_iter().map(seen).collect())
    }
}

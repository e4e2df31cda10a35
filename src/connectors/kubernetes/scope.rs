//! A narrowed ask: whose token, and for whom. Decided without asking the
//! cluster; what the account may do there is the cluster's RBAC.

use serde::{Deserialize, Serialize};

use crate::connectors::Ask;
use crate::domain::{AccessLevel, Downscope, EnforcedScope, FieldError};

use super::ids::{self, Account, USER_PREFIX};
use super::settings::Cluster;

/// The parameter that names an audience.
pub const AUDIENCE: &str = "audience";

/// All that a mint needs to know, and the key of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Canonical.
    pub resource: String,
    /// The access level.
    pub access: AccessLevel,
    /// NAMESPACE/SERVICE_ACCOUNT whose token it is.
    pub service_account: String,
    /// For whom; the API server itself otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

impl Scope {
    /// The account, taken apart.
    pub fn account(&self) -> Option<Account> {
        Account::parse(&self.service_account)
    }
}

/// Narrows an ask; see `ConnectorType::narrow`. The account is the one of the
/// level that was asked for: an id that names another is refused, though it be
/// the account of a lower level, because it is not what was asked for.
pub fn narrow(cluster: &Cluster, ask: &Ask) -> Result<Scope, FieldError> {
    if ask.resource_type.as_str() != ids::KUBERNETES_CLUSTER {
        return Err(FieldError::new("resource_type", "must be kubernetes-cluster"));
    }
    let (resource, access) = (ask.resource.as_str(), ask.access);
    let named = ids::narrowed(cluster, resource)
        .ok_or_else(|| FieldError::new("resource_id", "is not a canonical id of this connector's cluster"))?;
    let account = cluster.account(access).ok_or_else(|| {
        FieldError::new("access", format!("no service account is set for {access}; see settings.service_accounts"))
    })?;
    if named.is_some_and(|named| named != account) {
        let problem = format!("the connector's service account for {access} is another one");
        return Err(FieldError::new("resource_id", problem));
    }
    let audience = ask.parameters.get(AUDIENCE).cloned();
    if let Some(wanted) = &audience
        && !cluster.audiences.contains(wanted)
    {
        let problem = "is none of the connector's audiences; see settings.audiences";
        return Err(FieldError::new(format!("parameters.{AUDIENCE}"), problem));
    }
    Ok(Scope { resource: resource.to_owned(), access, service_account: account.to_string(), audience })
}

/// What the cluster will enforce; see `ConnectorType::enforced`.
pub fn enforced(cluster: &Cluster, scope: &Scope) -> EnforcedScope {
    let user = scope.account().map(|account| account.user()).unwrap_or_default();
    let audience = match &scope.audience {
        Some(audience) => format!(", for {audience} alone"),
        None => String::new(),
    };
    let insecure = if cluster.insecure { "; the API server's certificate was NOT verified" } else { "" };
    let words = format!(
        "{} {}: as {user}{audience}, whose RBAC in the cluster decides the rest{insecure}",
        scope.resource, scope.access
    );
    EnforcedScope { words, downscope: Downscope::Resource }
}

/// The account that words of [`enforced`] name: it stays what it was when the
/// settings change.
pub fn account_in(words: &str) -> Option<Account> {
    let from = words.find(USER_PREFIX)?;
    let user = words.get(from..)?.split([',', ' ']).next()?;
    Account::parse_user(user)
}

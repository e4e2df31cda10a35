//! Resource ids: `CLUSTER`, and `CLUSTER/NAMESPACE/SERVICE_ACCOUNT` within it.
//!
//! The name of the cluster is always part of the id, so that an id means one
//! thing whatever connector it is used with, and a cluster holds exactly its
//! own accounts. Two parts are NAMESPACE/SERVICE_ACCOUNT of the connector's
//! cluster; they are never canonical.

use std::fmt;

use crate::domain::{FieldError, ResourceId, ResourceTypeName};

use super::settings::Cluster;

/// The one resource type.
pub const KUBERNETES_CLUSTER: &str = "kubernetes-cluster";
/// How the API server calls a service account.
pub const USER_PREFIX: &str = "system:serviceaccount:";

/// A label of DNS (RFC 1123), as namespaces are.
const LABEL_LENGTH_MAX: usize = 63;
/// A name of DNS, as service accounts are.
const NAME_LENGTH_MAX: usize = 253;
/// Long enough for what people and clouds call clusters.
const CLUSTER_LENGTH_MAX: usize = 100;

const FORM: &str = "must be CLUSTER, NAMESPACE/SERVICE_ACCOUNT or CLUSTER/NAMESPACE/SERVICE_ACCOUNT, with the \
                    connector's own cluster_name";

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl Account {
    /// Takes `NAMESPACE/SERVICE_ACCOUNT` apart.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let fits = label(namespace) && name.len() <= NAME_LENGTH_MAX && name.split('.').all(label);
        fits.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// Takes `system:serviceaccount:NAMESPACE:NAME` apart.
    pub fn parse_user(text: &str) -> Option<Self> {
        Self::parse(&text.strip_prefix(USER_PREFIX)?.replacen(':', "/", 1))
    }

    /// As the API server calls it.
    pub fn user(&self) -> String {
        format!("{USER_PREFIX}{}:{}", self.namespace, self.name)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    text.len() <= LABEL_LENGTH_MAX && edge(bytes.first()) && edge(bytes.last()) && inner
}

/// Whether this can be what a cluster is called here.
pub fn cluster_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    text.len() <= CLUSTER_LENGTH_MAX && first && text.bytes().all(letter)
}

/// The id of an account in this cluster.
pub fn of_account(cluster: &Cluster, account: &Account) -> String {
    format!("{}/{account}", cluster.cluster_name)
}

/// The account that a canonical id of this cluster narrows to: none when it is
/// the whole cluster.
pub fn narrowed(cluster: &Cluster, id: &str) -> Option<Option<Account>> {
    let rest = id.strip_prefix(cluster.cluster_name.as_str())?;
    if rest.is_empty() {
        return Some(None);
    }
    Account::parse(rest.strip_prefix('/')?).map(Some)
}

/// The canonical form of what somebody sent; see `ConnectorType::canonical`.
pub fn canonical(
    cluster: &Cluster,
    resource_type: &ResourceTypeName,
    raw: Option<&str>,
) -> Result<ResourceId, FieldError> {
    if resource_type.as_str() != KUBERNETES_CLUSTER {
        return Err(FieldError::new("resource_type", "must be kubernetes-cluster"));
    }
    let whole = &cluster.cluster_name;
    let Some(raw) = raw else {
        return ResourceId::canonical(whole);
    };
    let account = Account::parse_user(raw).or_else(|| Account::parse(raw));
    let id = account.map_or_else(|| raw.to_owned(), |account| of_account(cluster, &account));
    match narrowed(cluster, &id) {
        Some(_) => ResourceId::canonical(id),
        None => Err(FieldError::new("resource_id", FORM)),
    }
}

/// Whether `inner` lies within `outer`: itself, or an account of the cluster.
pub fn contains(outer: &ResourceId, inner: &ResourceId) -> bool {
    let below = inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'));
    outer == inner || below
}

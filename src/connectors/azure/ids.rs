//! Resource ids: every accepted spelling is read once at the door, and one
//! canonical spelling is kept.
//!
//! Azure compares names of resource groups, clusters and registries without
//! regard to case: canonical ids are in lower case. `az://a/c/train` names the
//! directory `train` of the container and everything below it.
//!
//! Never asks the cloud. A name alone is completed from the settings: what it
//! means must not change with what else there is, and a right is looked up
//! before the source credential is opened for anybody.

use crate::domain::{FieldError, ResourceId, ResourceTypeName};

use super::place::Cloud;
use super::settings::{Common, Settings};
use super::settings_check::guid;

/// Everything of a subscription.
pub const GENERIC: &str = "azure-generic";
/// Blob containers.
pub const BLOB_CONTAINER: &str = "blob-container";
/// AKS clusters.
pub const KUBERNETES_CLUSTER: &str = "kubernetes-cluster";
/// Registries.
pub const DOCKER_REGISTRY: &str = "docker-registry";

/// The longest name of a blob, in bytes.
const BLOB_LENGTH_MAX: usize = 1024;
/// The deepest directory of a hierarchical namespace.
const DEPTH_MAX: usize = 63;
/// Letters of a directory that people use and that no URL or shell reads as
/// anything else.
const DIRECTORY_LETTERS: &[u8] = b"!_.'()&@=;:+, ~-";

/// A resource, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything that the principal may do.
    Generic {
        /// A GUID.
        subscription: String,
    },
    /// A container, or a directory of it.
    Container {
        /// The storage account.
        account: String,
        /// The container.
        container: String,
        /// With no slash at either end.
        directory: Option<String>,
    },
    /// An AKS cluster.
    Cluster {
        /// Its resource group.
        group: String,
        /// Its name.
        cluster: String,
    },
    /// A registry, or one repository of it.
    Registry {
        /// Its login server.
        host: String,
        /// The repository.
        repository: Option<String>,
    },
}

impl Target {
    /// The canonical id.
    pub fn id(&self) -> String {
        match self {
            Self::Generic { subscription } => subscription.clone(),
            Self::Container { account, container, directory } => {
                join(format!("az://{account}/{container}"), directory.as_deref())
            }
            Self::Cluster { group, cluster } => format!("{group}/{cluster}"),
            Self::Registry { host, repository } => join(host.clone(), repository.as_deref()),
        }
    }

    /// Takes a canonical id apart.
    pub fn parse(resource_type: &str, id: &str) -> Option<Self> {
        let target = match resource_type {
            GENERIC => guid(id).then(|| Self::Generic { subscription: id.to_owned() })?,
            BLOB_CONTAINER => {
                let (account, path) = id.strip_prefix("az://")?.split_once('/')?;
                container(account, path)?
            }
            KUBERNETES_CLUSTER => cluster(id.split_once('/')?)?,
            DOCKER_REGISTRY => {
                [Cloud::Public, Cloud::China, Cloud::UsGov].into_iter().find_map(|cloud| registry(cloud, id))?
            }
            _ => return None,
        };
        // Only what this very parser writes is canonical.
        if target.id() == id { Some(target) } else { None }
    }
}

fn join(head: String, tail: Option<&str>) -> String {
    match tail {
        Some(tail) => format!("{head}/{tail}"),
        None => head,
    }
}

/// The canonical form of what somebody sent; see `ConnectorType::canonical`.
pub fn canonical(
    settings: &Settings,
    resource_type: &ResourceTypeName,
    raw: Option<&str>,
) -> Result<ResourceId, FieldError> {
    let common = settings.common();
    let target = match resource_type.as_str() {
        GENERIC => generic(&common, raw),
        BLOB_CONTAINER => raw.and_then(|raw| any_container(&common, raw)).ok_or(match raw {
            Some(raw) if common.storage_account.is_none() && container_alone(raw) => CONTAINER_ALONE,
            Some(_) | None => CONTAINER_FORM,
        }),
        KUBERNETES_CLUSTER => raw.and_then(|raw| any_cluster(&common, raw)).ok_or(match raw {
            Some(raw) if common.resource_group.is_none() && !raw.contains('/') => CLUSTER_ALONE,
            Some(_) | None => CLUSTER_FORM,
        }),
        DOCKER_REGISTRY => raw.and_then(|raw| any_registry(&common, raw)).ok_or(REGISTRY_FORM),
        _ => {
            let known = "one of azure-generic, blob-container, kubernetes-cluster, docker-registry";
            return Err(FieldError::new("resource_type", known));
        }
    };
    let target = target.map_err(|problem| FieldError::new("resource_id", problem))?;
    ResourceId::canonical(target.id())
}

/// Whether `inner` lies within `outer`, at a boundary of segments.
pub fn contains(resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
    let below = inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let nested = matches!(resource_type.as_str(), BLOB_CONTAINER | DOCKER_REGISTRY);
    outer == inner || (nested && below)
}

const CONTAINER_FORM: &str = "must be az://ACCOUNT/CONTAINER[/DIRECTORY], abfss://CONTAINER@ACCOUNT.dfs.DOMAIN[/DIRECTORY], \
     https://ACCOUNT.blob.DOMAIN/CONTAINER[/DIRECTORY], or az://CONTAINER when the connector has a storage_account, \
     in the connector's account and cloud";
const CONTAINER_ALONE: &str = "does not say which storage account: write az://ACCOUNT/CONTAINER, as `connector \
     list-resources` shows it, or set the connector's: `connector update NAME --set storage_account=ACCOUNT`";
const CLUSTER_ALONE: &str = "does not say which resource group: write RESOURCE_GROUP/CLUSTER, as `connector \
     list-resources` shows it, or set the connector's: `connector update NAME --set resource_group=RESOURCE_GROUP`";
const SUBSCRIPTION_NAMED: &str = "must be a subscription by its id, a GUID, as `connector list-resources` shows it; names \
     are taken when the connector has subscription_id and subscription_name: `connector update NAME --set \
     subscription_id=GUID --set subscription_name=NAME`";
const CLUSTER_FORM: &str = "must be RESOURCE_GROUP/CLUSTER, CLUSTER when the connector has a resource_group, or the ARM \
     id of a cluster in the connector's subscription";
const REGISTRY_FORM: &str = "must be NAME.azurecr.io[/REPOSITORY], with the domain of the connector's cloud, or NAME";

fn generic(common: &Common<'_>, raw: Option<&str>) -> Result<Target, &'static str> {
    let subscription = match (raw, common.subscription_id) {
        (None, None) => return Err("name the subscription: these settings do not"),
        (None, Some(own)) => own.to_owned(),
        (Some(raw), Some(own)) if common.subscription_name == Some(raw) => own.to_owned(),
        (Some(raw), own) => {
            let id = raw.strip_prefix("/subscriptions/").unwrap_or(raw).to_ascii_lowercase();
            if !guid(&id) && common.subscription_name.is_none() {
                return Err(SUBSCRIPTION_NAMED);
            }
            if !guid(&id) || own.is_some_and(|own| own != id) {
                return Err("must be the connector's subscription by its id or its subscription_name");
            }
            id
        }
    };
    Ok(Target::Generic { subscription })
}

fn any_container(common: &Common<'_>, raw: &str) -> Option<Target> {
    let domain = common.place.cloud.storage_domain();
    let raw = raw.strip_suffix('/').unwrap_or(raw);
    let target = if let Some(rest) = raw.strip_prefix("az://") {
        match rest.split_once('/') {
            Some((account, path)) => container(account, path)?,
            None => container(common.storage_account?, rest)?,
        }
    } else if let Some(rest) = raw.strip_prefix("abfss://").or_else(|| raw.strip_prefix("abfs://")) {
        match rest.split_once('@') {
            Some((name, rest)) => {
                let (host, directory) = split(rest);
                let account = host.strip_suffix(domain)?.strip_suffix(".dfs.")?;
                container(account, &join(name.to_owned(), directory))?
            }
            None => container(common.storage_account?, rest)?,
        }
    } else if let Some(rest) = raw.strip_prefix("https://") {
        let (host, path) = rest.split_once('/')?;
        let account = host.strip_suffix(domain)?;
        container(account.strip_suffix(".blob.").or_else(|| account.strip_suffix(".dfs."))?, path)?
    } else {
        container(common.storage_account?, raw)?
    };
    let Target::Container { account, .. } = &target else {
        return None;
    };
    common.storage_account.is_none_or(|own| own == account).then_some(target)
}

/// `az://C`, `abfss://C` or `C`: a container without its account.
fn container_alone(raw: &str) -> bool {
    let schemes = ["az://", "abfss://", "abfs://"];
    let rest = schemes.iter().find_map(|scheme| raw.strip_prefix(scheme)).unwrap_or(raw);
    container_name(rest.strip_suffix('/').unwrap_or(rest))
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    }
}

/// `CONTAINER[/DIRECTORY]` of an account, checked.
fn container(account_name: &str, path: &str) -> Option<Target> {
    let (name, directory) = split(path);
    let fits = account(account_name) && container_name(name) && directory.is_none_or(directory_name);
    fits.then(|| Target::Container {
        account: account_name.to_owned(),
        container: name.to_owned(),
        directory: directory.map(str::to_owned),
    })
}

/// Whether this names a storage account.
pub fn account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Lower-case letters and digits, joined inside by single hyphens.
fn container_name(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&name.len()) && name.split('-').all(word)
}

fn directory_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || DIRECTORY_LETTERS.contains(&b);
    // A dot at the end of a segment is dropped by some clients: a second spelling.
    let segment = |part: &str| !part.is_empty() && !part.ends_with('.') && part.bytes().all(letter);
    name.len() <= BLOB_LENGTH_MAX && name.split('/').count() <= DEPTH_MAX && name.split('/').all(segment)
}

fn any_cluster(common: &Common<'_>, raw: &str) -> Option<Target> {
    let raw = raw.to_ascii_lowercase();
    if let Some(rest) = raw.strip_prefix("/subscriptions/") {
        let (subscription, rest) = rest.split_once("/resourcegroups/")?;
        let (group, name) = rest.split_once("/providers/microsoft.containerservice/managedclusters/")?;
        return if common.subscription_id == Some(subscription) { cluster((group, name)) } else { None };
    }
    match raw.split_once('/') {
        Some(pair) => cluster(pair),
        None => cluster((common.resource_group?, &raw)),
    }
}

/// The name's rules are AKS's.
fn cluster((group, name): (&str, &str)) -> Option<Target> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let letters = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(b));
    let fits = resource_group(group) && name.len() <= 63 && letters && edge(bytes.first()) && edge(bytes.last());
    fits.then(|| Target::Cluster { group: group.to_owned(), cluster: name.to_owned() })
}

/// Whether this names a resource group, in lower case.
pub fn resource_group(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.()-".contains(&b));
    (1..=90).contains(&name.len()) && letters && !name.ends_with('.') && name != ".."
}

fn any_registry(common: &Common<'_>, raw: &str) -> Option<Target> {
    let cloud = common.place.cloud;
    let text = raw.strip_prefix("https://").unwrap_or(raw);
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, repository) = split(text);
    let host = host.to_ascii_lowercase();
    // A name alone, and only alone: `a/b` may be anything.
    if repository.is_none() && !host.contains('.') {
        return registry(cloud, &format!("{host}.{}", cloud.registry_domain()));
    }
    registry(cloud, &join(host, repository))
}

fn registry(cloud: Cloud, text: &str) -> Option<Target> {
    let (host, repository) = split(text);
    let name = host.strip_suffix(cloud.registry_domain())?.strip_suffix('.')?;
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let fits = (5..=63).contains(&name.len()) && letters && !name.starts_with('-') && !name.ends_with('-');
    let fits = fits && repository.is_none_or(repository_name);
    fits.then(|| Target::Registry { host: host.to_owned(), repository: repository.map(str::to_owned) })
}

/// The distribution API's rules: segments of lower-case letters and digits,
/// joined inside by `.`, `_`, `__` or hyphens.
fn repository_name(name: &str) -> bool {
    let word = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let segment = |part: &str| {
        let bytes = part.as_bytes();
        word(part) && edge(bytes.first()) && edge(bytes.last()) && !part.contains("..")
    };
    name.len() <= 255 && name.split('/').all(segment)
}

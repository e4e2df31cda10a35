//! Resource ids: each accepted spelling becomes one canonical form at the
//! door, and everything after compares that form only.
//!
//! `gs://b/data` names the object `data` and everything below `data/`; a slash
//! at the end says the same and is dropped. `data2` lies outside.
//!
//! Never asks the cloud. A cluster's name alone is taken with the location of
//! the settings: what it means must not change with what else there is, and a
//! right is looked up before the source credential is opened for anybody.

use crate::domain::{FieldError, ResourceId, ResourceTypeName};

use super::place::{self, Place};

/// The resource types.
pub const GENERIC: &str = "gcp-generic";
/// Buckets.
pub const GCS_BUCKET: &str = "gcs-bucket";
/// Clusters.
pub const KUBERNETES_CLUSTER: &str = "kubernetes-cluster";
/// Registries.
pub const DOCKER_REGISTRY: &str = "docker-registry";

/// The longest object name of Cloud Storage, in bytes.
const KEY_LENGTH_MAX: usize = 1024;
/// Letters of a prefix that people use and that no condition, URL or shell
/// reads as anything else. A quote or backslash would end the condition's text.
const PREFIX_LETTERS: &[u8] = b"!_.()&@=;:+, ~-";
/// The hosts of Container Registry, and where Artifact Registry keeps what is
/// pushed there.
const LEGACY_HOSTS: [(&str, &str); 4] =
    [("gcr.io", "us"), ("us.gcr.io", "us"), ("eu.gcr.io", "europe"), ("asia.gcr.io", "asia")];
/// The end of Artifact Registry's hosts.
const REGISTRY_TAIL: &str = "-docker.pkg.dev";

/// A resource, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything of a project.
    Generic {
        /// Its id.
        project: String,
    },
    /// A bucket, or what lies under a prefix of it.
    Bucket {
        /// Its name.
        bucket: String,
        /// With no slash at either end.
        prefix: Option<String>,
    },
    /// A GKE cluster.
    Cluster {
        /// A region or zone.
        location: String,
        /// Its name.
        cluster: String,
    },
    /// A repository of Artifact Registry.
    Repository {
        /// A region or multi-region.
        location: String,
        /// The project's id.
        project: String,
        /// Its name.
        repository: String,
    },
    /// A host of Container Registry, in a project.
    Legacy {
        /// For example `eu.gcr.io`.
        host: &'static str,
        /// Where Artifact Registry keeps it.
        location: &'static str,
        /// The project's id.
        project: String,
    },
}

impl Target {
    /// The canonical id.
    pub fn id(&self) -> String {
        match self {
            Self::Generic { project } => project.clone(),
            Self::Bucket { bucket, prefix: Some(prefix) } => format!("gs://{bucket}/{prefix}"),
            Self::Bucket { bucket, prefix: None } => format!("gs://{bucket}"),
            Self::Cluster { location, cluster } => format!("{location}/{cluster}"),
            Self::Repository { location, project, repository } => {
                format!("{location}{REGISTRY_TAIL}/{project}/{repository}")
            }
            Self::Legacy { host, project, .. } => format!("{host}/{project}"),
        }
    }

    /// Takes a canonical id apart.
    pub fn parse(resource_type: &str, id: &str) -> Option<Self> {
        let target = match resource_type {
            GENERIC if place::project(id) => Self::Generic { project: id.to_owned() },
            GCS_BUCKET => bucket(id.strip_prefix("gs://")?)?,
            KUBERNETES_CLUSTER => cluster(id.split_once('/')?)?,
            DOCKER_REGISTRY => registry(id)?,
            _ => return None,
        };
        // Only what this very parser writes is canonical.
        if target.id() == id { Some(target) } else { None }
    }
}

/// The canonical form of what somebody sent; see `ConnectorType::canonical`.
pub fn canonical(
    place: &Place<'_>,
    resource_type: &ResourceTypeName,
    raw: Option<&str>,
) -> Result<ResourceId, FieldError> {
    let target = match resource_type.as_str() {
        GENERIC => generic(place, raw),
        GCS_BUCKET => raw.and_then(any_bucket).ok_or(BUCKET_FORM),
        KUBERNETES_CLUSTER => raw.and_then(|raw| any_cluster(place, raw)).ok_or(match raw {
            Some(raw) if place.location.is_none() && place::name(raw) => CLUSTER_ALONE,
            Some(_) | None => CLUSTER_FORM,
        }),
        DOCKER_REGISTRY => raw.and_then(|raw| any_registry(place, raw)).ok_or(REGISTRY_FORM),
        _ => {
            return Err(FieldError::new(
                "resource_type",
                "one of gcp-generic, gcs-bucket, kubernetes-cluster, docker-registry",
            ));
        }
    };
    let target = target.map_err(|problem| FieldError::new("resource_id", problem))?;
    ResourceId::canonical(target.id())
}

/// Whether `inner` lies within `outer`, at a boundary of segments.
pub fn contains(resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
    let below = inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'));
    outer == inner || (resource_type.as_str() == GCS_BUCKET && below)
}

const BUCKET_FORM: &str = "must be gs://BUCKET[/PREFIX] or BUCKET; a prefix has no empty, . or .. segment and only \
     letters, digits and any of !_.()&@=;:+, ~-";
const CLUSTER_FORM: &str = "must be LOCATION/CLUSTER, projects/PROJECT/locations/LOCATION/clusters/CLUSTER with the \
     connector's project, or CLUSTER when the connector's settings say the location";
const CLUSTER_ALONE: &str = "does not say where the cluster is: write LOCATION/CLUSTER, for example europe-west4/train, as \
     `connector list-resources` shows it, or set the connector's location: `connector update NAME --set location=LOCATION`";
const REGISTRY_FORM: &str = "must be LOCATION-docker.pkg.dev/PROJECT/REPOSITORY, [us.|eu.|asia.]gcr.io/PROJECT or \
     projects/PROJECT/locations/LOCATION/repositories/REPOSITORY, with the connector's project";

fn generic(place: &Place<'_>, raw: Option<&str>) -> Result<Target, &'static str> {
    let own = raw.is_none_or(|raw| raw.strip_prefix("projects/").unwrap_or(raw) == place.project);
    if own { Ok(Target::Generic { project: place.project.to_owned() }) } else { Err("must be the connector's project") }
}

fn any_bucket(raw: &str) -> Option<Target> {
    match raw.strip_prefix("gs://") {
        Some(path) => bucket(path.strip_suffix('/').unwrap_or(path)),
        None if raw.contains(['/', ':']) => None,
        None => bucket(raw),
    }
}

/// `BUCKET[/PREFIX]`, checked.
fn bucket(path: &str) -> Option<Target> {
    let (name, prefix) = match path.split_once('/') {
        Some((name, prefix)) => (name, Some(prefix)),
        None => (path, None),
    };
    let fits = bucket_name(name) && prefix.is_none_or(key_prefix);
    fits.then(|| Target::Bucket { bucket: name.to_owned(), prefix: prefix.map(str::to_owned) })
}

/// The naming rules of Cloud Storage: with dots up to 222 letters, each part
/// at most 63.
fn bucket_name(name: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let parts = name.split('.').all(|part| (1..=63).contains(&part.len()));
    let address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    (3..=222).contains(&name.len())
        && bytes.iter().all(letter)
        && edge(bytes.first())
        && edge(bytes.last())
        && parts
        && !address
}

fn key_prefix(prefix: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || PREFIX_LETTERS.contains(&b);
    let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(letter);
    prefix.len() <= KEY_LENGTH_MAX && prefix.split('/').all(segment)
}

fn any_cluster(place: &Place<'_>, raw: &str) -> Option<Target> {
    match raw.split('/').collect::<Vec<_>>().as_slice() {
        [name] => cluster((place.location?, name)),
        [location, name] => cluster((location, name)),
        ["projects", project, "locations" | "zones", location, "clusters", name] if *project == place.project => {
            cluster((location, name))
        }
        _ => None,
    }
}

fn cluster((location, name): (&str, &str)) -> Option<Target> {
    let fits = place::location(location) && place::name(name);
    fits.then(|| Target::Cluster { location: location.to_owned(), cluster: name.to_owned() })
}

fn any_registry(place: &Place<'_>, raw: &str) -> Option<Target> {
    let text = match raw.split('/').collect::<Vec<_>>().as_slice() {
        ["projects", project, "locations", location, "repositories", name] => repository_id(project, location, name),
        _ => raw.strip_prefix("https://").unwrap_or(raw).trim_end_matches('/').to_owned(),
    };
    let target = registry(&text)?;
    let (Target::Repository { project, .. } | Target::Legacy { project, .. }) = &target else {
        return None;
    };
    (project == place.project).then_some(target)
}

/// The id of a repository by the parts of its name at Artifact Registry. What
/// was pushed to Container Registry has a repository named like the host.
pub fn repository_id(project: &str, location: &str, name: &str) -> String {
    match LEGACY_HOSTS.iter().find(|(host, _)| *host == name) {
        Some((host, _)) => format!("{host}/{project}"),
        None => format!("{location}{REGISTRY_TAIL}/{project}/{name}"),
    }
}

fn registry(text: &str) -> Option<Target> {
    let mut parts = text.split('/');
    let (host, project) = (parts.next()?, parts.next()?);
    let (repository, end) = (parts.next(), parts.next());
    if end.is_some() || !place::project(project) {
        return None;
    }
    if let Some((host, location)) = LEGACY_HOSTS.iter().find(|(legacy, _)| *legacy == host) {
        return repository.is_none().then(|| Target::Legacy { host, location, project: project.to_owned() });
    }
    let (location, repository) = (host.strip_suffix(REGISTRY_TAIL)?, repository?);
    let fits = place::location(location) && place::name(repository);
    fits.then(|| Target::Repository {
        location: location.to_owned(),
        project: project.to_owned(),
        repository: repository.to_owned(),
    })
}

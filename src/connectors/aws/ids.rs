//! Resource ids: each accepted spelling becomes one canonical form at the
//! door, and everything after compares that form only.
//!
//! `s3://b/data` names the object `data` and everything below `data/`; a slash
//! at the end says the same and is dropped. `data2` lies outside.

use crate::domain::{FieldError, ResourceId, ResourceTypeName};

use super::place::{self, Place};
use super::settings::Settings;

/// The resource types.
pub const GENERIC: &str = "aws-generic";
/// Buckets.
pub const S3_BUCKET: &str = "s3-bucket";
/// Clusters.
pub const KUBERNETES_CLUSTER: &str = "kubernetes-cluster";
/// Registries.
pub const DOCKER_REGISTRY: &str = "docker-registry";

/// The longest key of S3, in bytes.
const KEY_LENGTH_MAX: usize = 1024;
/// Letters of a prefix that people use and that no policy, URL or shell reads
/// as anything else. Wildcards and `${}` would widen a policy.
const PREFIX_LETTERS: &[u8] = b"!_.'()&@=;:+, ~-";

/// A resource, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything of an account, in a region.
    Generic {
        /// For example `us-east-1`.
        region: String,
    },
    /// A bucket, or what lies under a prefix of it.
    Bucket {
        /// Its name.
        bucket: String,
        /// With no slash at either end.
        prefix: Option<String>,
    },
    /// An EKS cluster.
    Cluster {
        /// For example `us-east-1`.
        region: String,
        /// Its name.
        cluster: String,
    },
    /// An ECR registry, or one repository of it.
    Registry {
        /// Twelve digits.
        account: String,
        /// For example `us-east-1`.
        region: String,
        /// `amazonaws.com`, or that of China.
        domain: String,
        /// Its name.
        repository: Option<String>,
    },
}

impl Target {
    /// The canonical id.
    pub fn id(&self) -> String {
        match self {
            Self::Generic { region } => region.clone(),
            Self::Bucket { bucket, prefix } => join(format!("s3://{bucket}"), prefix.as_deref()),
            Self::Cluster { region, cluster } => format!("{region}/{cluster}"),
            Self::Registry { account, region, domain, repository } => {
                join(format!("{account}.dkr.ecr.{region}.{domain}"), repository.as_deref())
            }
        }
    }

    /// Takes a canonical id apart.
    pub fn parse(resource_type: &str, id: &str) -> Option<Self> {
        let target = match resource_type {
            GENERIC => Self::Generic { region: id.to_owned() },
            S3_BUCKET => bucket(id.strip_prefix("s3://")?)?,
            KUBERNETES_CLUSTER => cluster(id.split_once('/')?)?,
            DOCKER_REGISTRY => registry(id)?,
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
    let place = settings.place();
    let target = match resource_type.as_str() {
        GENERIC => generic(&place, raw),
        S3_BUCKET => raw.and_then(|raw| any_bucket(&place, raw)).ok_or(BUCKET_FORM),
        KUBERNETES_CLUSTER => raw.and_then(|raw| any_cluster(&place, raw)).ok_or(CLUSTER_FORM),
        DOCKER_REGISTRY => any_registry(settings, &place, raw),
        _ => {
            return Err(FieldError::new(
                "resource_type",
                "one of aws-generic, s3-bucket, kubernetes-cluster, docker-registry",
            ));
        }
    };
    let target = target.map_err(|problem| FieldError::new("resource_id", problem))?;
    ResourceId::canonical(target.id())
}

/// Whether `inner` lies within `outer`, at a boundary of segments.
pub fn contains(resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
    let below = inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let nested = matches!(resource_type.as_str(), S3_BUCKET | DOCKER_REGISTRY);
    outer == inner || (nested && below)
}

const BUCKET_FORM: &str = "must be s3://BUCKET[/PREFIX], arn:PARTITION:s3:::BUCKET[/PREFIX] or BUCKET, in the region's \
     partition; a prefix has no empty, . or .. segment and only letters, digits and any of !_.'()&@=;:+, ~-";
const CLUSTER_FORM: &str = "must be REGION/CLUSTER, CLUSTER or the ARN of a cluster, in the connector's region";
const REGISTRY_FORM: &str = "must be ACCOUNT.dkr.ecr.REGION.amazonaws.com[/REPOSITORY] or the ARN of a repository, \
     in the connector's region and account";

fn generic(place: &Place<'_>, raw: Option<&str>) -> Result<Target, &'static str> {
    if raw.is_none_or(|raw| raw == place.region) {
        Ok(Target::Generic { region: place.region.to_owned() })
    } else {
        Err("must be the connector's region, or nothing")
    }
}

fn any_bucket(place: &Place<'_>, raw: &str) -> Option<Target> {
    let arn = format!("arn:{}:s3:::", place.partition.as_str());
    if let Some(path) = raw.strip_prefix("s3://").or_else(|| raw.strip_prefix(&arn)) {
        bucket(path.strip_suffix('/').unwrap_or(path))
    } else if raw.contains(['/', ':']) {
        None
    } else {
        bucket(raw)
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

/// The general purpose bucket naming rules of S3.
fn bucket_name(name: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let letters = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'.' || *b == b'-');
    let address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    (3..=63).contains(&name.len())
        && letters
        && edge(bytes.first())
        && edge(bytes.last())
        && !["..", ".-", "-."].iter().any(|pair| name.contains(pair))
        && !address
}

fn key_prefix(prefix: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || PREFIX_LETTERS.contains(&b);
    let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(letter);
    prefix.len() <= KEY_LENGTH_MAX && prefix.split('/').all(segment)
}

fn any_cluster(place: &Place<'_>, raw: &str) -> Option<Target> {
    if let Some((_, name)) = own_arn(place, "eks", raw) {
        return cluster((place.region, name.strip_prefix("cluster/")?));
    }
    match raw.split_once('/') {
        Some((region, name)) if region == place.region => cluster((region, name)),
        Some(_) => None,
        None => cluster((place.region, raw)),
    }
}

/// The name's rules are EKS's.
fn cluster((region, name): (&str, &str)) -> Option<Target> {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let fits = place::region(region) && first && letters && name.len() <= 100;
    fits.then(|| Target::Cluster { region: region.to_owned(), cluster: name.to_owned() })
}

fn any_registry(settings: &Settings, place: &Place<'_>, raw: Option<&str>) -> Result<Target, &'static str> {
    let domain = place.partition.domain();
    let whole = |account: &str| format!("{account}.dkr.ecr.{}.{domain}", place.region);
    let text = match (raw, settings.account()) {
        (None, Some(account)) => whole(account),
        (None, None) => return Err("name the registry: these settings do not say the account"),
        (Some(raw), _) => match own_arn(place, "ecr", raw) {
            Some((account, name)) => join(whole(account), Some(name.strip_prefix("repository/").ok_or(REGISTRY_FORM)?)),
            None => raw.strip_prefix("https://").unwrap_or(raw).trim_end_matches('/').to_owned(),
        },
    };
    let target = registry(&text).ok_or(REGISTRY_FORM)?;
    let Target::Registry { account, region, domain: given, .. } = &target else {
        return Err(REGISTRY_FORM);
    };
    let own = region == place.region && given == domain && settings.account().is_none_or(|own| own == account);
    if own { Ok(target) } else { Err(REGISTRY_FORM) }
}

fn registry(text: &str) -> Option<Target> {
    let (host, repository) = match text.split_once('/') {
        Some((host, repository)) => (host, Some(repository)),
        None => (text, None),
    };
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let (region, domain) = rest.split_once('.')?;
    let fits = place::account(account)
        && place::region(region)
        && domain == place::Partition::of_region(region).domain()
        && repository.is_none_or(repository_name);
    fits.then(|| Target::Registry {
        account: account.to_owned(),
        region: region.to_owned(),
        domain: domain.to_owned(),
        repository: repository.map(str::to_owned),
    })
}

/// ECR's rules: segments of lower-case letters and digits, joined inside by
/// single `.`, `_` or `-`.
fn repository_name(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let segment = |part: &str| part.split(['.', '_', '-']).all(word);
    (2..=256).contains(&name.len()) && name.split('/').all(segment)
}

/// The account and the rest of an ARN of this service in this place.
fn own_arn<'a>(place: &Place<'_>, service: &str, raw: &'a str) -> Option<(&'a str, &'a str)> {
    let head = format!("arn:{}:{service}:{}:", place.partition.as_str(), place.region);
    let (account, rest) = raw.strip_prefix(&head)?.split_once(':')?;
    place::account(account).then_some((account, rest))
}

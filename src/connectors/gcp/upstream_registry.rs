//! Artifact Registry: which repositories of containers there are, location by
//! location, because it lists no others.

use serde::Deserialize;

use crate::connectors::{Doing, Upstream, UpstreamError};

use super::errors;
use super::ids;
use super::place::{Place, Service};
use super::upstream_storage::page_query;

/// What Artifact Registry takes for one page.
const PAGE_MAX: usize = 1000;
/// Pages of locations; there are some fifty locations.
const LOCATION_PAGES_MAX: usize = 10;

const LOCATING: Doing = Doing {
    permissions: &["artifactregistry.locations.list"],
    remedy: "grant roles/artifactregistry.reader on the project to the identity",
};
const LISTING: Doing = Doing {
    permissions: &["artifactregistry.repositories.list"],
    remedy: "grant roles/artifactregistry.reader on the project to the identity",
};
const LOOKING: Doing = Doing {
    permissions: &["artifactregistry.repositories.get"],
    remedy: "grant roles/artifactregistry.reader on the repository to the identity",
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locations {
    #[serde(default)]
    locations: Vec<Location>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    location_id: String,
}

/// Every location, sorted.
pub async fn locations(upstream: &Upstream, place: &Place<'_>, token: &str) -> Result<Vec<String>, UpstreamError> {
    let (mut all, mut page) = (Vec::new(), None::<String>);
    for _ in 0..LOCATION_PAGES_MAX {
        let path = format!("/v1/projects/{}/locations?pageSize=100{}", place.project, page_query(page.as_deref()));
        let call = errors::get(place.url(Service::ArtifactRegistry, &path), token);
        let found: Locations = errors::ask(upstream, call, LOCATING).await?;
        all.extend(found.locations.into_iter().map(|one| one.location_id).filter(|id| super::place::location(id)));
        page = found.next_page_token.filter(|token| !token.is_empty());
        if page.is_none() {
            break;
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repositories {
    #[serde(default)]
    repositories: Vec<Repository>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    name: String,
    format: Option<String>,
}

/// One page of the container repositories of a location, by their ids.
pub async fn repositories(
    upstream: &Upstream,
    place: &Place<'_>,
    token: &str,
    location: &str,
    page: Option<&str>,
) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    let query = format!("pageSize={PAGE_MAX}{}", page_query(page));
    let path = format!("/v1/projects/{}/locations/{location}/repositories?{query}", place.project);
    let call = errors::get(place.url(Service::ArtifactRegistry, &path), token);
    let found: Repositories = errors::ask(upstream, call, LISTING).await?;
    let containers = found.repositories.into_iter().filter(|one| one.format.as_deref() == Some("DOCKER"));
    let names = containers.filter_map(|one| Some(one.name.rsplit_once('/')?.1.to_owned()));
    let all = names.map(|name| ids::repository_id(place.project, location, &name)).collect();
    Ok((all, found.next_page_token.filter(|token| !token.is_empty())))
}

/// Whether a repository is there and may be looked at.
pub async fn look(
    upstream: &Upstream,
    place: &Place<'_>,
    token: &str,
    location: &str,
    repository: &str,
) -> Result<(), UpstreamError> {
    let path = format!("/v1/projects/{}/locations/{location}/repositories/{repository}", place.project);
    let call = errors::get(place.url(Service::ArtifactRegistry, &path), token);
    let found: Repository = errors::ask(upstream, call, LOOKING).await?;
    if found.format.as_deref() == Some("DOCKER") {
        Ok(())
    } else {
        Err(UpstreamError::Rejected {
            code: "FORMAT".to_owned(),
            remedy: "it is no repository of containers".to_owned(),
        })
    }
}

//! Cloud Storage: which buckets there are, and whether one may be looked at.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::connectors::{Doing, Upstream, UpstreamError};

use super::errors;
use super::place::{Place, Service};

/// What Cloud Storage takes for one page.
const PAGE_MAX: usize = 1000;
/// What is read of a list of buckets.
const LISTED: &str = "items(name),nextPageToken";

const LISTING: Doing = Doing {
    permissions: &["storage.buckets.list"],
    remedy: "grant a role with storage.buckets.list on the project to the identity",
};
const LOOKING: Doing = Doing {
    permissions: &["storage.objects.list"],
    remedy: "grant roles/storage.objectViewer on the bucket to the identity",
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Buckets {
    #[serde(default)]
    items: Vec<Bucket>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

/// One page of bucket names, and where the next begins.
pub async fn buckets(
    upstream: &Upstream,
    place: &Place<'_>,
    token: &str,
    limit: usize,
    page: Option<&str>,
) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let query = format!("project={}&maxResults={limit}&fields={LISTED}{}", place.project, page_query(page));
    let url = place.url(Service::Storage, &format!("/storage/v1/b?{query}"));
    let found: Buckets = errors::ask(upstream, errors::get(url, token), LISTING).await?;
    Ok((found.items.into_iter().map(|bucket| bucket.name).collect(), found.next_page_token))
}

/// Whether a bucket, or what lies below a prefix of it, may be looked at.
pub async fn look(
    upstream: &Upstream,
    place: &Place<'_>,
    token: &str,
    bucket: &str,
    prefix: Option<&str>,
) -> Result<(), UpstreamError> {
    let prefix = prefix.map(|prefix| format!("&prefix={}", encoded(&format!("{prefix}/")))).unwrap_or_default();
    let url = place.url(Service::Storage, &format!("/storage/v1/b/{bucket}/o?maxResults=1{prefix}"));
    errors::ask::<IgnoredAny>(upstream, errors::get(url, token), LOOKING).await.map(drop)
}

/// The next page, in a query.
pub fn page_query(page: Option<&str>) -> String {
    page.map(|page| format!("&pageToken={}", encoded(page))).unwrap_or_default()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

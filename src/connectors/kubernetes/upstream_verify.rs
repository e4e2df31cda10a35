//! Who a source credential is, which accounts it may mint for, and which
//! accounts there are. Rights are asked of the cluster one by one by
//! SelfSubjectAccessReview: nothing is tried out.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use crate::connectors::{CLOUD_ACCEPTED, ListAsk, UpstreamError, Verified, answer};
use crate::domain::{Reach, ResourceId, ResourceTypeName};

use super::ids::{self, Account};
use super::upstream::{Api, Asking};
use super::upstream_token::{on_secrets, on_tokens};

/// Where SelfSubjectReview is, newest first. Servers before 1.26 have none.
const REVIEWS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];
/// Ids in one answer.
const IDS_MAX: usize = 1000;
/// Accounts in one page: a page must stay within the cap of one body.
const PAGE_MAX: usize = 100;
/// For all questions of one verification or list.
const DEADLINE: Duration = Duration::from_secs(15);
/// The longest name that is shown.
const NAME_LENGTH_MAX: usize = 256;
/// The longest mark of a next page; etcd's are well under 1 KiB.
const PAGE_TOKEN_LENGTH_MAX: usize = 4096;
/// Names are all that is wanted of a list.
const NAMES_ONLY: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.9";

/// See `ConnectorType::verify`.
pub async fn verify(api: &Api<'_>, focus: &ListAsk) -> Result<Verified, UpstreamError> {
    let name = who(api).await?;
    let insecure = if api.cluster.insecure { "; INSECURE: its certificate is not verified" } else { "" };
    let identity = format!("{name} at {}{insecure}", api.cluster.address());
    Ok(Verified { identity, reach: vec![rights(api, focus).await?], reason: CLOUD_ACCEPTED })
}

/// See `ConnectorType::list_resources`.
pub async fn list(api: &Api<'_>, ask: &ListAsk) -> Result<Vec<Reach>, UpstreamError> {
    if ask.resource.is_some() {
        return Ok(vec![rights(api, ask).await?]);
    }
    let mut found = Found { ids: Vec::new(), next: ask.page.clone() };
    let outcome = tokio::time::timeout(DEADLINE, pages(api, ask, &mut found)).await;
    let error = outcome.unwrap_or(Err(UpstreamError::DeadlineExceeded)).err();
    if matches!(error, Some(UpstreamError::Denied { .. })) {
        // Who may not list may still mint for those that are set.
        found = Found { ids: api.cluster.accounts().iter().filter_map(|one| id(api, one)).collect(), next: None };
    }
    let errors: Vec<UpstreamError> = error.into_iter().collect();
    Ok(vec![reach(found.ids, &errors, found.next)?])
}

#[derive(Deserialize)]
struct Review {
    status: ReviewStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewStatus {
    user_info: User,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

/// The name that the API server knows the source credential by. An older
/// server says no name, and refuses whoever may not ask before it says that
/// there is nothing to ask. That it takes the credential shows in its answer
/// about a right, which it gives to nobody whom it does not know.
async fn who(api: &Api<'_>) -> Result<String, UpstreamError> {
    for version in REVIEWS {
        let group = format!("authentication.k8s.io/{version}");
        let body = json!({ "apiVersion": group, "kind": "SelfSubjectReview" });
        let answer = api.ask("POST", &format!("/apis/{group}/selfsubjectreviews"), Some(&body)).await?;
        if matches!(answer.status, 403 | 404) {
            continue;
        }
        let review: Review = answer::json(&on_reviews("selfsubjectreviews").done(answer)?)?;
        return known(review.status.user_info.username);
    }
    let anyone = Right { verb: "get", resource: "namespaces", subresource: "", namespace: "", name: "" };
    anyone.held(api).await?;
    Ok("a user that this API server does not name".to_owned())
}

fn known(name: String) -> Result<String, UpstreamError> {
    // A server that does not look at certificates takes their owner for this.
    if name == "system:anonymous" {
        return Err(UpstreamError::CredentialRefused { code: "anonymous".to_owned() });
    }
    let fits = (1..=NAME_LENGTH_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(UpstreamError::BadAnswer { what: "a user with no name" }) }
}

fn on_reviews(resource: &str) -> Asking {
    Asking {
        permission: format!("create {resource}"),
        grant: "bind the cluster role system:basic-user to the source identity".to_owned(),
        absent: "the API server does not serve access reviews; is it a Kubernetes API server?",
    }
}

/// A right, as an access review asks about it.
struct Right<'a> {
    verb: &'static str,
    resource: &'static str,
    subresource: &'static str,
    namespace: &'a str,
    name: &'a str,
}

#[derive(Deserialize)]
struct AccessReview {
    status: AccessStatus,
}

#[derive(Deserialize)]
struct AccessStatus {
    allowed: bool,
}

impl Right<'_> {
    async fn held(&self, api: &Api<'_>) -> Result<bool, UpstreamError> {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": self.verb,
                "group": "",
                "resource": self.resource,
                "subresource": self.subresource,
                "namespace": self.namespace,
                "name": self.name,
            } },
        });
        let answer = api.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Some(&body)).await?;
        let review: AccessReview = answer::json(&on_reviews("selfsubjectaccessreviews").done(answer)?)?;
        Ok(review.status.allowed)
    }
}

/// For which accounts the source credential may mint.
async fn rights(api: &Api<'_>, focus: &ListAsk) -> Result<Reach, UpstreamError> {
    let named = focus.resource.as_ref().map(|resource| ids::narrowed(api.cluster, resource.as_str()));
    let accounts = match named {
        Some(Some(Some(account))) => vec![account],
        Some(Some(None)) | None => api.cluster.accounts(),
        Some(None) => return Err(UpstreamError::StoredSettings),
    };
    let (mut usable, mut errors) = (Vec::new(), Vec::new());
    for account in &accounts {
        let outcome = tokio::time::timeout(DEADLINE, missing(api, account)).await;
        match outcome.unwrap_or(Err(UpstreamError::DeadlineExceeded)) {
            Ok(lacking) if lacking.is_empty() => usable.extend(id(api, account)),
            Ok(lacking) => errors.extend(lacking.iter().map(|asking| asking.denied("RBAC".to_owned()))),
            Err(error) => errors.push(error),
        }
    }
    let whole = (named_whole(focus, api) && !usable.is_empty()).then(|| api.cluster.cluster_name.clone());
    let whole = whole.and_then(|name| ResourceId::canonical(name).ok());
    reach(whole.into_iter().chain(usable).collect(), &errors, None)
}

fn named_whole(focus: &ListAsk, api: &Api<'_>) -> bool {
    focus.resource.as_ref().is_none_or(|resource| resource.as_str() == api.cluster.cluster_name)
}

/// The rights that minting for this account needs and that are not held.
async fn missing(api: &Api<'_>, account: &Account) -> Result<Vec<Asking>, UpstreamError> {
    let Account { namespace, name } = account;
    let mut wanted = vec![(
        Right { verb: "create", resource: "serviceaccounts", subresource: "token", namespace, name },
        on_tokens(account),
    )];
    if api.cluster.bind_to_secret {
        let secrets = |verb| Right { verb, resource: "secrets", subresource: "", namespace, name: "" };
        wanted.extend(["create", "delete"].map(|verb| (secrets(verb), on_secrets(verb, namespace))));
    }
    let mut lacking = Vec::new();
    for (right, asking) in wanted {
        if !right.held(api).await? {
            lacking.push(asking);
        }
    }
    Ok(lacking)
}

fn id(api: &Api<'_>, account: &Account) -> Option<ResourceId> {
    ResourceId::canonical(ids::of_account(api.cluster, account)).ok()
}

fn reach(ids: Vec<ResourceId>, errors: &[UpstreamError], next_page: Option<String>) -> Result<Reach, UpstreamError> {
    let mut missing_permissions = Vec::new();
    let mut remedies = Vec::new();
    for error in errors {
        match error {
            UpstreamError::Denied { missing, remedy, .. } => {
                missing_permissions.extend(missing.iter().cloned());
                remedies.push(remedy.as_str());
            }
            UpstreamError::Rejected { remedy, .. } => remedies.push(remedy.as_str()),
            UpstreamError::CredentialRefused { .. }
            | UpstreamError::UsedUp { .. }
            | UpstreamError::InDoubt
            | UpstreamError::PolicyTooLarge { .. }
            | UpstreamError::Expired
            | UpstreamError::Throttled { .. }
            | UpstreamError::Unavailable { .. }
            | UpstreamError::DeadlineExceeded
            | UpstreamError::BadAnswer { .. }
            | UpstreamError::AddressRefused { .. }
            | UpstreamError::NotEnabled { .. }
            | UpstreamError::StoredSettings => {}
        }
    }
    remedies.dedup();
    Ok(Reach {
        resource_type: ResourceTypeName::parse(ids::KUBERNETES_CLUSTER).map_err(|_| UpstreamError::StoredSettings)?,
        resource_ids: ids,
        error: errors.first().map(ToString::to_string),
        missing_permissions,
        remedy: (!remedies.is_empty()).then(|| remedies.join("; ")),
        next_page,
    })
}

/// What was found so far, whatever ends the search.
struct Found {
    ids: Vec<ResourceId>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ListAnswer {
    metadata: ListMetadata,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue", default)]
    next: String,
}

#[derive(Deserialize)]
struct Item {
    metadata: ItemMetadata,
}

#[derive(Deserialize)]
struct ItemMetadata {
    namespace: String,
    name: String,
}

async fn pages(api: &Api<'_>, ask: &ListAsk, found: &mut Found) -> Result<(), UpstreamError> {
    let limit = usize::try_from(ask.limit).unwrap_or(IDS_MAX).clamp(1, IDS_MAX);
    loop {
        let room = limit.saturating_sub(found.ids.len()).min(PAGE_MAX);
        let mark = found.next.take().unwrap_or_default();
        let mark = utf8_percent_encode(&mark, NON_ALPHANUMERIC);
        let path = format!("/api/v1/serviceaccounts?limit={room}&continue={mark}");
        let answer = api.ask_for("GET", &path, None, NAMES_ONLY).await?;
        if answer.status == 410 {
            let remedy = "the list is too old to go on with; list from its start".to_owned();
            return Err(UpstreamError::Rejected { code: "Expired".to_owned(), remedy });
        }
        let page: ListAnswer = answer::json(&listing().done(answer)?)?;
        let next = page.metadata.next;
        if page.items.len() > room || next.len() > PAGE_TOKEN_LENGTH_MAX {
            return Err(UpstreamError::BadAnswer { what: "a longer page than was asked for" });
        }
        let accounts = page
            .items
            .iter()
            .filter_map(|item| Account::parse(&format!("{}/{}", item.metadata.namespace, item.metadata.name)));
        found.ids.extend(accounts.filter_map(|account| id(api, &account)));
        found.next = (!next.is_empty()).then_some(next);
        // A server that sends empty pages for ever ends at the deadline.
        if found.next.is_none() || found.ids.len() >= limit {
            return Ok(());
        }
    }
}

fn listing() -> Asking {
    Asking {
        permission: "list serviceaccounts".to_owned(),
        grant:
            "allow it: kubectl create clusterrole valetkey-list --verb=list --resource=serviceaccounts, and bind it \
                to the source identity; the accounts of the settings can be minted for without it"
                .to_owned(),
        absent: "the API server does not serve service accounts; is it a Kubernetes API server?",
    }
}

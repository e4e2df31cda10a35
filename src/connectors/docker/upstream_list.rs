//! Verifying a login and listing the repositories that it sees.
//!
//! The catalog's pages are followed by their last name alone: a link of the
//! registry's chooses neither host nor path.

use serde::Deserialize;
use url::Url;

use crate::connectors::answer::{json, send};
use crate::connectors::{CLOUD_ACCEPTED, ListAsk, Upstream, UpstreamError, Verified};
use crate::domain::{AccessLevel, Reach, ResourceId, ResourceTypeName};
use crate::outbound::Call;
use crate::sealing::SourceCredential;

use super::challenge::Challenge;
use super::place::repository_name;
use super::scope::{REGISTRY, Scope};
use super::settings::{Login, Settings};
use super::token::{Reading, read};
use super::upstream::{DOING, Registry};

/// The scope of the catalog.
const CATALOG: &str = "registry:catalog:*";
/// The most names of one page.
const PAGE_MAX: u32 = 1000;

#[derive(Deserialize)]
struct Catalog {
    #[serde(default)]
    repositories: Vec<String>,
}

/// Verifies; see `ConnectorType::verify`.
pub async fn verify(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    focus: &ListAsk,
) -> Result<Verified, UpstreamError> {
    let registry = Registry::new(upstream, settings, secret)?;
    match settings.login() {
        Login::Token => {
            registry.token(None).await?;
        }
        Login::Basic => match registry.challenge().await? {
            Challenge::Bearer { .. } => tokens_are_the_password(&registry, focus).await?,
            Challenge::Basic => {
                let headers = vec![("authorization".to_owned(), registry.basic()?)];
                let url = format!("{}/v2/", registry.place.base());
                send(upstream, Call { method: "GET", url, headers, body: Vec::new() }, DOING).await?;
            }
        },
    }
    let identity = format!("a login of {}", registry.place.host);
    Ok(Verified { identity, reach: reach(&registry, focus).await.into_iter().collect(), reason: CLOUD_ACCEPTED })
}

/// A registry with a token service is served by its tokens, unless those are
/// the password itself: then to hand that on gives nothing more away.
async fn tokens_are_the_password(registry: &Registry<'_>, focus: &ListAsk) -> Result<(), UpstreamError> {
    let scope = focus.resource.as_ref().and_then(pull).and_then(|scope| scope.words());
    let token = registry.token(scope.as_deref()).await?;
    if registry.hands_back(&token) {
        return Ok(());
    }
    let remedy = "this registry has a token service; set login=token".to_owned();
    Err(UpstreamError::Rejected { code: "has_tokens".to_owned(), remedy })
}

/// To pull from this repository; nothing for a whole registry.
fn pull(id: &ResourceId) -> Option<Scope> {
    let (_, name) = id.as_str().split_once('/')?;
    Some(Scope { resource: id.to_string(), repository: Some(name.to_owned()), access: AccessLevel::Read })
}

/// Lists; see `ConnectorType::list_resources`.
pub async fn list(
    upstream: &Upstream,
    settings: &Settings,
    secret: &SourceCredential,
    ask: &ListAsk,
) -> Result<Vec<Reach>, UpstreamError> {
    let registry = Registry::new(upstream, settings, secret)?;
    Ok(reach(&registry, ask).await.into_iter().collect())
}

async fn reach(registry: &Registry<'_>, ask: &ListAsk) -> Option<Reach> {
    let wanted = ask.resource_type.as_ref().is_none_or(|wanted| wanted.as_str() == REGISTRY);
    let resource_type = ResourceTypeName::parse(REGISTRY).ok().filter(|_| wanted)?;
    let repository = ask.resource.as_ref().filter(|id| id.as_str().contains('/'));
    let found = match repository {
        Some(id) => one(registry, id).await.map(|()| (vec![id.clone()], None)),
        None => page(registry, ask).await,
    };
    let mut reach = Reach {
        resource_type,
        resource_ids: Vec::new(),
        error: None,
        missing_permissions: Vec::new(),
        remedy: None,
        next_page: None,
    };
    match found {
        Ok((ids, next)) => (reach.resource_ids, reach.next_page) = (ids, next),
        Err(error) => {
            reach.error = Some(error.to_string());
            reach.remedy = Some("name repositories yourself: not every registry lists them".to_owned());
            if let UpstreamError::Denied { missing, .. } = error {
                reach.missing_permissions = missing;
            }
        }
    }
    Some(reach)
}

/// Whether the login may pull from this repository.
async fn one(registry: &Registry<'_>, id: &ResourceId) -> Result<(), UpstreamError> {
    let scope = pull(id).ok_or(UpstreamError::StoredSettings)?;
    if registry.settings.login() == Login::Basic {
        return Ok(());
    }
    let token = registry.token(scope.words().as_deref()).await?;
    match read(&token.text, &scope) {
        Reading::AsAsked(_) | Reading::Opaque => Ok(()),
        Reading::Wider => Err(UpstreamError::BadAnswer { what: "a token for more than was asked for" }),
        Reading::Lacks(_) => Err(DOING.denied("not_granted".to_owned())),
    }
}

type Page = (Vec<ResourceId>, Option<String>);

async fn page(registry: &Registry<'_>, ask: &ListAsk) -> Result<Page, UpstreamError> {
    let authorization = match registry.settings.login() {
        Login::Token => format!("Bearer {}", registry.token(Some(CATALOG)).await?.text.reveal()),
        Login::Basic => registry.basic()?,
    };
    let base = format!("{}/v2/_catalog", registry.place.base());
    let mut url = Url::parse(&base).map_err(|_| UpstreamError::StoredSettings)?;
    url.query_pairs_mut().append_pair("n", &ask.limit.clamp(1, PAGE_MAX).to_string());
    url.query_pairs_mut().extend_pairs(ask.page.iter().map(|last| ("last", last)));
    let headers = vec![("authorization".to_owned(), authorization)];
    let call = Call { method: "GET", url: url.into(), headers, body: Vec::new() };
    let answer = send(registry.upstream, call, DOING).await?;
    let catalog: Catalog = json(&answer)?;
    let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
    let named = catalog.repositories.iter().filter(|name| repository_name(name)).take(limit);
    let id = |name: &String| ResourceId::canonical(format!("{}/{name}", registry.place.host)).ok();
    Ok((named.filter_map(id).collect(), answer.header("link").and_then(|link| next(&base, link))))
}

/// The last name of this page, out of `<URL>; rel="next"` (RFC 8288).
fn next(base: &str, link: &str) -> Option<String> {
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    if !parameters.to_ascii_lowercase().contains("rel=\"next\"") && !parameters.contains("rel=next") {
        return None;
    }
    let base = Url::parse(base).ok()?;
    let target = base.join(target).ok()?;
    if target.origin() != base.origin() || target.path() != base.path() {
        return None;
    }
    let last = target.query_pairs().find(|(name, _)| name == "last").map(|(_, value)| value.into_owned())?;
    repository_name(&last).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_gives_a_name_and_nothing_else() {
        let base = "https://h/v2/_catalog";
        let of = |link: &str| next(base, link);
        assert_eq!(of(r#"</v2/_catalog?last=team%2Fmodel&n=2>; rel="next""#).as_deref(), Some("team/model"));
        assert_eq!(of(r#"<https://h/v2/_catalog?n=2&last=a>; rel="next""#).as_deref(), Some("a"));
        for link in [
            r#"<https://evil/v2/_catalog?last=a>; rel="next""#,
            r#"<//evil/v2/_catalog?last=a>; rel="next""#,
            r#"</v2/other?last=a>; rel="next""#,
            r#"</v2/_catalog?last=..%2F..>; rel="next""#,
            r#"</v2/_catalog?last=a>; rel="prev""#,
            r#"</v2/_catalog?n=2>; rel="next""#,
            "nonsense",
            "",
        ] {
            assert_eq!(of(link), None, "{link}");
        }
    }
}

//! The resource manager: lists and single resources, one page a call. What it
//! answers is hostile: a link to the next page must stay on its own list.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connectors::answer::{json, unanswered};
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::outbound::{Call, Response};

use super::place::Place;
use super::upstream_entra::Token;

/// The longest link or path that is followed.
const PATH_LENGTH_MAX: usize = 4096;

/// Something in a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// `/subscriptions/...`.
    #[serde(default)]
    pub id: String,
    /// The last part of the id.
    #[serde(default)]
    pub name: String,
    /// Of a subscription.
    #[serde(default)]
    pub subscription_id: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(default)]
    login_server: String,
}

impl Item {
    /// Of a registry.
    pub fn login_server(&self) -> &str {
        &self.properties.login_server
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    value: Vec<Item>,
    #[serde(default)]
    next_link: Option<String>,
}

/// The way to the resource manager.
pub struct Manager<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// Where.
    pub place: Place<'a>,
    /// For the resource manager.
    pub token: &'a Token,
}

impl Manager<'_> {
    /// One page of a list, and the path and query of the next.
    pub async fn page(
        &self,
        path: &str,
        version: &str,
        page: Option<&str>,
        doing: Doing,
    ) -> Result<(Vec<Item>, Option<String>), UpstreamError> {
        let own = format!("{path}?api-version={version}");
        let asked = match page {
            Some(page) if follows(page, path) => page,
            Some(_) => return Err(UpstreamError::StoredSettings),
            None => &own,
        };
        read_page(&self.send("GET", asked, doing).await?, &self.place.management(), path)
    }

    /// One resource.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, version: &str, doing: Doing) -> Result<T, UpstreamError> {
        json(&self.send("GET", &format!("{path}?api-version={version}"), doing).await?)
    }

    /// An action without a body.
    pub async fn post(&self, path: &str, version: &str, doing: Doing) -> Result<Response, UpstreamError> {
        self.send("POST", &format!("{path}?api-version={version}"), doing).await
    }

    async fn send(&self, method: &'static str, path: &str, doing: Doing) -> Result<Response, UpstreamError> {
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {}", self.token.text.reveal())),
            ("accept".to_owned(), "application/json".to_owned()),
        ];
        let url = format!("{}{path}", self.place.management());
        let call = Call { method, url, headers, body: Vec::new() };
        let answer = self.upstream.outbound.call(call).await.map_err(unanswered)?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let code = json::<Refusal>(&answer).ok().and_then(|refusal| refusal.error.code);
        Err(doing.refused(answer.status, code.as_deref(), answer.retry_after))
    }
}

/// A page of the list at `path` of the manager at `home`, and the path and
/// query of the next.
pub fn read_page(answer: &Response, home: &str, path: &str) -> Result<(Vec<Item>, Option<String>), UpstreamError> {
    let read: Page = json(answer)?;
    let away = UpstreamError::BadAnswer { what: "a link that leads away" };
    let next = match read.next_link.filter(|link| !link.is_empty()) {
        Some(link) => Some(next(&link, home, path).ok_or(away)?),
        None => None,
    };
    Ok((read.value, next))
}

/// The path and query of a link on the same host and of the same list. The
/// resource manager names its port at times, and is one host.
fn next(link: &str, home: &str, path: &str) -> Option<String> {
    let rest = link.strip_prefix(home)?;
    let rest = rest.strip_prefix(":443").unwrap_or(rest);
    follows(rest, path).then(|| rest.to_owned())
}

/// Whether this is a page of that list.
fn follows(page: &str, path: &str) -> bool {
    let Some((own, query)) = page.split_once('?') else {
        return false;
    };
    let plain = query.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'#' | b'\\' | b'"' | b'<' | b'>'));
    page.len() <= PATH_LENGTH_MAX && own.eq_ignore_ascii_case(path) && plain
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalCode,
}

#[derive(Deserialize)]
struct RefusalCode {
    code: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_of_its_own_list() {
        assert!(follows("/subscriptions?api-version=1&$skiptoken=a%20b", "/subscriptions"));
        for away in [
            "/subscriptions",
            "/other?x",
            "/subscriptions/../other?x",
            "@evil.example/?x",
            "/subscriptions?a b",
            ".evil.example/subscriptions?x",
        ] {
            assert!(!follows(away, "/subscriptions"), "{away}");
        }
    }
}

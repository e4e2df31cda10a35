//! ECR: a docker login under a session, and which repositories there are.

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::connectors::{Upstream, UpstreamError};
use crate::domain::{SecretText, Timestamp};

use super::errors::Doing;
use super::place::{Place, Service};
use super::upstream_signed::{Plain, send};
use super::upstream_sts::believable;

/// A login ends after twelve hours, says ECR.
const LOGIN_LIFE: std::time::Duration = std::time::Duration::from_secs(12 * 3600);
/// What ECR takes for one page.
const PAGE_MAX: usize = 1000;

const LOGGING_IN: Doing = Doing {
    permissions: &["ecr:GetAuthorizationToken"],
    remedy: "allow ecr:GetAuthorizationToken on * to the role or user",
};
const LISTING: Doing = Doing {
    permissions: &["ecr:DescribeRepositories"],
    remedy: "allow ecr:DescribeRepositories on * to the role or user",
};
const LOOKING_UP: Doing = Doing {
    permissions: &["ecr:DescribeRepositories"],
    remedy: "allow ecr:DescribeRepositories on the repository to the role or user",
};

/// A docker login. No Debug.
pub struct Login {
    /// The user name, `AWS`.
    pub username: String,
    /// The password.
    pub password: SecretText,
    /// When ECR itself ends it.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_data: Vec<AuthorizationData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationData {
    authorization_token: String,
    expires_at: f64,
}

/// GetAuthorizationToken under this session.
pub async fn login(upstream: &Upstream, place: &Place<'_>, credentials: &Credentials) -> Result<Login, UpstreamError> {
    let plain = json_call(place, "GetAuthorizationToken", &json!({}));
    let answer = send(upstream, place, Service::Ecr, credentials, &plain, LOGGING_IN).await?;
    read_login(answer.body(), upstream.clock.now())
}

/// The login of an answer.
pub fn read_login(body: &[u8], now: Timestamp) -> Result<Login, UpstreamError> {
    let parsed: Authorization = serde_json::from_slice(body).map_err(|_| NO_LOGIN)?;
    let data = parsed.authorization_data.into_iter().next().ok_or(NO_LOGIN)?;
    let expires_at = seconds(data.expires_at).ok_or(NO_LOGIN)?;
    believable(now, expires_at, LOGIN_LIFE)?;
    let encoded = Zeroizing::new(data.authorization_token);
    let text = Zeroizing::new(STANDARD.decode(encoded.as_bytes()).map_err(|_| NO_LOGIN)?);
    let text = std::str::from_utf8(&text).map_err(|_| NO_LOGIN)?;
    let (username, password) = text.split_once(':').ok_or(NO_LOGIN)?;
    if username != "AWS" || password.is_empty() {
        return Err(NO_LOGIN);
    }
    Ok(Login { username: username.to_owned(), password: SecretText::new(password.to_owned()), expires_at })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repositories {
    repositories: Vec<Repository>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    repository_uri: String,
}

/// One page of repository URIs, and where the next begins.
pub async fn repositories(
    upstream: &Upstream,
    place: &Place<'_>,
    credentials: &Credentials,
    limit: usize,
    page: Option<&str>,
) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    let mut ask = json!({ "maxResults": limit.clamp(1, PAGE_MAX) });
    if let (Some(page), Some(object)) = (page, ask.as_object_mut()) {
        object.insert("nextToken".to_owned(), page.into());
    }
    let plain = json_call(place, "DescribeRepositories", &ask);
    let answer = send(upstream, place, Service::Ecr, credentials, &plain, LISTING).await?;
    let parsed: Repositories = serde_json::from_slice(answer.body()).map_err(|_| NO_LIST)?;
    Ok((parsed.repositories.into_iter().map(|one| one.repository_uri).collect(), parsed.next_token))
}

/// Whether a registry, or one repository of it, is there and may be looked at.
pub async fn look(
    upstream: &Upstream,
    place: &Place<'_>,
    credentials: &Credentials,
    account: &str,
    repository: Option<&str>,
) -> Result<(), UpstreamError> {
    let ask = match repository {
        Some(repository) => json!({ "registryId": account, "repositoryNames": [repository] }),
        None => json!({ "registryId": account, "maxResults": 1 }),
    };
    let plain = json_call(place, "DescribeRepositories", &ask);
    let answer = send(upstream, place, Service::Ecr, credentials, &plain, LOOKING_UP).await?;
    let parsed: Repositories = serde_json::from_slice(answer.body()).map_err(|_| NO_LIST)?;
    let found = repository.is_none_or(|name| {
        let end = format!("/{name}");
        parsed.repositories.iter().any(|one| one.repository_uri.ends_with(&end))
    });
    if found { Ok(()) } else { Err(NO_LIST) }
}

fn json_call(place: &Place<'_>, operation: &str, body: &serde_json::Value) -> Plain {
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
    Plain {
        method: "POST",
        url: format!("{}/", place.endpoint(Service::Ecr)),
        headers: vec![("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amz-target", target)],
        body: body.to_string(),
    }
}

/// JSON 1.1 has times as seconds with a fraction.
fn seconds(value: f64) -> Option<Timestamp> {
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    let whole = value as i64;
    (value.is_finite() && (0.0..1e11).contains(&value)).then_some(Timestamp::from_seconds(whole))
}

const NO_LOGIN: UpstreamError = UpstreamError::BadAnswer { what: "no login" };
const NO_LIST: UpstreamError = UpstreamError::BadAnswer { what: "not a list of repositories" };

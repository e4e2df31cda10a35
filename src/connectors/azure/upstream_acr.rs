//! ACR: an Entra token becomes the registry's own, for one repository where
//! one is named.
//!
//! The registry answers with fewer actions than asked when the principal has
//! fewer rights: that is a refusal, not a smaller credential.

use serde::Deserialize;
use url::form_urlencoded::Serializer;

use crate::connectors::answer::{SecretWire, json, unanswered};
use crate::connectors::{Doing, Upstream, UpstreamError};
use crate::domain::{SecretText, Timestamp};
use crate::outbound::{Call, Response};

use super::claims::Claims;
use super::place::Place;
use super::upstream_entra::Token;

/// The longest life that is believed; a refresh token has three hours.
const LIFE_MAX: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// The longest token that is believed.
const TOKEN_LENGTH_MAX: usize = 32 * 1024;

const EXCHANGING: Doing = Doing {
    permissions: &["Microsoft.ContainerRegistry/registries/pull/read"],
    remedy: "assign AcrPull, or more, on the registry",
};
const SCOPING: Doing = Doing {
    permissions: &[
        "Microsoft.ContainerRegistry/registries/pull/read",
        "Microsoft.ContainerRegistry/registries/push/write",
        "Microsoft.ContainerRegistry/registries/artifacts/delete",
    ],
    remedy: "assign AcrPull, AcrPush or AcrDelete on the registry, as the access level needs",
};

/// A token of a registry. No Debug.
pub struct RegistryToken {
    /// The token.
    pub text: SecretText,
    /// When the registry ends it.
    pub expires_at: Timestamp,
}

/// A registry, and the tenant it asks about.
#[derive(Clone, Copy)]
pub struct Registry<'a> {
    /// The way out.
    pub upstream: &'a Upstream,
    /// Where.
    pub place: Place<'a>,
    /// Its login server.
    pub host: &'a str,
    /// The tenant.
    pub tenant: &'a str,
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: SecretWire,
}

#[derive(Deserialize)]
struct Access {
    access_token: SecretWire,
}

impl Registry<'_> {
    /// The refresh token of a docker login.
    pub async fn exchange(&self, token: &Token) -> Result<RegistryToken, UpstreamError> {
        let form = [
            ("grant_type", "access_token"),
            ("service", self.host),
            ("tenant", self.tenant),
            ("access_token", token.text.reveal()),
        ];
        let body: Refresh = self.ask("/oauth2/exchange", &form, EXCHANGING).await?;
        believed(body.refresh_token.0, self.upstream.clock.now()).map(|(token, _)| token)
    }

    /// A token for these actions on one repository.
    pub async fn scoped(
        &self,
        refresh: &RegistryToken,
        repository: &str,
        actions: &[&str],
    ) -> Result<RegistryToken, UpstreamError> {
        let scope = format!("repository:{repository}:{}", actions.join(","));
        let form = [
            ("grant_type", "refresh_token"),
            ("service", self.host),
            ("scope", &scope),
            ("refresh_token", refresh.text.reveal()),
        ];
        granted(&self.answer("/oauth2/token", &form, SCOPING).await?, self.upstream.clock.now(), repository, actions)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
        doing: Doing,
    ) -> Result<T, UpstreamError> {
        json(&self.answer(path, form, doing).await?)
    }

    async fn answer(&self, path: &str, form: &[(&str, &str)], doing: Doing) -> Result<Response, UpstreamError> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
        let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let url = format!("{}{path}", self.place.registry(self.host));
        let call = Call { method: "POST", url, headers, body };
        let answer = self.upstream.outbound.call(call).await.map_err(unanswered)?;
        match answer.status {
            200 => Ok(answer),
            // The token is Entra's and fresh: what is missing is a right in the registry.
            401 => Err(doing.denied("UNAUTHORIZED".to_owned())),
            status => Err(doing.refused(status, None, answer.retry_after)),
        }
    }
}

/// The token of an answer, when it is for these actions on this repository and
/// for no more.
pub fn granted(
    answer: &Response,
    now: Timestamp,
    repository: &str,
    actions: &[&str],
) -> Result<RegistryToken, UpstreamError> {
    let body: Access = json(answer)?;
    let (token, claims) = believed(body.access_token.0, now)?;
    let grants = claims.access.ok_or(UpstreamError::BadAnswer { what: "a token that does not say its scope" })?;
    let own = |grant: &super::claims::Grant| grant.kind == "repository" && grant.name == repository;
    let known = |action: &String| actions.contains(&action.as_str());
    if !grants.iter().all(|grant| own(grant) && grant.actions.iter().all(known)) {
        return Err(UpstreamError::BadAnswer { what: "a token for more than was asked for" });
    }
    let granted = |action: &&str| grants.iter().any(|grant| grant.actions.iter().any(|one| one == action));
    if !actions.iter().all(granted) {
        return Err(missing(actions.iter().copied().filter(|action| !granted(action))));
    }
    Ok(token)
}

fn believed(text: SecretText, now: Timestamp) -> Result<(RegistryToken, Claims), UpstreamError> {
    let bad = |what| UpstreamError::BadAnswer { what };
    let fits = text.len() <= TOKEN_LENGTH_MAX && text.reveal().bytes().all(|b| b.is_ascii_graphic());
    let claims = Claims::read(text.reveal()).filter(|_| fits).ok_or(bad("a token that is none"))?;
    let expires_at = claims
        .expires_at()
        .filter(|end| *end > now && *end <= now.plus(LIFE_MAX))
        .ok_or(bad("an impossible expiry"))?;
    Ok((RegistryToken { text, expires_at }, claims))
}

/// By the names of the roles' permissions.
fn missing<'a>(actions: impl Iterator<Item = &'a str>) -> UpstreamError {
    let name = |action: &str| match action {
        "pull" => "Microsoft.ContainerRegistry/registries/pull/read",
        "push" => "Microsoft.ContainerRegistry/registries/push/write",
        _ => "Microsoft.ContainerRegistry/registries/artifacts/delete",
    };
    UpstreamError::Denied {
        code: "INSUFFICIENT_SCOPE".to_owned(),
        missing: actions.map(|action| name(action).to_owned()).collect(),
        remedy: SCOPING.remedy.to_owned(),
    }
}

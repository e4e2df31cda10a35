//! Narrowing: from an ask to one repository and what may be done with it.
//! Pure.

use serde::{Deserialize, Serialize};

use crate::connectors::Ask;
use crate::domain::{AccessLevel, Downscope, EnforcedScope, FieldError, ResourceId, ResourceTypeName};

use super::place::split;
use super::settings::{Login, Settings};

/// The one resource type.
pub const REGISTRY: &str = "docker-registry";

/// A narrowed ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Canonical.
    pub resource: String,
    /// The repository's name within its registry; none for all of it.
    pub repository: Option<String>,
    /// The access level.
    pub access: AccessLevel,
}

impl Scope {
    /// What may be done, in the words of the token specification.
    pub const fn actions(&self) -> &'static [&'static str] {
        match self.access {
            AccessLevel::Read => &["pull"],
            AccessLevel::Write => &["pull", "push"],
            AccessLevel::Admin => &["pull", "push", "delete"],
        }
    }

    /// The scope to ask the token service for.
    pub fn words(&self) -> Option<String> {
        let repository = self.repository.as_ref()?;
        Some(format!("repository:{repository}:{}", self.actions().join(",")))
    }
}

/// The canonical id of the registry or of one repository in it.
pub fn canonical(
    settings: &Settings,
    resource_type: &ResourceTypeName,
    raw: Option<&str>,
) -> Result<ResourceId, FieldError> {
    if resource_type.as_str() != REGISTRY {
        return Err(FieldError::new("resource_type", "docker-registry is the only one of this type"));
    }
    let own = settings.place().ok_or_else(|| FieldError::new("settings.registry", "is no registry"))?;
    let Some(raw) = raw else { return ResourceId::canonical(own.host) };
    let problem = || FieldError::new("resource_id", format!("must be {}[/REPOSITORY], with no tag", own.host));
    let (place, repository) = split(raw).ok_or_else(problem)?;
    if place.host != own.host {
        return Err(problem());
    }
    match repository {
        Some(name) => ResourceId::canonical(format!("{}/{name}", own.host)),
        None => ResourceId::canonical(own.host),
    }
}

/// Whether `inner` is the same repository, or one of the registry.
pub fn contains(outer: &ResourceId, inner: &ResourceId) -> bool {
    let whole_registry = !outer.as_str().contains('/');
    let inside = || inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'));
    outer == inner || (whole_registry && inside())
}

/// Narrows an ask; see `ConnectorType::narrow`.
pub fn narrow(settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
    let resource = canonical(settings, &ask.resource_type, Some(ask.resource.as_str()))?.to_string();
    let repository = resource.split_once('/').map(|(_, name)| name.to_owned());
    if repository.is_none() && settings.login() == Login::Token {
        return Err(FieldError::new("resource_id", format!("name a repository: {resource}/REPOSITORY")));
    }
    Ok(Scope { resource, repository, access: ask.access })
}

/// What the registry will enforce.
pub fn enforced(settings: &Settings, scope: &Scope) -> EnforcedScope {
    match (settings.login(), scope.words()) {
        (Login::Token, Some(words)) => {
            EnforcedScope { words: format!("{} {words}", scope.resource), downscope: Downscope::Resource }
        }
        (Login::Token | Login::Basic, _) => EnforcedScope {
            words: format!("{} and all else that the login may do", scope.resource),
            downscope: Downscope::None,
        },
    }
}

/// The same for a token that nobody but the registry can read.
pub fn unread(scope: &Scope) -> EnforcedScope {
    let asked = scope.words().unwrap_or_default();
    EnforcedScope {
        words: format!("{} as its token service says, which was asked for {asked}", scope.resource),
        downscope: Downscope::None,
    }
}

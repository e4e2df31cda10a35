//! Narrowing: from an ask to the scopes to ask the provider for. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::connectors::{Ask, UpstreamError};
use crate::domain::{AccessLevel, Downscope, EnforcedScope, FieldError, ResourceId, ResourceTypeName};

use super::settings::Settings;
use super::settings_check::api_url;

/// The one resource type.
pub const API: &str = "oauth2-api";
/// The parameter that narrows.
pub const SCOPE: &str = "scope";
/// The most scopes of one token.
const WORDS_MAX: usize = 64;
/// The longest scope text, in bytes.
const SCOPE_LENGTH_MAX: usize = 2048;

/// A narrowed ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The API, canonical.
    pub resource: String,
    /// The access level.
    pub access: AccessLevel,
    /// The scopes to ask for, ascending; nothing to ask for none.
    // Invariant: at least one word; made by `joined`.
    pub scope: Option<String>,
}

/// The scopes of a text; nothing when it is empty, too long, or has letters
/// that RFC 6749 section 3.3 does not allow. Also for hostile answers.
pub fn words(text: &str) -> Option<BTreeSet<&str>> {
    let letter = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    let words: BTreeSet<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let fits = text.len() <= SCOPE_LENGTH_MAX
        && (1..=WORDS_MAX).contains(&words.len())
        && words.iter().all(|word| word.bytes().all(letter));
    fits.then_some(words)
}

/// Scopes as text, ascending.
pub fn joined(words: &BTreeSet<&str>) -> String {
    words.iter().copied().collect::<Vec<_>>().join(" ")
}

/// The canonical id: there is one, the connector's own API.
pub fn canonical(
    settings: &Settings,
    resource_type: &ResourceTypeName,
    raw: Option<&str>,
) -> Result<ResourceId, FieldError> {
    if resource_type.as_str() != API {
        return Err(FieldError::new("resource_type", "oauth2-api is the only one of this type"));
    }
    let own = api_url(settings.api_url()).ok_or_else(|| FieldError::new("settings.api_url", "is no URL"))?;
    match raw {
        None => ResourceId::canonical(own),
        Some(raw) if api_url(raw).as_ref() == Some(&own) => ResourceId::canonical(own),
        Some(_) => Err(FieldError::new("resource_id", format!("this connector serves {own} only"))),
    }
}

/// Narrows an ask; see `ConnectorType::narrow`.
pub fn narrow(settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
    let resource = canonical(settings, &ask.resource_type, Some(ask.resource.as_str()))?.to_string();
    let wish = ask.parameters.get(SCOPE).map(String::as_str);
    let access = ask.access;
    let scope = match settings.client() {
        Some(client) => {
            let problem = || FieldError::new("access", format!("the connector names no scope for {access}"));
            asked(client.level(access).ok_or_else(problem)?, wish)?
        }
        None => {
            handed_in(settings, access, wish)?;
            None
        }
    };
    Ok(Scope { resource, access, scope })
}

fn asked(level: Option<&str>, wish: Option<&str>) -> Result<Option<String>, FieldError> {
    let field = "parameters.scope";
    let level = level.and_then(words);
    let Some(wish) = wish else { return Ok(level.map(|level| joined(&level))) };
    let wish = words(wish).ok_or_else(|| FieldError::new(field, "must be scopes with blanks between them"))?;
    let Some(level) = level else {
        return Err(FieldError::new(field, "the connector names no scope, so that there is none to narrow"));
    };
    if !wish.is_subset(&level) {
        return Err(FieldError::new(field, format!("must be among those of this access level: {}", joined(&level))));
    }
    Ok(Some(joined(&wish)))
}

fn handed_in(settings: &Settings, access: AccessLevel, wish: Option<&str>) -> Result<(), FieldError> {
    if wish.is_some() {
        return Err(FieldError::new("parameters.scope", "a handed-in token cannot be narrowed"));
    }
    if access > level_of(settings) {
        return Err(FieldError::new("access", format!("the handed-in token has {} only", level_of(settings))));
    }
    Ok(())
}

/// The level of a handed-in token.
pub fn level_of(settings: &Settings) -> AccessLevel {
    match settings {
        Settings::Token(own) => own.access.unwrap_or(AccessLevel::Admin),
        Settings::ClientCredentials(_) | Settings::RefreshToken(_) => AccessLevel::Admin,
    }
}

/// What the provider is asked to enforce; the reply says what it granted.
pub fn enforced(settings: &Settings, scope: &Scope) -> EnforcedScope {
    let Some(client) = settings.client() else {
        let words = format!("{} {}: the handed-in token as it is", scope.resource, level_of(settings));
        return EnforcedScope { words, downscope: Downscope::None };
    };
    let mut words = format!("{} {}", scope.resource, scope.access);
    match &scope.scope {
        Some(scope) => words.push_str(&format!(", scope {scope}")),
        None => words.push_str(", whatever scope the provider gives"),
    }
    if let Some(audience) = client.audience {
        words.push_str(&format!(", audience {audience}"));
    }
    let narrowed = scope.scope.is_some() || client.audience.is_some();
    EnforcedScope { words, downscope: if narrowed { Downscope::Resource } else { Downscope::None } }
}

/// What the provider says that it granted, against what was asked for: never
/// more. Nothing said means what was asked for (RFC 6749 section 5.1).
///
/// # Errors
/// `Rejected` when it granted more, with what to do; `BadAnswer` when it says
/// nothing sensible.
pub fn granted(settings: &Settings, asked: &Scope, said: Option<&str>) -> Result<EnforcedScope, UpstreamError> {
    let Some(said) = said.filter(|said| !said.trim().is_empty()) else { return Ok(enforced(settings, asked)) };
    let given = words(said).ok_or(UpstreamError::BadAnswer { what: "a scope that cannot be" })?;
    if let Some(asked) = asked.scope.as_deref().and_then(words)
        && !given.is_subset(&asked)
    {
        return Err(more_than_asked(&given.difference(&asked).copied().collect::<Vec<_>>()));
    }
    let real = Scope { scope: Some(joined(&given)), ..asked.clone() };
    let downscope = enforced(settings, asked).downscope;
    Ok(EnforcedScope { downscope, ..enforced(settings, &real) })
}

/// Many providers add scopes of their own to every token of a client.
fn more_than_asked(surplus: &[&str]) -> UpstreamError {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/');
    let fits = |word: &&&str| word.len() <= NAMED_LENGTH_MAX && word.bytes().all(letter);
    let named: Vec<&str> = surplus.iter().filter(fits).take(NAMED_MAX).copied().collect();
    let unnamed = surplus.len() - named.len();
    let mut all = named.join(" ");
    if unnamed > 0 {
        all.push_str(&format!("{}{unnamed} more", if all.is_empty() { "" } else { " and " }));
    }
    let remedy = format!(
        "the provider gave scope that was not asked for: {all}; add it to the connector's scope, or take it off what \
         the provider gives this client by default"
    );
    UpstreamError::Rejected { code: "more_scope".to_owned(), remedy }
}

/// The most surplus scopes that are named, and the longest: hostile answers.
const NAMED_MAX: usize = 4;
const NAMED_LENGTH_MAX: usize = 64;

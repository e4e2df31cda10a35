//! A narrowed ask: what will be asked of Azure, decided without asking it.

use serde::{Deserialize, Serialize};

use crate::connectors::Ask;
use crate::domain::{AccessLevel, Downscope, EnforcedScope, FieldError};

use super::ids::Target;
use super::settings::{Settings, Way};

/// The parameter that names what a token of azure-generic is for.
pub const AUDIENCE: &str = "audience";
/// The parameter that asks for an Entra token instead of a signed URL.
pub const TOKEN: &str = "token";
/// The only value of [`TOKEN`].
const ENTRA_TOKEN: &str = "aad";
/// The longest audience.
const AUDIENCE_LENGTH_MAX: usize = 200;

/// All that a mint needs to know, and the key of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// For example `blob-container`.
    pub resource_type: String,
    /// Canonical.
    pub resource: String,
    /// The access level.
    pub access: AccessLevel,
    /// What the token is for; only of `azure-generic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// An Entra token for blobs instead of a signed URL.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entra_token: bool,
}

/// What is handed out for a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handed {
    /// An Entra token for this audience, with all the principal's rights there.
    Token(String),
    /// A URL with a user-delegation signature.
    Signed {
        /// The storage account.
        account: String,
        /// The container.
        container: String,
        /// The directory.
        directory: Option<String>,
    },
    /// An Entra token for a cluster, with its address.
    Cluster {
        /// The resource group.
        group: String,
        /// The name.
        cluster: String,
    },
    /// A registry's own token for one repository.
    Repository {
        /// The login server.
        host: String,
        /// The repository.
        repository: String,
    },
    /// A login to a registry, with all the principal's rights there.
    Login {
        /// The login server.
        host: String,
    },
}

impl Scope {
    /// What is handed out.
    pub fn handed(&self) -> Option<Handed> {
        let target = Target::parse(&self.resource_type, &self.resource)?;
        Some(match target {
            Target::Generic { .. } => Handed::Token(self.audience.clone()?),
            Target::Container { .. } if self.entra_token => Handed::Token(super::place::STORAGE.to_owned()),
            Target::Container { account, container, directory } => Handed::Signed { account, container, directory },
            Target::Cluster { group, cluster } => Handed::Cluster { group, cluster },
            Target::Registry { host, repository: Some(repository) } => Handed::Repository { host, repository },
            Target::Registry { host, repository: None } => Handed::Login { host },
        })
    }

    /// The permissions of a signature, in the order that the service wants.
    /// Versions, tags and immutability are of flat accounts; ownership and
    /// permissions of hierarchical ones.
    pub const fn permissions(&self, hierarchical: bool) -> &'static str {
        match (self.access, hierarchical) {
            (AccessLevel::Read, _) => "rl",
            (AccessLevel::Write, _) => "racwdl",
            (AccessLevel::Admin, false) => "racwdxltfi",
            (AccessLevel::Admin, true) => "racwdlmeop",
        }
    }

    /// The actions of a registry's token.
    pub const fn actions(&self) -> &'static [&'static str] {
        match self.access {
            AccessLevel::Read => &["pull"],
            AccessLevel::Write => &["pull", "push"],
            AccessLevel::Admin => &["pull", "push", "delete"],
        }
    }
}

/// Narrows an ask; see `ConnectorType::narrow`.
pub fn narrow(settings: &Settings, ask: &Ask) -> Result<Scope, FieldError> {
    let resource_type = ask.resource_type.as_str();
    let target = Target::parse(resource_type, ask.resource.as_str())
        .ok_or_else(|| FieldError::new("resource_id", "is not a canonical id of this resource type"))?;
    let entra_token = entra_token(ask)?;
    reachable(settings, &target)?;
    whole(&target, entra_token, ask.access)?;
    let audience = match &target {
        Target::Generic { .. } => Some(asked_audience(settings, ask)?),
        Target::Container { .. } | Target::Cluster { .. } | Target::Registry { .. } => None,
    };
    let resource = ask.resource.as_str().to_owned();
    Ok(Scope { resource_type: resource_type.to_owned(), resource, access: ask.access, audience, entra_token })
}

fn entra_token(ask: &Ask) -> Result<bool, FieldError> {
    match ask.parameters.get(TOKEN).map(String::as_str) {
        None => Ok(false),
        Some(ENTRA_TOKEN) => Ok(true),
        Some(_) => Err(FieldError::new("parameters.token", "must be aad, or not given for a signed URL")),
    }
}

/// Whether these settings can serve this resource at all.
fn reachable(settings: &Settings, target: &Target) -> Result<(), FieldError> {
    let common = settings.common();
    let problem = match target {
        Target::Container { directory: Some(_), .. } if !common.hierarchical_namespace => {
            return Err(FieldError::new(
                "resource_id",
                "Azure enforces a directory only where the account has a hierarchical namespace; set \
                 hierarchical_namespace if it has one, or ask for the container",
            ));
        }
        Target::Cluster { .. } if common.subscription_id.is_none() => {
            "a cluster is looked up in a subscription; set subscription_id"
        }
        Target::Cluster { .. } if settings.way() == Way::HandedIn => {
            "a handed-in token has one audience, and a cluster takes two; use service-principal"
        }
        Target::Generic { .. } | Target::Container { .. } | Target::Cluster { .. } | Target::Registry { .. } => {
            return Ok(());
        }
    };
    Err(FieldError::new("resource_type", problem))
}

/// What carries all the rights of the principal is admin, whatever was asked:
/// below that it would be wider than its level.
fn whole(target: &Target, entra_token: bool, access: AccessLevel) -> Result<(), FieldError> {
    let problem = match target {
        Target::Generic { .. } => "azure-generic has admin only: a token carries all the rights of its principal",
        Target::Container { .. } if entra_token => "a token for blobs has admin only: leave the parameter token out",
        Target::Registry { repository: None, .. } => {
            "a login to a whole registry has admin only: name a repository to pull or push"
        }
        Target::Container { .. } | Target::Cluster { .. } | Target::Registry { .. } => return Ok(()),
    };
    if access == AccessLevel::Admin { Ok(()) } else { Err(FieldError::new("access", problem)) }
}

/// What an audience may be.
pub const AUDIENCE_FORM: &str =
    "must be https://HOST[/PATH] or api://ID of at most 200 letters, digits and any of ./:_-, with no /.default";

fn asked_audience(settings: &Settings, ask: &Ask) -> Result<String, FieldError> {
    let common = settings.common();
    let Some(raw) = ask.parameters.get(AUDIENCE) else {
        return allowed(common.audiences, common.place.cloud.management().to_owned());
    };
    let text = raw.strip_suffix("/.default").unwrap_or(raw);
    let audience = audience(text).ok_or_else(|| FieldError::new("parameters.audience", AUDIENCE_FORM))?;
    allowed(common.audiences, audience)
}

fn allowed(audiences: &[String], audience: String) -> Result<String, FieldError> {
    let same = |one: &String| one.trim_end_matches('/') == audience.trim_end_matches('/');
    if audiences.is_empty() || audiences.iter().any(same) {
        Ok(audience)
    } else {
        Err(FieldError::new("parameters.audience", "is not one of the connector's audiences"))
    }
}

/// An audience, as it is kept.
pub fn audience(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("api://"))?;
    let letters = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"./:_-".contains(&b));
    let first = rest.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let plain = !rest.contains("//") && !text.ends_with("/.default");
    (text.len() <= AUDIENCE_LENGTH_MAX && letters && first && plain).then(|| text.to_owned())
}

/// What Azure will enforce; see `ConnectorType::enforced`.
pub fn enforced(settings: &Settings, scope: &Scope) -> EnforcedScope {
    let Scope { resource, access, .. } = scope;
    let all = "with all that the principal may do there";
    let (words, downscope) = match scope.handed() {
        Some(Handed::Token(audience)) => {
            let whose = if settings.way() == Way::HandedIn { "the handed-in token as it is" } else { "a token" };
            (
                format!(
                    "{resource}: {whose} for {audience}, {all}; not narrowed to a resource, and it lives as long as Entra says"
                ),
                Downscope::None,
            )
        }
        Some(Handed::Signed { directory, .. }) => {
            let permissions = scope.permissions(settings.common().hierarchical_namespace);
            let downscope = if directory.is_some() { Downscope::Prefix } else { Downscope::Resource };
            (format!("{resource} {access} ({permissions}), over TLS only"), downscope)
        }
        Some(Handed::Cluster { .. }) => {
            let note = "a token for AKS that any cluster of the tenant takes; their RBAC decides the rest";
            (format!("{resource}: {note}"), Downscope::None)
        }
        Some(Handed::Repository { .. }) => {
            (format!("{resource} {access} ({})", scope.actions().join(",")), Downscope::Resource)
        }
        Some(Handed::Login { .. }) => {
            (format!("{resource}: a login to the whole registry, {all}"), Downscope::Resource)
        }
        None => (format!("{resource}: nothing"), Downscope::None),
    };
    EnforcedScope { words, downscope }
}

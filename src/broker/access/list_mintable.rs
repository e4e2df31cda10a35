//! What the caller may mint, through what, and the exact command for it.
//!
//! Says what bindings and ceilings leave room for; the decision on a mint is
//! made when it is asked for, and may still refuse a resource that is not
//! covered by both.

use std::sync::Arc;

use crate::authz::{Permission, Subject, Visible, permissions_of, takes_effect, visible_scope};
use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{
    AccessLevel, Binding, BindingTarget, Component, Connector, Labels, PageAsk, Pattern, ResourceId, ResourceTypeName,
    Role, Ttl,
};
use crate::store::StoreError;

use super::super::connectors::stored_settings;
use super::super::{Broker, BrokerError, Call};

/// The most that one reply lists.
pub const MINTABLE_MAX: usize = 1000;

/// Something the caller may mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mintable {
    /// The connector's name.
    pub connector: String,
    /// The component's name, when it is reached through one.
    pub component: Option<String>,
    /// Any type of the connector when unsaid.
    pub resource_type: Option<ResourceTypeName>,
    /// A canonical id, or the globs that apply; empty means all that the
    /// connector reaches.
    pub resources: Vec<String>,
    /// The highest level.
    pub access_max: AccessLevel,
    /// The longest lifetime, when something limits it.
    pub ttl_max: Option<Ttl>,
    /// Through which role.
    pub role: Role,
    /// The command that mints it.
    pub command: String,
}

/// A way to a credential: a connector, or a component that is linked to one.
struct Way {
    connector: Arc<Connector>,
    component: Option<Arc<Component>>,
}

impl Broker {
    /// What the caller may mint: at most 1,000 entries, components first.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn list_mintable(&self, call: &Call) -> Result<Vec<Mintable>, BrokerError> {
        self.permit(call, Permission::Own).await?;
        let now = self.clock.now();
        let scope = visible_scope(&call.caller.subject, Permission::CredentialsMint, now);
        let ways = self.ways(call, &scope).await.map_err(|error| BrokerError::of("connector", &error))?;
        // A run has the project-wide grants of its starter, for its own stack.
        let starter = Subject { run: None, ..call.caller.subject.clone() };
        let wide = visible_scope(&starter, Permission::CredentialsMint, now) == Visible::All;
        let live: Vec<&Binding> = starter.bindings.iter().filter(|b| mints(b, wide, now)).collect();
        let found = ways.iter().flat_map(|way| {
            live.iter().filter(|binding| way.reached_by(binding)).filter_map(|binding| way.mintable(binding))
        });
        Ok(found.take(MINTABLE_MAX).collect())
    }

    async fn ways(&self, call: &Call, scope: &Visible) -> Result<Vec<Way>, StoreError> {
        let page = PageAsk { size: PAGE_SIZE_MAX, after: None };
        let (project, none) = (call.project(), Labels::default());
        let (mut components, mut connectors) = (Vec::new(), Vec::new());
        match scope {
            Visible::All => {
                components = self.store.components(project, None, None, &none, &page).await?.items;
                connectors = self.store.connectors(project, None, &none, &page).await?.items;
            }
            Visible::Only { connectors: some_connectors, components: some_components, .. } => {
                for id in some_components {
                    components.extend(there(self.component(project, *id).await)?.map(Arc::unwrap_or_clone));
                }
                for id in some_connectors {
                    connectors.extend(there(self.connector(project, *id).await)?.map(Arc::unwrap_or_clone));
                    components.extend(self.store.components(project, None, Some(*id), &none, &page).await?.items);
                }
            }
        }
        components.sort_by(|a, b| a.name.cmp(&b.name));
        components.dedup_by(|a, b| a.id == b.id);
        let mut ways = Vec::new();
        for component in components.into_iter().take(MINTABLE_MAX) {
            let Some(link) = &component.link else { continue };
            if !scope.shows(Some(component.id), Some(link.connector)) {
                continue;
            }
            if let Some(connector) = there(self.connector(project, link.connector).await)? {
                ways.push(Way { connector, component: Some(Arc::new(component)) });
            }
        }
        connectors.retain(|connector| scope.shows(None, Some(connector.id)));
        ways.extend(connectors.into_iter().map(|c| Way { connector: Arc::new(c), component: None }));
        Ok(ways)
    }
}

/// What is gone since the binding was read is no error.
fn there<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a binding can allow a mint at all; project-wide ones only when the
/// scope says so: whoever writes connectors needs a grant on one of them.
fn mints(binding: &Binding, wide: bool, now: crate::domain::Timestamp) -> bool {
    permissions_of(binding.role).contains(&Permission::CredentialsMint)
        && takes_effect(binding.role, binding.target)
        && binding.conditions.expires_at.is_none_or(|end| end > now)
        && (binding.target != BindingTarget::Project || wide)
}

impl Way {
    fn reached_by(&self, binding: &Binding) -> bool {
        match binding.target {
            BindingTarget::Project => true,
            BindingTarget::Connector(id) => self.connector.id == id,
            BindingTarget::Component(id) => self.component.as_ref().is_some_and(|c| c.id == id),
        }
    }

    fn mintable(&self, binding: &Binding) -> Option<Mintable> {
        let link = self.component.as_ref().and_then(|component| component.link.as_ref());
        let fixed = link.map(|l| &l.resource_id).or(self.connector.resource_id.as_ref());
        let resource_type = link.map(|l| &l.resource_type).or(self.connector.resource_type.as_ref()).cloned();
        let policy = &self.connector.policy;
        let ceilings = [binding.conditions.access_max, link.map(|l| l.access_max), Some(policy.access_max)];
        let method = stored_settings(&self.connector).ok().map(|settings| settings.ttl.max);
        let resources = resources(fixed, &binding.conditions.resource_patterns, &policy.resource_patterns);
        Some(Mintable {
            connector: self.connector.name.to_string(),
            component: self.component.as_ref().map(|component| component.name.to_string()),
            command: self.command(resource_type.as_ref(), fixed),
            resource_type,
            resources,
            access_max: ceilings.into_iter().flatten().min()?,
            ttl_max: [binding.conditions.ttl_max, policy.ttl_max, method].into_iter().flatten().min(),
            role: binding.role,
        })
    }

    /// Names, types and ids have no characters that a shell reads otherwise,
    /// except ids, which are quoted.
    fn command(&self, resource_type: Option<&ResourceTypeName>, fixed: Option<&ResourceId>) -> String {
        if let Some(component) = &self.component {
            return format!("valetkey mint --component {}", component.name);
        }
        let kind = resource_type.map_or("TYPE", ResourceTypeName::as_str);
        let base = format!("valetkey mint --connector {} --resource-type {kind}", self.connector.name);
        match fixed {
            Some(id) => format!("{base} --resource '{}'", id.as_str().replace('\'', r"'\''")),
            None => format!("{base} --resource ID"),
        }
    }
}

/// The fixed id when the grant covers it; the grant's globs, or else the
/// ceiling's.
fn resources(fixed: Option<&ResourceId>, granted: &[Pattern], ceiling: &[Pattern]) -> Vec<String> {
    let covered = |id: &&ResourceId| granted.is_empty() || granted.iter().any(|glob| glob.matches(id));
    if let Some(id) = fixed.filter(covered) {
        return vec![id.to_string()];
    }
    let globs = if granted.is_empty() { ceiling } else { granted };
    globs.iter().map(ToString::to_string).collect()
}

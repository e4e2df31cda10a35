//! What the caller may mint, through what, and the exact command for it.
//!
//! Says what bindings and ceilings leave room for; the decision on a mint is
//! made when it is asked for, and may still refuse a resource that is not
//! covered by both.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::authz::{Permission, Subject, Visible, permissions_of, takes_effect, visible_scope};
use crate::domain::{
    AccessLevel, Binding, BindingId, BindingTarget, Component, Connector, FieldError, Name, Page, PageAsk, Pattern,
    ResourceId, ResourceTypeName, Role, Ttl,
};
use crate::store::StoreError;

use super::super::components::ComponentFilter;
use super::super::connectors::{ConnectorFilter, stored_settings};
use super::super::{Broker, BrokerError, Call};

/// The most pages of the store that one page of this list reads: of a thousand
/// components that are not linked none is told.
const ROUNDS_MAX: usize = 20;

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

/// Where a listing goes on: first components, then connectors, each by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    stage: Stage,
    /// Everything up to this name is told.
    after: Option<Name>,
    /// Of the way with this name, what the bindings up to this one allow is
    /// told too.
    within: Option<(Name, BindingId)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Components,
    Connectors,
}

impl Broker {
    /// What the caller may mint, components first, each by name. A page may
    /// have fewer than were asked for, or none, before the last.
    ///
    /// # Errors
    /// `Invalid` for a page of another version of this server; `Unavailable`
    /// when the store cannot be read.
    pub async fn list_mintable(&self, call: &Call, page: &PageAsk) -> Result<Page<Mintable>, BrokerError> {
        self.permit(call, Permission::Own).await?;
        let now = self.clock.now();
        let scope = visible_scope(&call.caller.subject, Permission::CredentialsMint, now);
        // A run has the project-wide grants of its starter, for its own stack.
        let starter = Subject { run: None, ..call.caller.subject.clone() };
        let wide = visible_scope(&starter, Permission::CredentialsMint, now) == Visible::All;
        let mut live: Vec<&Binding> = starter.bindings.iter().filter(|b| mints(b, wide, now)).collect();
        live.sort_by_key(|binding| binding.id);
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let (mut place, mut items) = (Place::parse(page.after.as_deref())?, Vec::new());
        for _ in 0..ROUNDS_MAX {
            let ask = PageAsk { size: page.size, after: place.after.as_ref().map(Name::to_string) };
            let ways = self.ways(call, &scope, place.stage, &ask).await;
            let ways = ways.map_err(|error| BrokerError::of("connector", &error))?;
            for way in &ways.items {
                let told = place.told_of(way);
                for (binding, found) in way.by(&live).filter(|(binding, _)| told.is_none_or(|last| binding.id > last)) {
                    if items.len() == size {
                        return Ok(Page { items, next: Some(place.in_words()?) });
                    }
                    items.push(found);
                    place.within = Some((way.name().clone(), binding.id));
                }
                place = Place { after: Some(way.name().clone()), within: None, ..place };
            }
            let Some(next) = place.after_page(ways.next.as_deref())? else { return Ok(Page { items, next: None }) };
            place = next;
        }
        Ok(Page { items, next: Some(place.in_words()?) })
    }

    /// A page of the ways of one stage: components that are linked, or
    /// connectors.
    async fn ways(&self, call: &Call, scope: &Visible, stage: Stage, page: &PageAsk) -> Result<Page<Way>, StoreError> {
        match stage {
            Stage::Components => self.component_ways(call, scope, page).await,
            Stage::Connectors => self.connector_ways(call, scope, page).await,
        }
    }

    async fn component_ways(&self, call: &Call, scope: &Visible, page: &PageAsk) -> Result<Page<Way>, StoreError> {
        let (project, filter) = (call.project(), ComponentFilter::default());
        let read = match scope {
            Visible::All => self.store.components(project, None, None, &filter.labels, page).await?,
            Visible::Only { .. } => self.narrow_components(call, scope, &filter, None, page).await?,
        };
        let mut items = Vec::with_capacity(read.items.len());
        for component in read.items {
            let Some(link) = &component.link else { continue };
            match self.connector(project, link.connector).await {
                Ok(connector) => items.push(Way { connector, component: Some(Arc::new(component)) }),
                // Gone since the component was read.
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Page { items, next: read.next })
    }

    async fn connector_ways(&self, call: &Call, scope: &Visible, page: &PageAsk) -> Result<Page<Way>, StoreError> {
        let filter = ConnectorFilter::default();
        let read = match scope {
            Visible::All => self.store.connectors(call.project(), None, &filter.labels, page).await?,
            // A run mints through components.
            Visible::Only { within: Some(_), .. } => Page { items: Vec::new(), next: None },
            Visible::Only { connectors, .. } => self.narrow_connectors(call, connectors, &filter, page).await?,
        };
        let way = |connector| Way { connector: Arc::new(connector), component: None };
        Ok(Page { items: read.items.into_iter().map(way).collect(), next: read.next })
    }
}

impl Place {
    /// Where a page begins. The words are ours: a page token is authentic.
    fn parse(words: Option<&str>) -> Result<Self, FieldError> {
        let Some(words) = words else { return Ok(Self { stage: Stage::Components, after: None, within: None }) };
        serde_json::from_str(words).map_err(|_| FieldError::new("page_token", "start again without it"))
    }

    fn in_words(&self) -> Result<String, BrokerError> {
        serde_json::to_string(self).map_err(|_| BrokerError::Internal { what: "a place in a list has no words" })
    }

    /// The last binding that was told of this way.
    fn told_of(&self, way: &Way) -> Option<BindingId> {
        self.within.as_ref().filter(|(name, _)| name == way.name()).map(|(_, last)| *last)
    }

    /// Where to go on after a page of the store, if there is more.
    fn after_page(&self, next: Option<&str>) -> Result<Option<Self>, BrokerError> {
        match (next, self.stage) {
            (Some(name), stage) => {
                let name = name.parse().map_err(|_| BrokerError::Internal { what: "a page of names ends in none" })?;
                Ok(Some(Self { stage, after: Some(name), within: None }))
            }
            (None, Stage::Components) => Ok(Some(Self { stage: Stage::Connectors, after: None, within: None })),
            (None, Stage::Connectors) => Ok(None),
        }
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
    fn name(&self) -> &Name {
        self.component.as_ref().map_or(&self.connector.name, |component| &component.name)
    }

    /// What each of these bindings that reaches it allows.
    fn by<'a>(&'a self, bindings: &'a [&'a Binding]) -> impl Iterator<Item = (&'a Binding, Mintable)> {
        let reaching = bindings.iter().copied().filter(|binding| self.reached_by(binding));
        reaching.filter_map(|binding| self.mintable(binding).map(|found| (binding, found)))
    }

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

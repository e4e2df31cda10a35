//! Where an ask leads, whoever asks: source, resource, narrowed scope. Kept
//! as long as the store's revision stands still, so that the warm path parses
//! no settings and builds no policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::connectors::{AnyConnectorType, Ask, CheckedSettings, NarrowedScope};
use crate::domain::{AccessLevel, Component, Connector, FieldError, ProjectId, ResourceId, ResourceTypeName, TtlRange};
use crate::store::{Revision, StoreError};

use super::super::connectors::{known_resource_type, only_type, stored_settings, type_of};
use super::super::{Broker, BrokerError};
use super::plan::{MintAsk, MintSource};

/// The most routes in memory.
const ROUTES_MAX: u64 = 10_000;

/// Where an ask leads.
#[derive(Clone)]
pub(in crate::broker) struct Route {
    pub(super) connector: Arc<Connector>,
    pub(super) component: Option<Arc<Component>>,
    pub(super) kind: &'static dyn AnyConnectorType,
    pub(super) resource_type: ResourceTypeName,
    pub(super) resource: ResourceId,
    pub(super) access: AccessLevel,
    pub(super) scope: NarrowedScope,
    pub(super) ttl: TtlRange,
    pub(super) passthrough: bool,
    /// Digest of connector, lineage of the secret, settings, policy and scope: equal
    /// routes may share a credential, whatever else has changed.
    pub(super) digest: [u8; 32],
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct RouteKey {
    project: ProjectId,
    source: MintSource,
    resource_type: Option<ResourceTypeName>,
    resource: Option<String>,
    access: AccessLevel,
    parameters: BTreeMap<String, String>,
}

/// Routes by ask.
pub(in crate::broker) struct Routes(moka::sync::Cache<RouteKey, (Revision, Arc<Route>)>);

impl Routes {
    pub(in crate::broker) fn new() -> Self {
        Self(moka::sync::Cache::new(ROUTES_MAX))
    }
}

/// Why an ask leads nowhere: not found is for the gate to word.
pub(super) enum NoRoute {
    Unfound(&'static str, StoreError),
    Refused(BrokerError),
}

impl From<BrokerError> for NoRoute {
    fn from(error: BrokerError) -> Self {
        Self::Refused(error)
    }
}

impl From<FieldError> for NoRoute {
    fn from(error: FieldError) -> Self {
        Self::Refused(error.into())
    }
}

impl Broker {
    /// Where `ask` leads in `project`.
    pub(super) async fn route(&self, project: ProjectId, ask: &MintAsk) -> Result<Arc<Route>, NoRoute> {
        let revision = self.lookups.revision();
        let key = RouteKey {
            project,
            source: ask.source.clone(),
            resource_type: ask.resource_type.clone(),
            resource: ask.resource.clone(),
            access: ask.access,
            parameters: ask.parameters.clone(),
        };
        if let Some((seen, route)) = self.routes.0.get(&key)
            && seen == revision
        {
            return Ok(route);
        }
        let route = Arc::new(Box::pin(self.find_route(project, ask)).await?);
        self.routes.0.insert(key, (revision, Arc::clone(&route)));
        Ok(route)
    }

    async fn find_route(&self, project: ProjectId, ask: &MintAsk) -> Result<Route, NoRoute> {
        let (connector, component) = self.find_source(project, &ask.source).await?;
        let kind = type_of(&connector)?;
        let settings = stored_settings(&connector)?;
        let link = component.as_ref().and_then(|c| c.link.as_ref());
        let only = only_type(kind);
        let asked_type = ask.resource_type.as_ref().or(link.map(|l| &l.resource_type)).or(only.as_ref());
        let resource_type = connector.resource_type_for(asked_type)?;
        known_resource_type(kind, &resource_type)?;
        if link.is_some_and(|l| l.resource_type != resource_type) {
            return Err(FieldError::new("resource_type", "is not what the component is linked as").into());
        }
        let bounds = [link.map(|l| &l.resource_id), connector.resource_id.as_ref()];
        let resource = bounded(kind, &settings, &resource_type, ask.resource.as_deref(), bounds)?;
        let narrow = Ask {
            resource_type: resource_type.clone(),
            resource: resource.clone(),
            access: ask.access,
            parameters: ask.parameters.clone(),
        };
        let scope = kind.narrow(&settings.json, &narrow)?;
        let passthrough =
            kind.passthrough(&settings.json, &scope.json, connector.secret.expires_at, self.clock.now())?;
        let digest = digest(&connector, &resource_type, &scope);
        Ok(Route {
            kind,
            resource_type,
            resource,
            access: ask.access,
            ttl: settings.ttl,
            scope,
            passthrough,
            digest,
            connector,
            component,
        })
    }

    async fn find_source(
        &self,
        project: ProjectId,
        source: &MintSource,
    ) -> Result<(Arc<Connector>, Option<Arc<Component>>), NoRoute> {
        match source {
            MintSource::Connector(text) => {
                let found = self.find_connector(project, text).await;
                Ok((found.map_err(|error| NoRoute::Unfound("connector", error))?, None))
            }
            MintSource::Component(text) => {
                let found = self.find_component(project, text).await;
                let component = found.map_err(|error| NoRoute::Unfound("component", error))?;
                let Some(link) = &component.link else { return Err(not_linked(&component).into()) };
                let connector = self.connector(project, link.connector).await;
                Ok((connector.map_err(|error| BrokerError::of("connector", &error))?, Some(component)))
            }
        }
    }
}

/// The canonical resource, within all that link and connector fix.
fn bounded(
    kind: &dyn AnyConnectorType,
    settings: &CheckedSettings,
    resource_type: &ResourceTypeName,
    asked: Option<&str>,
    bounds: [Option<&ResourceId>; 2],
) -> Result<ResourceId, FieldError> {
    let implied = bounds.into_iter().flatten().next().map(ResourceId::as_str);
    let resource = kind.canonical(&settings.json, resource_type, asked.or(implied))?;
    for bound in bounds.into_iter().flatten() {
        if !kind.contains(resource_type, bound, &resource) {
            return Err(FieldError::new("resource_id", format!("must lie within {bound}")));
        }
    }
    Ok(resource)
}

fn not_linked(component: &Component) -> BrokerError {
    BrokerError::Precondition {
        code: "NOT_LINKED",
        message: format!("component {} is not linked to a connector", component.name),
        hint: format!("valetkey component connect {} --connector NAME", component.name),
    }
}

pub(super) fn digest(connector: &Connector, resource_type: &ResourceTypeName, scope: &NarrowedScope) -> [u8; 32] {
    let policy = serde_json::to_vec(&connector.policy).unwrap_or_default();
    let version = connector.secret.lineage.to_be_bytes();
    let parts: [&[u8]; 7] = [
        connector.project.as_bytes(),
        connector.id.as_bytes(),
        &version,
        connector.settings.as_bytes(),
        &policy,
        resource_type.as_str().as_bytes(),
        scope.json.as_bytes(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

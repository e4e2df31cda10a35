//! Records read on the mint path, kept as long as the store's revision stands
//! still: any acknowledged change makes all of them stale at once.

use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::{Component, ComponentId, Connector, ConnectorId, PrincipalId, ProjectId, TokenId};
use crate::sealing::SealedCredential;
use crate::store::{Revision, StoreError};

use super::Broker;
use super::authenticate::Known;

/// The most records of each noun in memory.
const LOOKUP_RECORDS_MAX: u64 = 10_000;

/// Records by key, each with the revision that was seen before it was read.
pub(super) struct Lookup<K, V>(moka::sync::Cache<K, (Revision, V)>);

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Lookup<K, V> {
    fn new() -> Self {
        Self(moka::sync::Cache::new(LOOKUP_RECORDS_MAX))
    }

    /// The record as of `revision` or later.
    pub(super) fn fresh(&self, key: &K, revision: Revision) -> Option<V> {
        self.0.get(key).filter(|(seen, _)| *seen == revision).map(|(_, value)| value)
    }

    /// Keeps a record that was read after `revision` was seen.
    pub(super) fn keep(&self, key: K, revision: Revision, value: V) {
        self.0.insert(key, (revision, value));
    }

    /// The record as of `revision`, which was seen before this; read where it
    /// is not here.
    async fn or_read(
        &self,
        key: K,
        revision: Revision,
        read: impl Future<Output = Result<V, StoreError>>,
    ) -> Result<V, StoreError> {
        if let Some(found) = self.fresh(&key, revision) {
            return Ok(found);
        }
        let found = read.await?;
        self.keep(key, revision, found.clone());
        Ok(found)
    }
}

/// All lookups.
pub(super) struct Lookups {
    revision: watch::Receiver<Revision>,
    pub(super) callers: Lookup<TokenId, Arc<Known>>,
    connectors: Lookup<(ProjectId, String), Arc<Connector>>,
    connectors_by_id: Lookup<(ProjectId, ConnectorId), Arc<Connector>>,
    components: Lookup<(ProjectId, String), Arc<Component>>,
    components_by_id: Lookup<(ProjectId, ComponentId), Arc<Component>>,
    sealed: Lookup<(ProjectId, ConnectorId), Arc<SealedCredential>>,
    principals: Lookup<(ProjectId, PrincipalId), String>,
}

impl Lookups {
    pub(super) fn new(revision: watch::Receiver<Revision>) -> Self {
        Self {
            revision,
            callers: Lookup::new(),
            connectors: Lookup::new(),
            connectors_by_id: Lookup::new(),
            components: Lookup::new(),
            components_by_id: Lookup::new(),
            sealed: Lookup::new(),
            principals: Lookup::new(),
        }
    }

    /// The revision now: read it before reading the store.
    pub(super) fn revision(&self) -> Revision {
        *self.revision.borrow()
    }
}

impl Broker {
    /// A connector by name, id or unique prefix of the id.
    pub(super) async fn find_connector(&self, project: ProjectId, text: &str) -> Result<Arc<Connector>, StoreError> {
        let read = async { self.store.resolve_connector(project, text).await.map(Arc::new) };
        self.lookups.connectors.or_read((project, text.to_owned()), self.lookups.revision(), read).await
    }

    /// A principal's name, for a reply; the id when there is none any more.
    pub async fn principal_name(&self, call: &super::Call, id: PrincipalId) -> String {
        let project = call.project();
        let revision = self.lookups.revision();
        if let Some(found) = self.lookups.principals.fresh(&(project, id), revision) {
            return found;
        }
        let name = match self.store.principal(project, id).await {
            Ok(principal) => principal.name.to_string(),
            Err(_) => id.to_string(),
        };
        self.lookups.principals.keep((project, id), revision, name.clone());
        name
    }

    /// A connector's name, for a reply; the id when there is none any more.
    pub async fn connector_name(&self, call: &super::Call, id: ConnectorId) -> String {
        self.connector(call.project(), id).await.map_or_else(|_| id.to_string(), |found| found.name.to_string())
    }

    /// A connector by id, and never by a name that looks like one.
    pub(super) async fn connector(&self, project: ProjectId, id: ConnectorId) -> Result<Arc<Connector>, StoreError> {
        let read = async { self.store.connector(project, id).await.map(Arc::new) };
        self.lookups.connectors_by_id.or_read((project, id), self.lookups.revision(), read).await
    }

    /// A component by name, id or unique prefix of the id.
    pub(super) async fn find_component(&self, project: ProjectId, text: &str) -> Result<Arc<Component>, StoreError> {
        let read = async { self.store.resolve_component(project, text).await.map(Arc::new) };
        self.lookups.components.or_read((project, text.to_owned()), self.lookups.revision(), read).await
    }

    /// A component by id, and never by a name that looks like one.
    pub(super) async fn component(&self, project: ProjectId, id: ComponentId) -> Result<Arc<Component>, StoreError> {
        let read = async { self.store.component(project, id).await.map(Arc::new) };
        self.lookups.components_by_id.or_read((project, id), self.lookups.revision(), read).await
    }

    /// The sealed source credential of a connector.
    pub(super) async fn sealed(
        &self,
        project: ProjectId,
        id: ConnectorId,
    ) -> Result<Arc<SealedCredential>, StoreError> {
        let read = async { self.store.sealed_credential(project, id).await.map(Arc::new) };
        self.lookups.sealed.or_read((project, id), self.lookups.revision(), read).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::House;
    use super::*;
    use crate::audit::{Line, LineKind, Outcome};
    use crate::store::{Transactions as _, Tx, Write};

    /// A name may look like an id: whoever takes that of a linked connector
    /// would have what is minted through the link come from its own.
    #[tokio::test]
    async fn an_id_leads_to_no_record_that_is_named_like_it() {
        let house = House::new().await;
        let id = ConnectorId::from_bytes([0xbe; 16]);
        let prod = house.connector_with(&house.home, "prod", |connector| connector.id = id).await;
        let shadow = house.connector(&house.home, &id.to_string()).await;
        let found = house.broker.connector(house.home.id, id).await;
        assert_eq!(found.as_deref(), Ok(&prod));
        assert_eq!(house.broker.find_connector(house.home.id, &id.to_string()).await.as_deref(), Ok(&prod));
        // Nor when the record that had the id is gone.
        let line = Line::about("test/gone", LineKind::Single, Outcome::Ok);
        let gone = Write::DeleteConnector { project: house.home.id, id, expected: prod.version };
        house.store.commit(Tx::with_line(line).write(gone)).await.unwrap();
        assert_eq!(house.broker.connector(house.home.id, id).await.err(), Some(StoreError::NotFound));
        assert_eq!(house.broker.find_connector(house.home.id, &id.to_string()).await.as_deref(), Ok(&shadow));
    }
}

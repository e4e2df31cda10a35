//! List and describe connectors: each caller sees what its bindings are about,
//! and account ids, roles and identities only with the permission for it.

use std::collections::BTreeSet;

use crate::authz::{Permission, Visible, visible_scope};
use crate::connectors::{AnyConnectorType, find};
use crate::domain::{
    AuthMethodName, Connector, ConnectorId, ConnectorTypeName, Labels, Onlooker, Page, PageAsk, ResourceTypeName,
    warnings,
};

use crate::store::StoreError;

use super::super::gate::Known;
use super::super::{Broker, BrokerError, Call};

/// The most pages of the store that one page of a filtered list reads.
const ROUNDS_MAX: usize = 20;

/// Which connectors are wished for.
#[derive(Debug, Clone, Default)]
pub struct ConnectorFilter {
    /// Of this type.
    pub connector_type: Option<ConnectorTypeName>,
    /// That can serve this resource type.
    pub resource_type: Option<ResourceTypeName>,
    /// With all these labels.
    pub labels: Labels,
}

/// A connector as one caller may see it.
#[derive(Debug, Clone)]
pub struct ConnectorSeen {
    /// The record.
    pub connector: Connector,
    /// Settings, identity and fingerprint may be shown.
    pub settings_visible: bool,
    /// What to look at.
    pub warnings: Vec<String>,
}

impl Broker {
    /// Lists connectors by name.
    ///
    /// # Errors
    /// `Denied`; `Unavailable`.
    pub async fn list_connectors(
        &self,
        call: &Call,
        filter: &ConnectorFilter,
        page: &PageAsk,
    ) -> Result<Page<ConnectorSeen>, BrokerError> {
        self.permit(call, Permission::ConnectorsList).await?;
        let found = match visible_scope(&call.caller.subject, Permission::ConnectorsList, self.clock.now()) {
            Visible::All => self.all_connectors(call, filter, page).await,
            Visible::Only { connectors, .. } => self.narrow_connectors(call, &connectors, filter, page).await,
        };
        let found = found.map_err(|error| BrokerError::of("connector", &error))?;
        let items = found.items.into_iter().map(|connector| self.seen(call, connector)).collect();
        Ok(Page { items, next: found.next })
    }

    async fn all_connectors(
        &self,
        call: &Call,
        filter: &ConnectorFilter,
        page: &PageAsk,
    ) -> Result<Page<Connector>, StoreError> {
        let mut items = Vec::new();
        let mut after = page.after.clone();
        for _ in 0..ROUNDS_MAX {
            let room = page.size.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
            if room == 0 {
                break;
            }
            let ask = PageAsk { size: room, after: after.clone() };
            let kind = filter.connector_type.as_ref();
            let read = self.store.connectors(call.project(), kind, &filter.labels, &ask).await?;
            items.extend(read.items.into_iter().filter(|connector| serves(connector, filter)));
            after = read.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Page { items, next: after })
    }

    /// Made from the caller's bindings and not from the project's list: a page
    /// of that would show, by its size and its token, what is between.
    pub(in crate::broker) async fn narrow_connectors(
        &self,
        call: &Call,
        visible: &BTreeSet<ConnectorId>,
        filter: &ConnectorFilter,
        page: &PageAsk,
    ) -> Result<Page<Connector>, StoreError> {
        let mut seen = Vec::new();
        for id in visible {
            match self.connector(call.project(), *id).await {
                Ok(found) => seen.push(Connector::clone(&found)),
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        seen.retain(|connector| serves(connector, filter) && connector.labels.contain(&filter.labels));
        seen.retain(|connector| filter.connector_type.as_ref().is_none_or(|kind| *kind == connector.connector_type));
        seen.retain(|connector| page.after.as_ref().is_none_or(|after| connector.name.as_str() > after.as_str()));
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let more = seen.len() > size;
        seen.truncate(size);
        let next = if more { seen.last().map(|connector| connector.name.to_string()) } else { None };
        Ok(Page { items: seen, next })
    }

    /// Describes one connector.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn describe_connector(&self, call: &Call, text: &str) -> Result<ConnectorSeen, BrokerError> {
        let (connector, _) = self.permitted_connector(call, text, Permission::ConnectorsDescribe).await?;
        Ok(self.seen(call, Connector::clone(&connector)))
    }

    /// The record with what this caller may see of it. Asking is no call of
    /// its own: nothing is written.
    #[must_use]
    pub fn seen(&self, call: &Call, connector: Connector) -> ConnectorSeen {
        let now = self.clock.now();
        let settings_visible = self.allowed(call, Permission::ConnectorsReadSettings, Known::connector(connector.id));
        let kind = find(connector.connector_type.as_str());
        let rotates = kind.is_some_and(|kind| rotates(kind, &connector.auth_method));
        let dangers = kind.map(|kind| kind.dangers(&connector.settings)).unwrap_or_default();
        let warnings = warnings(&connector, &dangers, Onlooker { settings_visible, rotates }, now);
        ConnectorSeen { connector, settings_visible, warnings }
    }
}

/// Whether the cloud can make the next source credential.
fn rotates(kind: &dyn AnyConnectorType, auth_method: &AuthMethodName) -> bool {
    kind.description().methods.iter().any(|method| method.name == auth_method.as_str() && method.rotates)
}

fn serves(connector: &Connector, filter: &ConnectorFilter) -> bool {
    let Some(wanted) = &filter.resource_type else { return true };
    match &connector.resource_type {
        Some(fixed) => fixed == wanted,
        None => find(connector.connector_type.as_str())
            .is_some_and(|kind| kind.description().resources.iter().any(|r| r.name == wanted.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::fixture::House;
    use crate::connectors::{CATALOG, MethodDescription};
    use crate::domain::{AuthMethodName, Clock as _, Connector, ConnectorTypeName, SecretFieldName, Timestamp};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// What a list says of the secret of such a connector, so many days after
    /// it was registered.
    async fn said(
        house: &House,
        (kind, method): (&str, &MethodDescription),
        ends: Option<u32>,
        after: u32,
    ) -> Vec<String> {
        let born = Timestamp::from_seconds(house.clock.now().seconds() - i64::from(after) * 86_400);
        let change = |connector: &mut Connector| {
            connector.connector_type = ConnectorTypeName::parse(kind).unwrap();
            connector.auth_method = AuthMethodName::parse(method.name).unwrap();
            let fields = method.secrets.iter().map(|field| SecretFieldName::parse(field.name).unwrap());
            connector.secret.fields = fields.collect();
            connector.secret.created_at = born;
            connector.secret.expires_at = ends.map(|days| born.plus(DAY * days));
        };
        let name = format!("vault-{kind}-{}-{after}-{}", method.name, ends.unwrap_or_default());
        house.connector_with(&house.home, &name, change).await;
        let seen = house.broker.describe_connector(&house.call(&house.engineer).await, &name).await.unwrap();
        seen.warnings.into_iter().map(|warning| warning.replace(&name, "vault")).collect()
    }

    #[tokio::test]
    async fn each_kind_of_secret_is_warned_about_when_it_ends_soon_has_ended_or_is_old() {
        let house = House::new().await;
        for kind in CATALOG {
            for method in &kind.description().methods {
                let what = format!("{} {}", kind.description().name, method.name);
                let command = if method.rotates { "rotate-secret vault --auto`" } else { "rotate-secret vault`" };
                let told = |said: &[String], head: &str| {
                    let [only] = said else { panic!("{what}: {said:?}") };
                    assert!(only.contains(head) && only.contains(command), "{what}: {only}");
                };
                let (which, stored) = ((kind.description().name, method), !method.secrets.is_empty());
                assert_eq!(said(&house, which, None, 89).await, [""; 0], "{what}");
                match said(&house, which, None, 91).await.as_slice() {
                    [] if !stored => {}
                    said => told(said, "91 days old"),
                }
                if stored {
                    assert_eq!(said(&house, which, Some(20), 15).await, [""; 0], "{what}");
                    told(&said(&house, which, Some(20), 17).await, "ends in 3 days");
                    told(&said(&house, which, Some(20), 21).await, "EXPIRED");
                }
            }
        }
    }

    #[tokio::test]
    async fn dangerous_settings_are_told_to_whoever_sees_the_connector() {
        for (endpoint, dangerous) in [("open-vault", true), ("shut-vault", false)] {
            let house = House::new().await;
            house.connector_at(&house.home.clone(), "vault", endpoint, |_| {}).await;
            for who in [&house.engineer, &house.scientist] {
                let seen = house.broker.describe_connector(&house.call(who).await, "vault").await.unwrap();
                let said = seen.warnings.first().is_some_and(|first| first.starts_with("INSECURE: "));
                assert_eq!(said, dangerous, "{endpoint}: {:?}", seen.warnings);
            }
        }
    }
}

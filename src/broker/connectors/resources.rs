//! List the resources of the cloud that a connector reaches.

use crate::audit::{Outcome, Reason};
use crate::authz::Permission;
use crate::connectors::{ListAsk, UpstreamError};
use crate::domain::{FieldError, Reach, ResourceTypeName};

use super::super::{Broker, BrokerError, Call};
use super::VERIFY_DEADLINE;
use super::source::{known_resource_type, type_of};

/// What to list.
#[derive(Debug, Clone)]
pub struct ResourcesAsk {
    /// Name, id, or unique prefix of the id.
    pub connector: String,
    /// Of this type only.
    pub resource_type: Option<ResourceTypeName>,
    /// At most this many ids of each type.
    pub limit: u32,
    /// Where to go on.
    pub page: Option<String>,
}

impl Broker {
    /// Lists what a connector reaches; ids outside its ceiling are left out.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` with the field; `Upstream`.
    pub async fn list_connector_resources(&self, call: &Call, ask: ResourcesAsk) -> Result<Vec<Reach>, BrokerError> {
        let permission = Permission::ConnectorsListResources;
        let (connector, permit) = self.permitted_connector(call, &ask.connector, permission).await?;
        let kind = type_of(&connector)?;
        let resource_type = match (&connector.resource_type, ask.resource_type) {
            (_, Some(asked)) => {
                known_resource_type(kind, &asked)?;
                Some(connector.resource_type_for(Some(&asked))?)
            }
            (fixed, None) => fixed.clone(),
        };
        if ask.page.is_some() && resource_type.is_none() {
            return Err(FieldError::new("resource_type", "is needed with page_token").into());
        }
        let resource = connector.resource_id.clone();
        let list = ListAsk { resource_type, resource, limit: ask.limit, page: ask.page };
        let entry = self.open_on(call, &connector, &[]).await?;
        let (upstream, settings) = (self.upstream_for(call, &connector, None, &entry), connector.settings.clone());
        let asked = self.with_secret(&connector, &permit, &entry, move |secret| {
            Box::pin(async move {
                let asked = kind.list_resources(&upstream, &settings, secret, &list);
                tokio::time::timeout(VERIFY_DEADLINE, asked).await.unwrap_or(Err(UpstreamError::DeadlineExceeded))
            })
        });
        match asked.await.and_then(|answer| answer.map_err(BrokerError::from)) {
            Ok(mut reach) => {
                for found in &mut reach {
                    found.resource_ids.retain(|id| connector.policy.covers(id));
                }
                self.close_entry(call, entry.result(Outcome::Ok, Reason::default())).await?;
                Ok(reach)
            }
            Err(error) => Err(self.close_failed(call, &entry, error).await),
        }
    }
}

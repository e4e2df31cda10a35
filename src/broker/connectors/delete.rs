//! Delete a connector. What it minted lives on at the cloud until it expires:
//! the reply says how much and how long.

use serde::{Deserialize, Serialize};

use crate::audit::{Line, Outcome};
use crate::authz::Permission;
use crate::domain::page::PAGE_SIZE_MAX;
use crate::domain::{BindingTarget, PageAsk, Timestamp, Version};
use crate::store::{IssuanceFilter, Tx, Write};

use super::super::{Broker, BrokerError, Call, Once};

/// What a deletion leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Credentials minted from it that are still alive.
    pub outstanding: u32,
    /// When the last of them ends.
    pub outstanding_until: Option<Timestamp>,
    /// Role bindings on it that are gone with it.
    #[serde(default)]
    pub removed_bindings: u32,
}

impl Broker {
    /// Deletes a connector, its sealed credential and the role bindings on it,
    /// each of which has a line in the ledger.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Stale`; `Precondition` naming the components
    /// that are linked to it, or when too many bindings are on it.
    pub async fn delete_connector(
        &self,
        call: &Call,
        text: &str,
        expected: Option<Version>,
        once: Option<Once>,
    ) -> Result<Deleted, BrokerError> {
        if let Some(earlier) = self.recall(call, once.as_ref()).await? {
            return Ok(earlier);
        }
        let (connector, _) = self.permitted_connector(call, text, Permission::ConnectorsDelete).await?;
        let filter = IssuanceFilter {
            connector: Some(connector.id),
            active_at: Some(self.clock.now()),
            ..IssuanceFilter::default()
        };
        let mut deleted = self.outstanding(call, &filter).await?;
        let expected = expected.unwrap_or(connector.version);
        let line = Line { connector: Some(connector.id), ..call.line(Outcome::Ok, "") }
            .with_detail("outstanding", &deleted.outstanding.to_string());
        let tx =
            Tx::with_line(line).write(Write::DeleteConnector { project: call.project(), id: connector.id, expected });
        let target = BindingTarget::Connector(connector.id);
        let (removed, tx) = self.gone_with(call, target, "GONE_WITH_CONNECTOR", tx).await?;
        deleted.removed_bindings = removed;
        let tx = tx.remember(self.remember(call, once.as_ref(), &deleted)?);
        let committed = self.commit(call, "connector", tx).await;
        self.forget_minted(connector.id);
        self.settled(call, once.as_ref(), deleted, committed).await
    }

    /// All of them, however many pages they take.
    async fn outstanding(&self, call: &Call, filter: &IssuanceFilter) -> Result<Deleted, BrokerError> {
        let mut found = Deleted { outstanding: 0, outstanding_until: None, removed_bindings: 0 };
        let mut page = PageAsk { size: PAGE_SIZE_MAX, after: None };
        loop {
            let alive = self.store.issuances_to_end(call.project(), filter, &page).await;
            let alive = alive.map_err(|error| BrokerError::of("issuance", &error))?;
            found.outstanding = found.outstanding.saturating_add(u32::try_from(alive.items.len()).unwrap_or(u32::MAX));
            found.outstanding_until = alive.items.iter().map(|one| one.expires_at).chain(found.outstanding_until).max();
            page.after = alive.next;
            if page.after.is_none() {
                return Ok(found);
            }
        }
    }
}

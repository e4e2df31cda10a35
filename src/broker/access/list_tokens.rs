//! List tokens, without their secrets or digests.

use serde::{Deserialize, Serialize};

use crate::domain::{Name, PrincipalId, Timestamp, TokenId, TokenRecord};

use super::super::{Broker, BrokerError, Call};

/// A token as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSeen {
    /// The public part.
    pub id: TokenId,
    /// Whose it is.
    pub principal: Name,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who made it; nobody for the first owner's.
    pub created_by: Option<PrincipalId>,
}

impl TokenSeen {
    /// What may be shown of `record`.
    #[must_use]
    pub fn of(record: &TokenRecord, principal: Name) -> Self {
        Self {
            id: record.id.clone(),
            principal,
            description: record.description.clone(),
            created_at: record.created_at,
            expires_at: record.expires_at,
            created_by: record.created_by,
        }
    }
}

impl Broker {
    /// Lists tokens, newest first: one's own, or with the permission for it
    /// another's.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn list_tokens(&self, call: &Call, principal: Option<&str>) -> Result<Vec<TokenSeen>, BrokerError> {
        let holder = self.token_holder(call, principal).await?;
        let found = self.store.tokens_of(call.project(), holder.id).await;
        let found = found.map_err(|error| BrokerError::of("token", &error))?;
        Ok(found.iter().map(|record| TokenSeen::of(record, holder.name.clone())).collect())
    }
}

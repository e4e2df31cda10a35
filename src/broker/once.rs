//! The same request with the same id is done once.

use serde::Serialize;
use serde::de::DeserializeOwned;

use sha2::{Digest, Sha256};

use crate::domain::RequestId;
use crate::sealing::SourceCredential;
use crate::store::Remembered;

use super::Broker;
use super::call::Call;
use super::error::{BrokerError, request_id_reused};

/// What makes a request the same: its id, and a digest of method and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The client's id.
    pub request_id: RequestId,
    /// SHA-256 of method and body, the secret fields as digests.
    pub body_digest: [u8; 32],
}

impl Broker {
    /// The same with the secret that came along: a keyed digest, because a
    /// plain one of a weak password could be guessed from the store.
    pub(super) fn once_with(
        &self,
        call: &Call,
        once: Option<Once>,
        secret: &SourceCredential,
    ) -> Result<Option<Once>, BrokerError> {
        let Some(once) = once else { return Ok(None) };
        if secret.is_empty() {
            return Ok(Some(once));
        }
        let tag = self.keyring.fingerprint(call.project(), secret)?;
        let body_digest = Sha256::new().chain_update(once.body_digest).chain_update(tag).finalize().into();
        Ok(Some(Once { body_digest, ..once }))
    }

    /// The answer of an earlier time, when there was one.
    pub(super) async fn recall<T: DeserializeOwned>(
        &self,
        call: &Call,
        once: Option<&Once>,
    ) -> Result<Option<T>, BrokerError> {
        let Some(once) = once else { return Ok(None) };
        let kept = self.store.recall(call.project(), call.principal().id, once.request_id).await;
        let Some(kept) = kept.map_err(|error| BrokerError::of("request", &error))? else { return Ok(None) };
        if kept.body_digest != once.body_digest {
            return Err(request_id_reused());
        }
        let answer = serde_json::from_slice(&kept.response);
        answer.map(Some).map_err(|_| BrokerError::Internal { what: "a kept answer does not parse" })
    }

    /// The answer to keep with the change. Never holds a secret: the domain's
    /// records have none.
    pub(super) fn remember<T: Serialize>(
        &self,
        call: &Call,
        once: Option<&Once>,
        answer: &T,
    ) -> Result<Option<Remembered>, BrokerError> {
        let Some(once) = once else { return Ok(None) };
        let response =
            serde_json::to_vec(answer).map_err(|_| BrokerError::Internal { what: "an answer cannot be kept" })?;
        Ok(Some(Remembered {
            project: call.project(),
            principal: call.principal().id,
            request_id: once.request_id,
            body_digest: once.body_digest,
            response,
            at: self.clock.now(),
        }))
    }

    /// What a commit answered; where another call with the same request id
    /// was quicker, its answer.
    pub(super) async fn settled<T: DeserializeOwned>(
        &self,
        call: &Call,
        once: Option<&Once>,
        answer: T,
        committed: Result<crate::store::Committed, BrokerError>,
    ) -> Result<T, BrokerError> {
        match committed {
            Ok(_) => Ok(answer),
            Err(error) => match self.recall(call, once).await {
                Ok(Some(earlier)) => Ok(earlier),
                Ok(None) => Err(error),
                Err(reused) => Err(reused),
            },
        }
    }
}

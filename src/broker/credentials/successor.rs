//! The source credential that replaces one that was used up: checked, sealed
//! under the next version, and stored in the transaction that ends the entry.
//!
//! Nothing may be handed out before. When it cannot be stored it is lost, and
//! the ledger, the log and the caller are told so.

use std::time::Duration;

use crate::audit::{OpenEntry, Outcome, Reason};
use crate::domain::{Connector, VerificationState};
use crate::sealing::{SealedCredential, SourceCredential};
use crate::store::{StoreError, Tx, Write};

use super::super::connectors::{check_successor, seal_context, stored_settings, type_of};
use super::super::{Broker, BrokerError, Call};
use super::plan::changed_meanwhile;

/// How often a commit is tried: the cloud has rotated, there is no way back.
const COMMITS_MAX: u32 = 5;
/// Between two tries, times their number.
const PAUSE: Duration = Duration::from_millis(100);

impl Broker {
    /// Stores what replaces the credential of `used`, with what `finish` says
    /// of the connector as it will be: the rest of the transaction, stamped,
    /// and what to answer once it is durable.
    ///
    /// # Errors
    /// What `finish` says; `Precondition` when the successor was lost.
    pub(in crate::broker) async fn succeed(
        &self,
        call: &Call,
        entry: &OpenEntry,
        used: &Connector,
        successor: &SourceCredential,
        finish: impl Fn(&mut Connector) -> (Tx, Result<(), BrokerError>) + Send + Sync,
    ) -> Result<(), BrokerError> {
        let mut current = used.clone();
        for attempt in 1..=COMMITS_MAX {
            let Ok((mut new, sealed)) = self.replaced(&current, successor) else { break };
            let (tx, answer) = finish(&mut new);
            let write = Write::UpdateConnector { connector: new, expected: current.version, sealed: Some(sealed) };
            match self.store.commit(Tx { writes: [vec![write], tx.writes].concat(), ..tx }).await {
                Ok(_) => {
                    call.record.mark_lined();
                    return answer;
                }
                // Deleted meanwhile: nobody will use either.
                Err(StoreError::NotFound) => return Err(self.close_failed(call, entry, changed_meanwhile()).await),
                Err(StoreError::Stopped) => break,
                Err(StoreError::Stale) => match self.store.connector(used.project, used.id).await {
                    Ok(newer) if newer.secret.version == used.secret.version => current = newer,
                    // A person handed in another one: this one is of no use.
                    Ok(newer) if newer.secret.lineage != used.secret.lineage => {
                        return Err(self.close_failed(call, entry, changed_meanwhile()).await);
                    }
                    Err(StoreError::NotFound) => {
                        return Err(self.close_failed(call, entry, changed_meanwhile()).await);
                    }
                    Ok(_) => break,
                    Err(_) => tokio::time::sleep(PAUSE * attempt).await,
                },
                Err(_) => tokio::time::sleep(PAUSE * attempt).await,
            }
        }
        Err(self.close_lost(call, entry, used).await)
    }

    /// The record with its new credential, sealed.
    fn replaced(
        &self,
        current: &Connector,
        successor: &SourceCredential,
    ) -> Result<(Connector, SealedCredential), BrokerError> {
        let now = self.clock.now();
        let mut new = current.clone();
        new.secret.version = current.secret.version + 1;
        new.secret.created_at = now;
        self.mark(&mut new, successor)?;
        new.version = current.version.next();
        if new.verification.state == VerificationState::Failing {
            new.verification = self.accepted(current);
        }
        check_successor(type_of(&new)?, &mut new, successor, now)?;
        let sealed = self.keyring.seal(&seal_context(&new, &stored_settings(&new)?), successor)?;
        Ok((new, sealed))
    }

    async fn close_lost(&self, call: &Call, entry: &OpenEntry, connector: &Connector) -> BrokerError {
        tracing::error!(
            connector = %connector.id,
            seq = entry.seq().0,
            "the cloud replaced a source credential and its successor could not be stored; \
             hand in a new one with connector rotate-secret"
        );
        let lost = BrokerError::Precondition {
            code: "SUCCESSOR_LOST",
            message: "the cloud replaced the source credential, and what replaced it could not be stored".to_owned(),
            hint: "hand in a new one with connector rotate-secret; until then the cloud may refuse the old one"
                .to_owned(),
        };
        let result = entry.result(Outcome::Failed, Reason::new(lost.code()));
        if self.close_entry(call, result).await.is_err() {
            tracing::error!(seq = entry.seq().0, "a ledger entry could not be closed");
        }
        lost
    }
}

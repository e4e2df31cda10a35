//! Use cases between an intent and its result.

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::authz::Permit;
use crate::store::{Committed, Tx};

use super::Broker;
use super::call::Call;
use super::error::BrokerError;
use super::gate::Known;

impl Broker {
    /// Commits the change of a connector that `permit` allowed, with the
    /// result line that closes its entry. When the change is refused the entry
    /// is closed as failed.
    pub(super) async fn commit_entry(
        &self,
        call: &Call,
        permit: &Permit,
        entry: &OpenEntry,
        change: impl FnOnce(Tx) -> Tx + Send,
    ) -> Result<Committed, BrokerError> {
        let tx = change(Tx::with_line(entry.result(Outcome::Ok, Reason::default())));
        let committed = match self.permit_again(call, permit).await {
            Ok(()) => self.commit(call, "connector", tx).await,
            Err(ended) => Err(ended),
        };
        match committed {
            Ok(committed) => Ok(committed),
            Err(error) => Err(self.close_failed(call, entry, error).await),
        }
    }

    /// Decides once more, now that a cloud was asked: what allowed the change
    /// may have ended meanwhile.
    pub(super) async fn permit_again(&self, call: &Call, permit: &Permit) -> Result<(), BrokerError> {
        let known = Known { connector: permit.connector(), component: None };
        self.permit_on(call, permit.permission(), known, None).await.map(drop)
    }

    /// Closes an entry that changed nothing in the store.
    pub(super) async fn close_entry(&self, call: &Call, result: Line) -> Result<(), BrokerError> {
        self.write_line(&call.record, result).await
    }

    /// Closes an entry as failed and gives the error back. When even that
    /// line cannot be written the entry stays open, and the next start of the
    /// daemon closes it as unknown: the caller gets the first error.
    pub(super) async fn close_failed(&self, call: &Call, entry: &OpenEntry, error: BrokerError) -> BrokerError {
        let result = entry.result(Outcome::Failed, Reason::new(error.code()));
        if self.write_line(&call.record, result).await.is_err() {
            tracing::error!(seq = entry.seq().0, "a ledger entry could not be closed");
        }
        error
    }
}

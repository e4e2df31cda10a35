//! Verify a stored connector again, and keep what was found.

use crate::authz::Permission;
use crate::domain::Connector;
use crate::store::{Tx, Write};

use super::super::{Broker, BrokerError, Call};
use super::probe::verified_line;
use super::source::stored_settings;

impl Broker {
    /// Asks the cloud about a stored connector and keeps the answer. That the
    /// cloud refuses is an answer: the state becomes `failing`.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Upstream` when the cloud gave no answer, which
    /// leaves the state as it was; `DataLoss` when the seal does not open.
    pub async fn verify_connector(&self, call: &Call, text: &str) -> Result<Connector, BrokerError> {
        let (old, permit) = self.permitted_connector(call, text, Permission::ConnectorsVerify).await?;
        if stored_settings(&old)?.exclusive {
            return Box::pin(self.verify_alone(call, &old, &permit)).await;
        }
        let entry = self.open_on(call, &old, &[]).await?;
        let verification = match self.verify_stored(call, &old, &permit, &entry).await {
            Ok(Ok(verification)) => verification,
            Ok(Err(error)) if error.recoverable() => {
                return Err(self.close_failed(call, &entry, error.into()).await);
            }
            Ok(Err(error)) => self.failing(&old, &error),
            Err(error) => return Err(self.close_failed(call, &entry, error).await),
        };
        let mut new = Connector::clone(&old);
        let line = verified_line(&entry, verification.state);
        new.verification = verification;
        new.version = old.version.next();
        let write = Write::UpdateConnector { connector: new.clone(), expected: old.version, sealed: None };
        let tx = Tx::with_line(line).write(write);
        let committed = match self.permit_again(call, &permit).await {
            Ok(()) => self.commit(call, "connector", tx).await,
            Err(ended) => Err(ended),
        };
        match committed {
            Ok(_) => Ok(new),
            Err(error) => Err(self.close_failed(call, &entry, error).await),
        }
    }
}

//! Replace a source credential: verify the new one, seal it, and stop serving
//! what the old one minted before the change is acknowledged.

use crate::authz::Permission;
use crate::domain::{Connector, FieldError, Timestamp, Version};
use crate::sealing::SourceCredential;
use crate::store::Write;

use super::super::{Broker, BrokerError, Call, Once};
use super::probe::{asks_cloud, unstored};
use super::source::{check_secret_aside, seal_context, stored_settings, type_of};

/// The new source credential. Not Debug: it holds the secret.
pub struct Rotate {
    /// Name, id, or unique prefix of the id.
    pub connector: String,
    /// The new source credential, whole.
    pub secret: SourceCredential,
    /// The version it was read at; the current one otherwise.
    pub expected: Option<Version>,
    /// When the new source credential ends.
    pub secret_expires_at: Option<Timestamp>,
    /// Do not ask the cloud.
    pub skip_verify: bool,
    /// Store nothing.
    pub validate_only: bool,
    /// What makes the request the same.
    pub once: Option<Once>,
}

impl Broker {
    /// Replaces the source credential of a connector.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Stale`; `Invalid` with the field; `Upstream` when
    /// the cloud does not accept the new one: the old one stays.
    pub async fn rotate_connector_secret(&self, call: &Call, mut ask: Rotate) -> Result<Connector, BrokerError> {
        let permission = Permission::ConnectorsRotateSecret;
        let (old, permit) = self.permitted_connector(call, &ask.connector, permission).await?;
        ask.once = self.once_with(call, ask.once, &ask.secret)?;
        if let Some(earlier) = self.recall(call, ask.once.as_ref()).await? {
            return Ok(earlier);
        }
        let expected = ask.expected.unwrap_or(old.version);
        if old.version != expected {
            return Err(BrokerError::Stale { noun: "connector" });
        }
        let mut new = self.with_new_secret(&old, &mut ask).await?;
        let asks = asks_cloud(&new, ask.skip_verify, ask.validate_only)?;
        let detail = if asks { "asked" } else { "skipped" };
        let entry = self.open_on(call, &old, &[("verify", detail)]).await?;
        let mut used_up = false;
        if asks {
            match self.verify_new(call, &mut new, &mut ask.secret, &entry).await {
                Ok(used) => used_up = used,
                Err(error) => return Err(self.close_failed(call, &entry, error).await),
            }
        }
        if ask.validate_only {
            self.close_validated(call, &entry).await?;
            return Ok(new);
        }
        let settings = stored_settings(&new)?;
        let sealed = match self.keyring.seal(&seal_context(&new, &settings), &ask.secret) {
            Ok(sealed) => Some(sealed),
            Err(error) => return Err(self.close_failed(call, &entry, unstored(used_up, error.into())).await),
        };
        let kept = self.remember(call, ask.once.as_ref(), &new)?;
        let write = Write::UpdateConnector { connector: new.clone(), expected, sealed };
        let committed = self.commit_entry(call, &permit, &entry, |tx| tx.write(write).remember(kept)).await;
        let committed = committed.map_err(|error| unstored(used_up, error));
        self.forget_minted(new.id);
        self.settled(call, ask.once.as_ref(), new, committed).await
    }

    async fn with_new_secret(&self, old: &Connector, ask: &mut Rotate) -> Result<Connector, BrokerError> {
        let now = self.clock.now();
        if ask.secret_expires_at.is_some_and(|end| end <= now) {
            return Err(FieldError::new("secret_expires_at", "is in the past").into());
        }
        let mut new = old.clone();
        new.secret.version += 1;
        new.secret.lineage = new.secret.version;
        new.secret.created_at = now;
        // A person took over: what the cloud made before is theirs to look after.
        new.secret.rotation = None;
        new.secret.expires_at = ask.secret_expires_at;
        self.mark(&mut new, &ask.secret)?;
        new.verification = self.unverified();
        new.updated_at = now;
        new.version = old.version.next();
        check_secret_aside(type_of(&new)?, &mut new, &mut ask.secret, now).await?;
        Ok(new)
    }
}

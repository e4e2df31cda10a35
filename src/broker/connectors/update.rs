//! Change a connector. A change of where the secret is sent needs the secret
//! handed in again, so that nobody can point a stored secret at a server of
//! their own.

use std::sync::Arc;

use crate::audit::OpenEntry;
use crate::authz::{Permission, Permit};
use crate::connectors::CheckedSettings;
use crate::domain::{Connector, FieldError, Labels, MintPolicy, Name, Timestamp, Version};
use crate::sealing::SourceCredential;
use crate::store::{Guard, Tx, Write};

use super::super::{Broker, BrokerError, Call, Once};
use super::probe::unstored;
use super::register::{ALLOW_PASSTHROUGH, check_policy};
use super::source::{check_secret_aside, check_tolerance, seal_context, stored_settings, type_of};

/// What is to be changed: only what is given.
pub struct Update {
    /// Name, id, or unique prefix of the id.
    pub connector: String,
    /// The version it was read at.
    pub expected: Version,
    /// The new name.
    pub name: Option<Name>,
    /// The new description.
    pub description: Option<String>,
    /// The new labels.
    pub labels: Option<Labels>,
    /// The new settings, a JSON object.
    pub settings: Option<String>,
    /// The new ceiling.
    pub policy: Option<MintPolicy>,
    /// The new end of the source credential, or none.
    pub secret_expires_at: Option<Option<Timestamp>>,
    /// How many seconds before its end it counts as ended from now on.
    pub secret_skew_tolerance: Option<u32>,
    /// The source credential again; empty when it is not handed in.
    pub secret: SourceCredential,
    /// Do not ask the cloud.
    pub skip_verify: bool,
    /// Store nothing.
    pub validate_only: bool,
    /// What makes the request the same.
    pub once: Option<Once>,
}

impl Broker {
    /// Changes a connector.
    ///
    /// # Errors
    /// `Denied`, also for whoever mints from it by a grant of their own;
    /// `NotFound`; `Stale`; `Invalid` with the field; `Precondition` when the
    /// secret is needed again; `Upstream` when the cloud does not accept the
    /// new settings.
    pub async fn update_connector(&self, call: &Call, mut ask: Update) -> Result<Connector, BrokerError> {
        let (old, permit) = self.permitted_connector(call, &ask.connector, Permission::ConnectorsUpdate).await?;
        ask.once = self.once_with(call, ask.once, &ask.secret)?;
        if let Some(earlier) = self.recall(call, ask.once.as_ref()).await? {
            return Ok(earlier);
        }
        if old.version != ask.expected {
            return Err(BrokerError::Stale { noun: "connector" });
        }
        let (mut new, settings) = self.changed(&old, &mut ask).await?;
        let guards = self.for_others(call, &old, &new).await?;
        let resealed = !ask.secret.is_empty();
        // Looking would use the stored credential up: `connector verify` takes
        // the turn for that.
        let changes = resealed || new.settings != old.settings;
        let may_look = !settings.exclusive || (resealed && !ask.validate_only);
        let asks_cloud = !ask.skip_verify && may_look && changes;
        let change = what(&old, &ask);
        let mut details = vec![("change", change.as_str())];
        details.extend(passthrough_change(&old, &ask).map(|change| (ALLOW_PASSTHROUGH, change)));
        let entry = self.open_on(call, &old, &details).await?;
        let mut used_up = false;
        if asks_cloud {
            (new, used_up) = self.verified_change(call, new, &mut ask, &permit, &entry).await?;
        } else if changes {
            new.verification = self.unverified();
        }
        if ask.validate_only {
            self.close_validated(call, &entry).await?;
            return Ok(new);
        }
        let sealed = match resealed.then(|| self.keyring.seal(&seal_context(&new, &settings), &ask.secret)).transpose()
        {
            Ok(sealed) => sealed,
            Err(error) => return Err(self.close_failed(call, &entry, unstored(used_up, error.into())).await),
        };
        let kept = self.remember(call, ask.once.as_ref(), &new)?;
        let write = Write::UpdateConnector { connector: new.clone(), expected: ask.expected, sealed };
        let changed = |tx: Tx| guards.into_iter().fold(tx.write(write).remember(kept), Tx::guard);
        let committed = self.commit_entry(call, &permit, &entry, changed).await;
        let committed = committed.map_err(|error| unstored(used_up, error));
        self.forget_minted(new.id);
        self.settled(call, ask.once.as_ref(), new, committed).await
    }

    /// What a change of the ceiling or the settings needs: that it widens no
    /// grant of the caller's own.
    async fn for_others(&self, call: &Call, old: &Connector, new: &Connector) -> Result<Vec<Guard>, BrokerError> {
        if new.policy == old.policy && new.settings == old.settings {
            return Ok(Vec::new());
        }
        Ok(self.no_own_grant_on(call, old.id).await?.into())
    }

    /// The record as it will be.
    async fn changed(&self, old: &Connector, ask: &mut Update) -> Result<(Connector, CheckedSettings), BrokerError> {
        let kind = type_of(old)?;
        let mut new = old.clone();
        let before = stored_settings(old)?;
        let settings = match &ask.settings {
            Some(json) => {
                let parsed = kind.parse_settings(&old.auth_method, json)?;
                kind.complete(&parsed.json, self.entropy.as_ref())?
            }
            None => before.clone(),
        };
        // Who holds no secret need not show that he knows it.
        let holds_secret = !old.secret.fields.is_empty();
        if settings.destination != before.destination && holds_secret && ask.secret.is_empty() {
            return Err(secret_needed_again());
        }
        new.settings.clone_from(&settings.json);
        if let Some(fixed) = &old.resource_id {
            let resource_type = old.resource_type_for(None)?;
            // A fixed resource must still be the same one under new settings.
            if kind.canonical(&new.settings, &resource_type, Some(fixed.as_str()))? != *fixed {
                return Err(FieldError::new("settings", "change what the connector's fixed resource means").into());
            }
        }
        apply(&mut new, ask);
        check_policy(&new.policy, &settings)?;
        let now = self.clock.now();
        let said = ask.secret_expires_at.unwrap_or_else(|| old.secret.said_end());
        if ask.secret.is_empty() {
            // What the stored one says of itself still cuts what is said.
            new.secret.end_by(said, old.secret.own_end);
            if ask.secret_skew_tolerance.is_some() {
                check_tolerance(&new, now)?;
            }
        } else {
            new.secret.expires_at = said;
            new.secret.version += 1;
            new.secret.lineage = new.secret.version;
            new.secret.created_at = now;
            new.secret.rotation = None;
            self.mark(&mut new, &ask.secret)?;
            check_secret_aside(kind, &mut new, &mut ask.secret, now).await?;
        }
        new.updated_at = now;
        new.version = old.version.next();
        Ok((new, settings))
    }

    /// The record as it will be, and whether looking used up what was handed in.
    async fn verified_change(
        &self,
        call: &Call,
        mut new: Connector,
        ask: &mut Update,
        permit: &Permit,
        entry: &OpenEntry,
    ) -> Result<(Connector, bool), BrokerError> {
        if !ask.secret.is_empty() {
            return match self.verify_new(call, &mut new, &mut ask.secret, entry).await {
                Ok(used_up) => Ok((new, used_up)),
                Err(error) => Err(self.close_failed(call, entry, error).await),
            };
        }
        match self.verify_stored(call, &Arc::new(new.clone()), permit, entry).await {
            Ok(Ok(verification)) => {
                new.verification = verification;
                Ok((new, false))
            }
            Ok(Err(error)) => Err(self.close_failed(call, entry, error.into()).await),
            Err(error) => Err(self.close_failed(call, entry, error).await),
        }
    }
}

fn apply(new: &mut Connector, ask: &Update) {
    if let Some(name) = &ask.name {
        new.name = name.clone();
    }
    if let Some(description) = &ask.description {
        new.description.clone_from(description);
    }
    if let Some(labels) = &ask.labels {
        new.labels = labels.clone();
    }
    if let Some(policy) = &ask.policy {
        new.policy = policy.clone();
    }
    if let Some(seconds) = ask.secret_skew_tolerance {
        new.secret.skew_tolerance = seconds;
    }
}

/// Whether a long-lived secret may leave from now on that might not before, or
/// the other way round.
fn passthrough_change(old: &Connector, ask: &Update) -> Option<&'static str> {
    let new = ask.policy.as_ref()?.allow_passthrough;
    (new != old.policy.allow_passthrough).then_some(if new { "on" } else { "off" })
}

/// Which fields change, for the ledger: names only.
fn what(old: &Connector, ask: &Update) -> String {
    let fields = [
        ("name", ask.name.is_some()),
        ("description", ask.description.is_some()),
        ("labels", ask.labels.is_some()),
        ("settings", ask.settings.is_some()),
        ("mint_policy", ask.policy.is_some()),
        (ALLOW_PASSTHROUGH, passthrough_change(old, ask).is_some()),
        ("secret_expires_at", ask.secret_expires_at.is_some()),
        ("secret_skew_tolerance_seconds", ask.secret_skew_tolerance.is_some()),
        ("secrets", !ask.secret.is_empty()),
        ("skip_verify", ask.skip_verify),
    ];
    let given: Vec<_> = fields.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    given.join(" ")
}

fn secret_needed_again() -> BrokerError {
    BrokerError::Precondition {
        code: "SECRET_NEEDED_AGAIN",
        message: "these settings change where the secret is sent".to_owned(),
        hint: "hand in the whole source credential with the update".to_owned(),
    }
}

//! A stored connector's way to its cloud: settings, sealed credential, and
//! the one call for which it is opened.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::authz::Permit;
use crate::connectors::{AnyConnectorType, CheckedSettings, Lane, ListAsk, UpstreamError, Verified, aside, find};
use crate::domain::{Connector, FieldError, ResourceTypeName, Timestamp, Verification, VerificationState};
use crate::sealing::{SealContext, SourceCredential};

use super::super::{Broker, BrokerError, Call};
use super::{VERIFY_DEADLINE, VERIFY_IDS_MAX};

/// The type of a stored connector.
pub(in crate::broker) fn type_of(connector: &Connector) -> Result<&'static dyn AnyConnectorType, BrokerError> {
    find(connector.connector_type.as_str())
        .ok_or(BrokerError::DataLoss { message: "the connector's type is not one of this server" })
}

/// What a connector's sealed credential is bound to.
pub(in crate::broker) fn seal_context(connector: &Connector, settings: &CheckedSettings) -> SealContext {
    SealContext {
        project: connector.project,
        connector: connector.id,
        connector_type: connector.connector_type.clone(),
        secret_version: connector.secret.version,
        destination: settings.destination,
    }
}

/// The stored settings, parsed.
pub(in crate::broker) fn stored_settings(connector: &Connector) -> Result<CheckedSettings, BrokerError> {
    type_of(connector)?
        .stored_settings(&connector.settings)
        .map_err(|_| BrokerError::DataLoss { message: "the connector's settings do not parse" })
}

/// Checks a secret that somebody hands in, and keeps on `connector` when it
/// ends: the earlier of what stands there, which was said, and what it says of
/// itself. A later word is cut to that, and the reply shows it.
pub(in crate::broker) fn check_secret(
    kind: &dyn AnyConnectorType,
    connector: &mut Connector,
    secret: &SourceCredential,
    now: Timestamp,
) -> Result<(), BrokerError> {
    check_fields(kind, connector, secret)?;
    let own = kind.secret_end(&connector.settings, secret)?;
    if let Some(end) = own.filter(|end| end.at <= now) {
        let problem = format!("has expired: by its own word it ended at {}", end.at);
        return Err(FieldError::new(format!("secrets.{}", end.field), problem).into());
    }
    connector.secret.end_by(connector.secret.expires_at, own.map(|end| end.at));
    check_tolerance(connector, now)?;
    Ok(kind.check_secret(&connector.settings, secret, connector.secret.expires_at, now)?)
}

/// The same beside the thread that serves: a key's passphrase may cost as much
/// as whoever encrypted it liked.
pub(in crate::broker) async fn check_secret_aside(
    kind: &'static dyn AnyConnectorType,
    connector: &mut Connector,
    secret: &mut SourceCredential,
    now: Timestamp,
) -> Result<(), BrokerError> {
    let (taken, mut checked) = (std::mem::take(secret), connector.clone());
    let work = move || {
        let done = check_secret(kind, &mut checked, &taken, now);
        (taken, done.map(|()| checked))
    };
    let (taken, checked) = aside(Lane::HandedIn, work).await.map_err(|_| BrokerError::Exhausted {
        code: "OVERLOADED",
        message: "too many keys are being opened".to_owned(),
        retry_after: Some(Duration::from_secs(5)),
    })?;
    *secret = taken;
    *connector = checked?;
    Ok(())
}

/// The same for what a cloud put in the place of `connector`'s credential. The
/// old one is used up, so an end that has come by the cloud's own word is no
/// reason to lose this one: the clocks differ, and the next mint shows it.
pub(in crate::broker) fn check_successor(
    kind: &dyn AnyConnectorType,
    connector: &mut Connector,
    secret: &SourceCredential,
    now: Timestamp,
) -> Result<(), BrokerError> {
    check_fields(kind, connector, secret)?;
    end_of_successor(kind, connector, secret, now)?;
    Ok(kind.check_secret(&connector.settings, secret, connector.secret.expires_at, now)?)
}

/// What was said of the end stays said; its own word is the successor's.
pub(super) fn end_of_successor(
    kind: &dyn AnyConnectorType,
    connector: &mut Connector,
    secret: &SourceCredential,
    now: Timestamp,
) -> Result<(), BrokerError> {
    let own = kind.secret_end(&connector.settings, secret)?.map(|end| end.at).filter(|end| *end > now);
    connector.secret.end_by(connector.secret.said_end(), own);
    Ok(())
}

/// A tolerance that leaves nothing of a life is a mistake: nothing could be
/// minted, and the connector would be there all the same.
pub(super) fn check_tolerance(connector: &Connector, now: Timestamp) -> Result<(), FieldError> {
    let alive = connector.secret.expires_at.is_some_and(|end| end > now);
    if alive && connector.secret.usable_until().is_some_and(|end| end <= now) {
        let problem = "leaves nothing: with it the source credential counts as expired already";
        return Err(FieldError::new("secret_skew_tolerance_seconds", problem));
    }
    Ok(())
}

/// Only fields that the method has, each within bounds.
fn check_fields(
    kind: &dyn AnyConnectorType,
    connector: &Connector,
    secret: &SourceCredential,
) -> Result<(), BrokerError> {
    let method = kind.description().methods.iter().find(|m| m.name == connector.auth_method.as_str());
    let method = method.ok_or(FieldError::new("auth_method", "is not one of this type"))?;
    for (name, value) in secret.fields() {
        if !method.secrets.iter().any(|field| field.name == name.as_str()) {
            return Err(FieldError::new(format!("secrets.{name}"), "is not a field of this auth method").into());
        }
        if value.is_empty() {
            return Err(FieldError::new(format!("secrets.{name}"), "is empty").into());
        }
        if value.len() > crate::sealing::plaintext::PLAINTEXT_LENGTH_MAX {
            return Err(FieldError::new(format!("secrets.{name}"), "is larger than 64 KiB").into());
        }
    }
    for field in method.secrets.iter().filter(|field| field.required) {
        if secret.field(field.name).is_none() {
            let problem = format!("is needed: {}", field.summary);
            return Err(FieldError::new(format!("secrets.{}", field.name), problem).into());
        }
    }
    Ok(())
}

/// What to look at when a connector is verified.
pub(super) fn focus(connector: &Connector) -> ListAsk {
    let (resource_type, resource) = (connector.resource_type.clone(), connector.resource_id.clone());
    ListAsk { resource_type, resource, limit: VERIFY_IDS_MAX, page: None }
}

impl Broker {
    /// Opens a connector's secret for one call of `work`, under a deadline.
    pub(in crate::broker) async fn with_secret<R, W>(
        &self,
        connector: &Connector,
        permit: &Permit,
        entry: &OpenEntry,
        work: W,
    ) -> Result<R, BrokerError>
    where
        R: Send,
        W: for<'a> FnOnce(&'a SourceCredential) -> crate::sealing::keyring::Opened<'a, R> + Send,
    {
        let settings = stored_settings(connector)?;
        let sealed = self.sealed(connector.project, connector.id).await;
        let sealed = sealed.map_err(|error| BrokerError::of("connector", &error))?;
        if sealed.secret_version != connector.secret.version {
            self.not_overtaken(connector).await?;
        }
        let context = seal_context(connector, &settings);
        Ok(self.keyring.with_open(&sealed, &context, permit, entry, work).await?)
    }

    /// Tells a rotation between two reads, which is nobody's fault, from a
    /// store that somebody edited, which is for an operator.
    async fn not_overtaken(&self, connector: &Connector) -> Result<(), BrokerError> {
        let now = self.store.connector(connector.project, connector.id).await;
        let now = now.map_err(|error| BrokerError::of("connector", &error))?;
        if now.secret.version == connector.secret.version {
            return Ok(());
        }
        let message = "the connector's secret changed meanwhile; ask again";
        Err(BrokerError::Unavailable { code: "CHANGED_MEANWHILE", message })
    }

    /// Asks the cloud about a secret that was just handed in.
    pub(in crate::broker) async fn verify_handed_in(
        &self,
        call: &Call,
        connector: &Connector,
        secret: &SourceCredential,
        entry: &OpenEntry,
    ) -> Result<Verification, UpstreamError> {
        let kind = type_of(connector).map_err(|_| UpstreamError::StoredSettings)?;
        let focus = focus(connector);
        let upstream = self.upstream_for(call, connector, None, entry);
        let asked = kind.verify(&upstream, &connector.settings, secret, &focus);
        let verified = tokio::time::timeout(VERIFY_DEADLINE, asked).await;
        Ok(self.verification(verified.map_err(|_| UpstreamError::DeadlineExceeded)??))
    }

    /// Asks the cloud about the stored secret.
    pub(in crate::broker) async fn verify_stored(
        &self,
        call: &Call,
        connector: &Arc<Connector>,
        permit: &Permit,
        entry: &OpenEntry,
    ) -> Result<Result<Verification, UpstreamError>, BrokerError> {
        let kind = type_of(connector)?;
        let (upstream, settings, focus) =
            (self.upstream_for(call, connector, None, entry), connector.settings.clone(), focus(connector));
        let asked = self.with_secret(connector, permit, entry, move |secret| {
            Box::pin(async move {
                let asked = kind.verify(&upstream, &settings, secret, &focus);
                tokio::time::timeout(VERIFY_DEADLINE, asked).await.unwrap_or(Err(UpstreamError::DeadlineExceeded))
            })
        });
        Ok(asked.await?.map(|verified| self.verification(verified)))
    }

    fn verification(&self, verified: Verified) -> Verification {
        Verification {
            state: VerificationState::Verified,
            checked_at: self.clock.now(),
            reason: verified.reason.to_owned(),
            identity: verified.identity,
            reach: verified.reach,
        }
    }

    /// What stands on a connector that nobody asked the cloud about.
    pub(in crate::broker) fn unverified(&self) -> Verification {
        Verification {
            state: VerificationState::Unverified,
            checked_at: self.clock.now(),
            reason: "stored with skip_verify".to_owned(),
            identity: String::new(),
            reach: Vec::new(),
        }
    }

    /// The intent of something that is about a connector.
    pub(in crate::broker) async fn open_on(
        &self,
        call: &Call,
        connector: &Connector,
        details: &[(&'static str, &str)],
    ) -> Result<OpenEntry, BrokerError> {
        let line = Line { connector: Some(connector.id), ..call.line(Outcome::Pending, "") };
        let line = details.iter().fold(line, |line, (key, text)| line.with_detail(key, text));
        Ok(self.ledger.open(line).await?)
    }

    /// Closes the entry of a check that stores nothing.
    pub(in crate::broker) async fn close_validated(&self, call: &Call, entry: &OpenEntry) -> Result<(), BrokerError> {
        self.close_entry(call, entry.result(Outcome::Ok, Reason::new("VALIDATED_ONLY"))).await
    }
}

/// What goes without saying: the resource type of a connector type with one.
pub(in crate::broker) fn only_type(kind: &dyn AnyConnectorType) -> Option<ResourceTypeName> {
    match kind.description().resources.as_slice() {
        [only] => ResourceTypeName::parse(only.name).ok(),
        _ => None,
    }
}

/// A resource type that the connector's type has.
pub(in crate::broker) fn known_resource_type(
    kind: &dyn AnyConnectorType,
    name: &ResourceTypeName,
) -> Result<(), FieldError> {
    let known = &kind.description().resources;
    if known.iter().any(|r| r.name == name.as_str()) {
        return Ok(());
    }
    let names: Vec<_> = known.iter().map(|r| r.name).collect();
    Err(FieldError::new("resource_type", format!("one of {}", names.join(", "))))
}

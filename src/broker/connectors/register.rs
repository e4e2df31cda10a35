//! Register a connector: decide, parse, intent, verify, seal, commit.

use crate::authz::Permission;
use crate::connectors::{AnyConnectorType, find};
use crate::domain::{
    AuthMethodName, Connector, ConnectorId, ConnectorTypeName, FieldError, Labels, MintPolicy, Name, ResourceId,
    ResourceTypeName, SecretFacts, Timestamp, Version,
};
use crate::sealing::SourceCredential;
use crate::store::Write;

use super::super::{Broker, BrokerError, Call, Once};
use super::probe::{asks_cloud, unstored};
use super::source::{check_secret_aside, known_resource_type, seal_context};

/// What is to be registered. Not Debug: it holds the secret.
pub struct Register {
    /// Unique in the project.
    pub name: Name,
    /// For example `aws`.
    pub connector_type: ConnectorTypeName,
    /// For example `iam-role`.
    pub auth_method: AuthMethodName,
    /// Fixes the connector to one resource type.
    pub resource_type: Option<ResourceTypeName>,
    /// Fixes the connector to one resource, in any accepted form.
    pub resource_id: Option<String>,
    /// JSON object.
    pub settings: String,
    /// The source credential.
    pub secret: SourceCredential,
    /// When it ends.
    pub secret_expires_at: Option<Timestamp>,
    /// How many seconds before its end it counts as ended.
    pub secret_skew_tolerance: u32,
    /// For people.
    pub description: String,
    /// For filters.
    pub labels: Labels,
    /// The ceiling.
    pub policy: MintPolicy,
    /// Do not ask the cloud.
    pub skip_verify: bool,
    /// Store nothing.
    pub validate_only: bool,
    /// What makes the request the same.
    pub once: Option<Once>,
}

/// The detail of a ledger line that says that a long-lived secret may leave
/// from now on, or no longer.
pub(super) const ALLOW_PASSTHROUGH: &str = "allow_passthrough";

impl Broker {
    /// Registers a connector, verified against its cloud unless told not to.
    ///
    /// # Errors
    /// `Denied`; `Invalid` with the field; `Upstream` when the cloud does not
    /// accept it; `NameTaken`; `Unavailable` when the ledger cannot be written.
    pub async fn register_connector(&self, call: &Call, mut ask: Register) -> Result<Connector, BrokerError> {
        let decided = self.permit(call, Permission::ConnectorsRegister).await?;
        debug_assert_eq!(decided.project(), call.project());
        ask.once = self.once_with(call, ask.once, &ask.secret)?;
        if let Some(earlier) = self.recall(call, ask.once.as_ref()).await? {
            return Ok(earlier);
        }
        let mut connector = self.draft(call, &ask)?;
        let kind = super::source::type_of(&connector)?;
        check_secret_aside(kind, &mut connector, &mut ask.secret, self.clock.now()).await?;
        let asks = asks_cloud(&connector, ask.skip_verify, ask.validate_only)?;
        let mut details = vec![("verify", if asks { "asked" } else { "skipped" })];
        details.extend(connector.policy.allow_passthrough.then_some((ALLOW_PASSTHROUGH, "on")));
        let entry = self.open_on(call, &connector, &details).await?;
        let mut used_up = false;
        if asks {
            match self.verify_new(call, &mut connector, &mut ask.secret, &entry).await {
                Ok(used) => used_up = used,
                Err(error) => return Err(self.close_failed(call, &entry, error).await),
            }
        }
        if ask.validate_only {
            self.close_validated(call, &entry).await?;
            return Ok(connector);
        }
        let settings = kind.stored_settings(&connector.settings)?;
        let sealed = self.keyring.seal(&seal_context(&connector, &settings), &ask.secret);
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(error) => return Err(self.close_failed(call, &entry, unstored(used_up, error.into())).await),
        };
        let kept = self.remember(call, ask.once.as_ref(), &connector)?;
        let insert = Write::InsertConnector { connector: connector.clone(), sealed };
        let committed = self.commit_entry(call, &decided, &entry, |tx| tx.write(insert).remember(kept)).await;
        let committed = committed.map_err(|error| unstored(used_up, error));
        self.settled(call, ask.once.as_ref(), connector, committed).await
    }

    /// The record as it will be, not yet verified.
    fn draft(&self, call: &Call, ask: &Register) -> Result<Connector, BrokerError> {
        let kind = find(ask.connector_type.as_str())
            .ok_or_else(|| FieldError::new("connector_type", "is not one of this server; see connector-type list"))?;
        let settings = kind.parse_settings(&ask.auth_method, &ask.settings)?;
        let settings = kind.complete(&settings.json, self.entropy.as_ref())?;
        let (resource_type, resource_id) = fixed(kind, &settings.json, ask)?;
        check_policy(&ask.policy, &settings)?;
        let now = self.clock.now();
        if ask.secret_expires_at.is_some_and(|end| end <= now) {
            return Err(FieldError::new("secret_expires_at", "is in the past").into());
        }
        let mut draft = Connector {
            id: ConnectorId::random(self.entropy.as_ref())?,
            project: call.project(),
            name: ask.name.clone(),
            connector_type: ask.connector_type.clone(),
            auth_method: ask.auth_method.clone(),
            resource_type,
            resource_id,
            settings: settings.json,
            description: ask.description.clone(),
            labels: ask.labels.clone(),
            policy: ask.policy.clone(),
            verification: self.unverified(),
            secret: SecretFacts {
                fields: Vec::new(),
                version: 1,
                lineage: 1,
                created_at: now,
                expires_at: ask.secret_expires_at,
                own_end: None,
                skew_tolerance: ask.secret_skew_tolerance,
                fingerprint: String::new(),
                key_fingerprint: None,
                rotation: None,
            },
            created_by: call.principal().id,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        };
        self.mark(&mut draft, &ask.secret)?;
        Ok(draft)
    }
}

/// What the connector is fixed to.
fn fixed(
    kind: &dyn AnyConnectorType,
    settings: &str,
    ask: &Register,
) -> Result<(Option<ResourceTypeName>, Option<ResourceId>), FieldError> {
    if let Some(resource_type) = &ask.resource_type {
        known_resource_type(kind, resource_type)?;
    }
    match (&ask.resource_type, &ask.resource_id) {
        (None, Some(_)) => Err(FieldError::new("resource_type", "is needed with resource_id")),
        (Some(resource_type), Some(raw)) => {
            let id = kind.canonical(settings, resource_type, Some(raw))?;
            Ok((Some(resource_type.clone()), Some(id)))
        }
        (resource_type, None) => Ok((resource_type.clone(), None)),
    }
}

/// A ceiling below the shortest lifetime of the method could mint nothing.
pub(super) fn check_policy(
    policy: &MintPolicy,
    settings: &crate::connectors::CheckedSettings,
) -> Result<(), FieldError> {
    let min = settings.ttl.min;
    if policy.ttl_max.is_some_and(|max| max < min) {
        let problem = format!("must be at least {} s, the shortest lifetime of this auth method", min.as_seconds());
        return Err(FieldError::new("mint_policy.ttl_max_seconds", problem));
    }
    Ok(())
}

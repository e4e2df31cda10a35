//! Connectors between proto and domain. The secret leaves the request first,
//! into memory that is wiped; nothing here turns it back into proto.

use std::collections::BTreeMap;

use crate::broker::{
    Broker, Call, ConnectorFilter, ConnectorSeen, Deleted, Register, ResourcesAsk, Rotate, RotateAuto, Update,
};
use crate::domain::{
    AuthMethodName, ConnectorTypeName, FieldError, Labels, PageAsk, Reach, ResourceTypeName, SKEW_TOLERANCE_MAX,
    SecretFieldName, Verification,
};
use crate::proto;
use crate::sealing::{Plaintext, SourceCredential};

use super::request::once;
use super::types::{
    description, etag, etag_out, labels, labels_out, mint_policy, mint_policy_out, name, reach_out, reference,
    timestamp, timestamp_out, verification_out,
};

/// The most fields of one source credential.
const SECRET_FIELDS_MAX: usize = 16;
/// The field of the tolerance.
const SKEW_TOLERANCE: &str = "secret_skew_tolerance_seconds";

/// A tolerance, within its bound.
fn skew_tolerance(seconds: u32) -> Result<u32, FieldError> {
    let problem = || FieldError::new(SKEW_TOLERANCE, format!("must be at most {SKEW_TOLERANCE_MAX} seconds, a day"));
    (seconds <= SKEW_TOLERANCE_MAX).then_some(seconds).ok_or_else(problem)
}

/// Takes the secret out of a request; the bytes are moved, not copied.
fn secret(fields: Vec<proto::SecretField>) -> Result<SourceCredential, FieldError> {
    let mut taken = BTreeMap::new();
    let too_many = fields.len() > SECRET_FIELDS_MAX;
    for field in fields {
        let value = Plaintext::new(field.value);
        let name = SecretFieldName::parse(&field.name)?;
        if taken.insert(name, value).is_some() {
            return Err(FieldError::new("secrets", "a field is given twice"));
        }
    }
    if too_many {
        return Err(FieldError::new("secrets", "at most 16 fields"));
    }
    Ok(SourceCredential::new(taken))
}

fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, FieldError>) -> Result<Option<T>, FieldError> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// A request to register.
///
/// # Errors
/// Names the refused field.
pub fn register(call: &Call, mut request: proto::RegisterConnectorRequest) -> Result<Register, FieldError> {
    let secret = secret(std::mem::take(&mut request.secrets))?;
    let request_id = std::mem::take(&mut request.request_id);
    let once = once(call, &request_id, &request)?;
    Ok(Register {
        name: name("name", &request.name)?,
        connector_type: ConnectorTypeName::parse(&request.connector_type)?,
        auth_method: AuthMethodName::parse(&request.auth_method)?,
        resource_type: optional(&request.resource_type, ResourceTypeName::parse)?,
        resource_id: (!request.resource_id.is_empty()).then_some(request.resource_id),
        settings: request.settings,
        secret,
        secret_expires_at: timestamp("secret_expires_at", request.secret_expires_at.as_ref())?,
        secret_skew_tolerance: skew_tolerance(request.secret_skew_tolerance_seconds)?,
        description: description(&request.description)?,
        labels: labels(request.labels)?,
        policy: mint_policy(request.mint_policy.as_ref())?,
        skip_verify: request.skip_verify,
        validate_only: request.validate_only,
        once,
    })
}

/// A request to change.
///
/// # Errors
/// Names the refused field.
pub fn update(call: &Call, mut request: proto::UpdateConnectorRequest) -> Result<Update, FieldError> {
    let secret = secret(std::mem::take(&mut request.secrets))?;
    let request_id = std::mem::take(&mut request.request_id);
    let once = once(call, &request_id, &request)?;
    let mask = mask(&request)?;
    let given = |field: &str| mask.iter().any(|path| path == field);
    Ok(Update {
        expected: etag(&request.etag)?
            .ok_or_else(|| FieldError::new("etag", "is needed; describe the connector first"))?,
        name: given("name").then(|| name("name", &request.name)).transpose()?,
        description: given("description").then(|| description(&request.description)).transpose()?,
        labels: given("labels").then(|| labels(request.labels)).transpose()?,
        settings: given("settings").then_some(request.settings),
        policy: given("mint_policy").then(|| mint_policy(request.mint_policy.as_ref())).transpose()?,
        secret_expires_at: given("secret_expires_at")
            .then(|| timestamp("secret_expires_at", request.secret_expires_at.as_ref()))
            .transpose()?,
        secret_skew_tolerance: given(SKEW_TOLERANCE)
            .then(|| skew_tolerance(request.secret_skew_tolerance_seconds))
            .transpose()?,
        connector: reference("connector", &request.connector)?.to_owned(),
        secret,
        skip_verify: request.skip_verify,
        validate_only: request.validate_only,
        once,
    })
}

/// Which fields a change is about; without a mask, those that are set.
fn mask(request: &proto::UpdateConnectorRequest) -> Result<Vec<String>, FieldError> {
    const PATHS: [&str; 7] =
        ["name", "description", "labels", "settings", "mint_policy", "secret_expires_at", SKEW_TOLERANCE];
    let asked = request.update_mask.as_ref().map(|mask| mask.paths.clone()).unwrap_or_default();
    if asked.iter().any(|path| !PATHS.contains(&path.as_str())) {
        return Err(FieldError::new("update_mask", format!("paths are of {}", PATHS.join(", "))));
    }
    if !asked.is_empty() {
        return Ok(asked);
    }
    let set = [
        !request.name.is_empty(),
        !request.description.is_empty(),
        !request.labels.is_empty(),
        !request.settings.is_empty(),
        request.mint_policy.is_some(),
        request.secret_expires_at.is_some(),
        request.secret_skew_tolerance_seconds != 0,
    ];
    Ok(PATHS.iter().zip(set).filter(|(_, set)| *set).map(|(path, _)| (*path).to_owned()).collect())
}

/// Who makes the new source credential.
pub enum Rotation {
    /// Whoever asks hands it in.
    HandedIn(Rotate),
    /// The cloud.
    Auto(RotateAuto),
}

/// A request to rotate.
///
/// # Errors
/// Names the refused field.
pub fn rotate(call: &Call, mut request: proto::RotateConnectorSecretRequest) -> Result<Rotation, FieldError> {
    let secret = secret(std::mem::take(&mut request.secrets))?;
    let request_id = std::mem::take(&mut request.request_id);
    let once = once(call, &request_id, &request)?;
    let expected = etag(&request.etag)?;
    let secret_expires_at = timestamp("secret_expires_at", request.secret_expires_at.as_ref())?;
    let connector = reference("connector", &request.connector)?.to_owned();
    if request.auto {
        let alone = secret.is_empty() && !request.skip_verify && !request.validate_only;
        if !alone {
            let problem =
                "goes with no secrets, skip_verify or validate_only: the cloud makes the key, and it is verified";
            return Err(FieldError::new("auto", problem));
        }
        return Ok(Rotation::Auto(RotateAuto { connector, expected, secret_expires_at, once }));
    }
    let (skip_verify, validate_only) = (request.skip_verify, request.validate_only);
    Ok(Rotation::HandedIn(Rotate { connector, secret, expected, secret_expires_at, skip_verify, validate_only, once }))
}

/// The filter of a listing.
///
/// # Errors
/// Names the refused field.
pub fn filter(request: &proto::ListConnectorsRequest) -> Result<ConnectorFilter, FieldError> {
    Ok(ConnectorFilter {
        connector_type: optional(&request.connector_type, ConnectorTypeName::parse)?,
        resource_type: optional(&request.resource_type, ResourceTypeName::parse)?,
        labels: Labels::parse(request.labels.clone())?,
    })
}

/// A request to enumerate the cloud.
///
/// # Errors
/// Names the refused field.
pub fn resources(
    request: proto::ListConnectorResourcesRequest,
    size: i32,
    page: &PageAsk,
) -> Result<ResourcesAsk, FieldError> {
    // Ids are short: without a wish the largest page is meant.
    let limit = if size == 0 { crate::domain::page::PAGE_SIZE_MAX } else { page.size };
    Ok(ResourcesAsk {
        connector: reference("connector", &request.connector)?.to_owned(),
        resource_type: optional(&request.resource_type, ResourceTypeName::parse)?,
        limit,
        page: page.after.clone(),
    })
}

/// What a deletion leaves behind.
#[must_use]
pub fn deleted(deleted: &Deleted) -> proto::DeleteConnectorResponse {
    proto::DeleteConnectorResponse {
        outstanding_issuances: deleted.outstanding,
        outstanding_until: deleted.outstanding_until.map(timestamp_out),
        removed_bindings: deleted.removed_bindings,
    }
}

/// Connectors as the caller may see them.
pub async fn views(call: &Call, broker: &Broker, seen: Vec<ConnectorSeen>) -> Vec<proto::Connector> {
    let mut views = Vec::with_capacity(seen.len());
    for one in seen {
        views.push(view(call, broker, one).await);
    }
    views
}

/// A connector as the caller may see it: account ids, roles, identities and
/// fingerprints only for those who may write connectors.
pub async fn view(call: &Call, broker: &Broker, seen: ConnectorSeen) -> proto::Connector {
    let ConnectorSeen { connector, settings_visible, warnings } = seen;
    let created_by = broker.principal_name(call, connector.created_by).await;
    proto::Connector {
        id: connector.id.to_string(),
        project: call.caller.project.name.to_string(),
        name: connector.name.to_string(),
        connector_type: connector.connector_type.to_string(),
        auth_method: connector.auth_method.to_string(),
        resource_type: connector.resource_type.as_ref().map(ToString::to_string).unwrap_or_default(),
        resource_id: connector.resource_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        settings: if settings_visible { public_settings(&connector.settings) } else { String::new() },
        description: connector.description,
        labels: labels_out(&connector.labels),
        mint_policy: Some(mint_policy_out(&connector.policy)),
        verification: Some(verification(connector.verification, settings_visible)),
        secret_fields_set: connector.secret.fields.iter().map(ToString::to_string).collect(),
        secret_version: connector.secret.version,
        secret_created_at: Some(timestamp_out(connector.secret.created_at)),
        secret_expires_at: connector.secret.expires_at.map(timestamp_out),
        secret_skew_tolerance_seconds: connector.secret.skew_tolerance,
        secret_fingerprint: if settings_visible { connector.secret.fingerprint } else { String::new() },
        created_by,
        created_at: Some(timestamp_out(connector.created_at)),
        updated_at: Some(timestamp_out(connector.updated_at)),
        etag: etag_out(connector.version),
        warnings,
    }
}

/// The settings as they are handed in: without the auth method inside.
fn public_settings(json: &str) -> String {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json) {
        Ok(mut object) => {
            object.remove("auth_method");
            serde_json::Value::Object(object).to_string()
        }
        Err(_) => String::new(),
    }
}

fn verification(mut found: Verification, settings_visible: bool) -> proto::Verification {
    if !settings_visible {
        found.reason.clear();
        found.identity.clear();
        found.reach.clear();
    }
    verification_out(&found)
}

/// Which resources a connector reaches.
#[must_use]
pub fn reaches(found: &[Reach]) -> Vec<proto::ResourceTypeReach> {
    found.iter().map(reach_out).collect()
}

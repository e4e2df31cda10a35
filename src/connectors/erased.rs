//! A connector type with its own types erased, for the owner of the catalog:
//! settings and scopes travel as canonical JSON.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::domain::{
    Attribution, AuthMethodName, EnforcedScope, Entropy, FieldError, FieldErrors, Issuance, Reach, ResourceId,
    ResourceTypeName, ShapeName, Timestamp, Ttl, TtlRange,
};
use crate::sealing::SourceCredential;

use super::description::TypeDescription;
use super::secret_end::SecretEnd;
use super::typed::{Ask, Challenge, ConnectorType, ListAsk, MadeKey, MintOutcome, Upstream, Verified};
use super::upstream_error::UpstreamError;

/// Settings that were parsed and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedSettings {
    /// Canonical JSON, with the auth method inside.
    pub json: String,
    /// SHA-256 of what decides where the secret is sent.
    pub destination: [u8; 32],
    /// The lifetimes under these settings.
    pub ttl: TtlRange,
    /// See [`ConnectorType::exclusive`].
    pub exclusive: bool,
}

/// A narrowed ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarrowedScope {
    /// Canonical JSON: equal scopes are equal here.
    pub json: String,
    /// What the cloud will really enforce.
    pub enforced: EnforcedScope,
    /// In which shape it is handed out.
    pub shape: ShapeName,
    /// See [`ConnectorType::obeys_ttl`].
    pub obeys_ttl: bool,
}

/// [`ConnectorType`] without its own types. Implemented once, for all of them.
#[async_trait]
pub trait AnyConnectorType: Send + Sync {
    /// See [`ConnectorType::description`].
    fn description(&self) -> &'static TypeDescription;

    /// Parses and checks settings as a JSON object without `auth_method`.
    ///
    /// # Errors
    /// Names each refused field as `settings.FIELD`, or `auth_method`.
    fn parse_settings(&self, method: &AuthMethodName, json: &str) -> Result<CheckedSettings, FieldErrors>;

    /// The same facts of settings that were stored.
    ///
    /// # Errors
    /// When what is stored does not parse.
    fn stored_settings(&self, json: &str) -> Result<CheckedSettings, FieldErrors>;

    /// See [`ConnectorType::complete`]; takes and gives canonical JSON.
    ///
    /// # Errors
    /// Names the field that could not be filled in.
    fn complete(&self, settings: &str, entropy: &dyn Entropy) -> Result<CheckedSettings, FieldErrors>;

    /// See [`ConnectorType::dangers`]; none of settings that do not parse,
    /// which nothing can be minted with.
    fn dangers(&self, settings: &str) -> Vec<&'static str>;

    /// See [`ConnectorType::secret_end`].
    ///
    /// # Errors
    /// When what is stored does not parse.
    fn secret_end(&self, settings: &str, secret: &SourceCredential) -> Result<Option<SecretEnd>, FieldErrors>;

    /// See [`ConnectorType::key_id`]; nothing of settings that do not parse.
    fn key_id(&self, settings: &str, secret: &SourceCredential) -> Option<String>;

    /// See [`ConnectorType::check_secret`].
    ///
    /// # Errors
    /// Names each refused field as `secrets.FIELD`, never its content.
    fn check_secret(
        &self,
        settings: &str,
        secret: &SourceCredential,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), FieldErrors>;

    /// See [`ConnectorType::canonical`].
    ///
    /// # Errors
    /// Names `resource_id` or `resource_type`.
    fn canonical(
        &self,
        settings: &str,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError>;

    /// See [`ConnectorType::contains`].
    fn contains(&self, resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool;

    /// See [`ConnectorType::narrow`].
    ///
    /// # Errors
    /// Names the field that asks for too much or too little.
    fn narrow(&self, settings: &str, ask: &Ask) -> Result<NarrowedScope, FieldError>;

    /// See [`ConnectorType::passthrough`].
    ///
    /// # Errors
    /// When what is stored does not parse.
    fn passthrough(
        &self,
        settings: &str,
        scope: &str,
        secret_expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, FieldError>;

    /// See [`ConnectorType::verify`].
    async fn verify(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        focus: &ListAsk,
    ) -> Result<Verified, UpstreamError>;

    /// See [`ConnectorType::list_resources`].
    async fn list_resources(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError>;

    /// See [`ConnectorType::mint`].
    #[allow(clippy::too_many_arguments)]
    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        secret_expires_at: Option<Timestamp>,
        scope: &str,
        ttl: Ttl,
        attribution: &Attribution,
    ) -> Result<MintOutcome, UpstreamError>;

    /// See [`ConnectorType::sign`].
    async fn sign(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        scope: &str,
        challenge: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError>;

    /// See [`ConnectorType::make_key`].
    async fn make_key(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
    ) -> Result<MadeKey, UpstreamError>;

    /// See [`ConnectorType::delete_key`].
    async fn delete_key(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        key_id: &str,
    ) -> Result<(), UpstreamError>;

    /// See [`ConnectorType::revoke`].
    async fn revoke(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        issuance: &Issuance,
    ) -> Result<bool, UpstreamError>;
}

#[async_trait]
impl<T: ConnectorType> AnyConnectorType for T {
    fn description(&self) -> &'static TypeDescription {
        ConnectorType::description(self)
    }

    fn parse_settings(&self, method: &AuthMethodName, json: &str) -> Result<CheckedSettings, FieldErrors> {
        if !ConnectorType::description(self).methods.iter().any(|m| m.name == method.as_str()) {
            let known: Vec<_> = ConnectorType::description(self).methods.iter().map(|m| m.name).collect();
            return Err(FieldError::new("auth_method", format!("one of {}", known.join(", "))).into());
        }
        let text = if json.trim().is_empty() { "{}" } else { json };
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|_| FieldError::new("settings", "must be a JSON object"))?;
        if object.insert("auth_method".to_owned(), method.as_str().into()).is_some() {
            return Err(FieldError::new("settings.auth_method", "is given by auth_method, not in the settings").into());
        }
        let settings = self.read(&serde_json::Value::Object(object).to_string())?;
        self.check(&settings)?;
        self.facts(&settings)
    }

    fn stored_settings(&self, json: &str) -> Result<CheckedSettings, FieldErrors> {
        self.facts(&self.read(json)?)
    }

    fn complete(&self, settings: &str, entropy: &dyn Entropy) -> Result<CheckedSettings, FieldErrors> {
        self.facts(&ConnectorType::complete(self, self.read(settings)?, entropy)?)
    }

    fn dangers(&self, settings: &str) -> Vec<&'static str> {
        self.read(settings).map(|settings| ConnectorType::dangers(self, &settings)).unwrap_or_default()
    }

    fn secret_end(&self, settings: &str, secret: &SourceCredential) -> Result<Option<SecretEnd>, FieldErrors> {
        Ok(ConnectorType::secret_end(self, &self.read(settings)?, secret))
    }

    fn key_id(&self, settings: &str, secret: &SourceCredential) -> Option<String> {
        ConnectorType::key_id(self, &self.read(settings).ok()?, secret)
    }

    fn check_secret(
        &self,
        settings: &str,
        secret: &SourceCredential,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), FieldErrors> {
        ConnectorType::check_secret(self, &self.read(settings)?, secret, expires_at, now)
    }

    fn canonical(
        &self,
        settings: &str,
        resource_type: &ResourceTypeName,
        raw: Option<&str>,
    ) -> Result<ResourceId, FieldError> {
        ConnectorType::canonical(self, &self.read(settings)?, resource_type, raw)
    }

    fn contains(&self, resource_type: &ResourceTypeName, outer: &ResourceId, inner: &ResourceId) -> bool {
        ConnectorType::contains(self, resource_type, outer, inner)
    }

    fn narrow(&self, settings: &str, ask: &Ask) -> Result<NarrowedScope, FieldError> {
        let settings = self.read(settings)?;
        check_parameters(ConnectorType::description(self), ask)?;
        let scope = ConnectorType::narrow(self, &settings, ask)?;
        let enforced = self.enforced(&settings, &scope);
        let shape = self.shape(&settings, &scope);
        let obeys_ttl = ConnectorType::obeys_ttl(self, &settings, &scope);
        let json = serde_json::to_string(&scope).map_err(|_| FieldError::new("resource_id", "cannot be narrowed"))?;
        Ok(NarrowedScope { json, enforced, shape, obeys_ttl })
    }

    fn passthrough(
        &self,
        settings: &str,
        scope: &str,
        secret_expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, FieldError> {
        let settings = self.read(settings)?;
        let scope: T::Scope = serde_json::from_str(scope).map_err(|_| FieldError::new("scope", "does not parse"))?;
        Ok(ConnectorType::passthrough(self, &settings, &scope, secret_expires_at, now))
    }

    async fn verify(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        focus: &ListAsk,
    ) -> Result<Verified, UpstreamError> {
        ConnectorType::verify(self, upstream, &self.read(settings)?, secret, focus).await
    }

    async fn list_resources(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        ask: &ListAsk,
    ) -> Result<Vec<Reach>, UpstreamError> {
        ConnectorType::list_resources(self, upstream, &self.read(settings)?, secret, ask).await
    }

    async fn mint(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        secret_expires_at: Option<Timestamp>,
        scope: &str,
        ttl: Ttl,
        attribution: &Attribution,
    ) -> Result<MintOutcome, UpstreamError> {
        let settings = self.read(settings)?;
        let scope: T::Scope = serde_json::from_str(scope).map_err(|_| UpstreamError::StoredSettings)?;
        ConnectorType::mint(self, upstream, &settings, secret, secret_expires_at, &scope, ttl, attribution).await
    }

    async fn sign(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        scope: &str,
        challenge: &Challenge,
    ) -> Result<Vec<u8>, UpstreamError> {
        let scope: T::Scope = serde_json::from_str(scope).map_err(|_| UpstreamError::StoredSettings)?;
        ConnectorType::sign(self, upstream, &self.read(settings)?, secret, &scope, challenge).await
    }

    async fn make_key(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
    ) -> Result<MadeKey, UpstreamError> {
        ConnectorType::make_key(self, upstream, &self.read(settings)?, secret).await
    }

    async fn delete_key(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        key_id: &str,
    ) -> Result<(), UpstreamError> {
        ConnectorType::delete_key(self, upstream, &self.read(settings)?, secret, key_id).await
    }

    async fn revoke(
        &self,
        upstream: &Upstream,
        settings: &str,
        secret: &SourceCredential,
        issuance: &Issuance,
    ) -> Result<bool, UpstreamError> {
        ConnectorType::revoke(self, upstream, &self.read(settings)?, secret, issuance).await
    }
}

/// How the twin reads settings.
trait Settings: ConnectorType {
    fn read(&self, json: &str) -> Result<Self::Settings, FieldError> {
        // serde's text names the field, and may quote what was sent: settings
        // are not secret, but a secret may be pasted into the wrong field.
        serde_json::from_str(json).map_err(|error| FieldError::new("settings", problem(&error)))
    }

    fn facts(&self, settings: &Self::Settings) -> Result<CheckedSettings, FieldErrors> {
        let json = serde_json::to_string(settings).map_err(|_| FieldError::new("settings", "cannot be stored"))?;
        let destination = Sha256::digest(self.destination(settings)).into();
        Ok(CheckedSettings { json, destination, ttl: self.ttl_range(settings), exclusive: self.exclusive(settings) })
    }
}

impl<T: ConnectorType> Settings for T {}

/// What an ask says beyond resource and access level is named by the resource
/// type, or refused: a parameter that nobody reads would be a silent no.
fn check_parameters(description: &TypeDescription, ask: &Ask) -> Result<(), FieldError> {
    let resource = description.resources.iter().find(|resource| resource.name == ask.resource_type.as_str());
    let known = resource.map_or(&[][..], |resource| resource.parameters);
    let Some(name) = ask.parameters.keys().find(|name| known.iter().all(|one| one.name != name.as_str())) else {
        return Ok(());
    };
    let field = if looks_like_a_field(name) { format!("parameters.{name}") } else { "parameters".to_owned() };
    let names: Vec<_> = known.iter().map(|one| one.name).collect();
    let problem = if names.is_empty() {
        format!("{} takes none", ask.resource_type)
    } else {
        format!("{} takes {}", ask.resource_type, names.join(", "))
    };
    Err(FieldError::new(field, problem))
}

/// serde's message without what was sent: what was expected is ours, and the
/// name of an unknown field stays when it looks like one; a value never does.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let expected = text.rfind(", expected ").and_then(|at| text.get(at..)).unwrap_or_default();
    let kind = text.split([':', '`']).next().unwrap_or_default().trim_end();
    let named = text.split('`').nth(1).is_some_and(looks_like_a_field);
    match kind {
        "unknown field" if named => text.to_owned(),
        "unknown field" | "unknown variant" | "invalid type" | "invalid value" => format!("{kind}{expected}"),
        _ => text.to_owned(),
    }
}

/// Longer than any field of ours, shorter than most secrets.
const FIELD_LENGTH_MAX: usize = 30;

fn looks_like_a_field(name: &str) -> bool {
    name.len() <= FIELD_LENGTH_MAX && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

impl From<FieldError> for UpstreamError {
    fn from(_: FieldError) -> Self {
        Self::StoredSettings
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sent {
        list: Option<Vec<u8>>,
        word: Option<Word>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[test]
    fn h5_a_problem_says_what_is_expected_and_never_what_was_sent() {
        let secret = "s3cr3t/S3CR3T";
        let quoted = format!(r#"a\" {secret} \"b"#);
        for (json, said) in [
            (format!(r#"{{"word": "{secret}"}}"#), "unknown variant, expected `one` or `two`"),
            (format!(r#"{{"list": "{secret}"}}"#), "invalid type, expected a sequence"),
            (format!(r#"{{"list": "{quoted}"}}"#), "invalid type, expected a sequence"),
            (format!(r#"{{"list": ", expected {secret} at line 1"}}"#), "invalid type, expected a sequence"),
            (r#"{"list": [4711]}"#.to_owned(), "invalid value, expected u8"),
            (format!(r#"{{"{secret}": 1}}"#), "unknown field, expected `list` or `word`"),
            (r#"{"lists": 1}"#.to_owned(), "unknown field `lists`, expected `list` or `word`"),
        ] {
            assert_eq!(problem(&serde_json::from_str::<Sent>(&json).unwrap_err()), said, "{json}");
        }
    }
}

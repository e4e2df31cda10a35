//! What is shown of a connector.
//!
//! Owns the view of a connector and of what verification found. There is no
//! secret in it, because the server sends none.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::cli::moment::{self, Moment};
use crate::cli::output::{Facts, Record, Row};
use crate::cli::pairs::{access_in_words, given, given_seconds, labels_in_words, or_dash};
use crate::proto;

/// A connector, without its secret.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ConnectorView {
    /// A UUID.
    id: String,
    /// The project's name.
    project: String,
    /// Unique in the project.
    name: String,
    /// For example `aws`.
    connector_type: String,
    /// For example `iam-role`.
    auth_method: String,
    /// Set on a connector for one resource type.
    resource_type: Option<String>,
    /// Set on a connector for one resource; canonical.
    resource_id: Option<String>,
    /// The settings; null for callers who may not see them.
    settings: Option<Value>,
    /// For people.
    description: Option<String>,
    /// For filters.
    labels: BTreeMap<String, String>,
    /// The ceiling.
    mint_policy: PolicyView,
    /// What verification found.
    verification: VerificationView,
    /// Which fields of the source credential are set.
    secret_fields_set: Vec<String>,
    /// Grows by one with each rotation.
    secret_version: u64,
    /// When the source credential was handed in.
    secret_created_at: Option<Moment>,
    /// When the source credential ends, if it does.
    secret_expires_at: Option<Moment>,
    /// How many seconds before that it counts as ended.
    secret_skew_tolerance_seconds: u32,
    /// Truncated HMAC of the source credential.
    secret_fingerprint: Option<String>,
    /// Who registered it.
    created_by: Option<String>,
    /// When.
    created_at: Option<Moment>,
    /// When it was last changed.
    updated_at: Option<Moment>,
    /// The version.
    etag: String,
    /// What to look at.
    warnings: Vec<String>,
}

/// The ceiling of what a connector may mint.
#[derive(Debug, Serialize)]
struct PolicyView {
    /// Globs of canonical resource ids; empty means all it reaches.
    resource_patterns: Vec<String>,
    /// The highest access level; null when the connector names none.
    access_max: Option<String>,
    /// The longest lifetime; null means the auth method's own.
    ttl_max_seconds: Option<u32>,
    /// Credentials that only exist in long-lived form are handed out.
    allow_passthrough: bool,
    /// One minted credential is shared among principals.
    shared: bool,
}

/// What verification found.
#[derive(Debug, Serialize)]
struct VerificationView {
    /// `verified`, `unverified` or `failing`.
    state: String,
    /// When it was last looked at.
    checked_at: Option<Moment>,
    /// Why.
    reason: Option<String>,
    /// Who the source credential is.
    identity: Option<String>,
    /// One entry for each resource type.
    reach: Vec<ReachView>,
}

/// Which resources of a type a connector reaches.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ReachView {
    /// The resource type.
    resource_type: String,
    /// Canonical ids.
    resource_ids: Vec<String>,
    /// Why the type could not be listed.
    error: Option<String>,
    /// Permissions of the cloud that are missing.
    missing_permissions: Vec<String>,
    /// What to do about it.
    remedy: Option<String>,
}

/// A connector after a rotation at the cloud.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct RotatedView {
    /// As it is stored.
    #[serde(flatten)]
    connector: ConnectorView,
    /// The key that the cloud made; null when an earlier rotation was finished.
    made_key_id: Option<String>,
    /// The keys that were deleted.
    deleted_key_ids: Vec<String>,
}

impl From<proto::RotateConnectorSecretResponse> for RotatedView {
    fn from(answer: proto::RotateConnectorSecretResponse) -> Self {
        Self {
            connector: answer.connector.unwrap_or_default().into(),
            made_key_id: given(answer.made_key_id),
            deleted_key_ids: answer.deleted_key_ids,
        }
    }
}

impl Record for RotatedView {
    fn facts(&self, now: Moment) -> Facts {
        let made = self.made_key_id.as_ref().map_or_else(
            || "none; finished the rotation that had stopped".to_owned(),
            |id| format!("{id}, verified and in use"),
        );
        let mut facts = self.connector.facts(now);
        facts.extend([("made key", made), ("deleted keys", self.deleted_key_ids.join(", "))]);
        facts
    }
}

/// What a deletion left behind.
#[derive(Debug, Serialize)]
pub(super) struct DeletedView {
    /// What was named.
    pub(super) deleted: String,
    /// Credentials minted from it that are still alive.
    pub(super) outstanding_issuances: u32,
    /// When the last of them ends.
    pub(super) outstanding_until: Option<Moment>,
    /// Role bindings on it that are gone with it.
    pub(super) removed_bindings: u32,
}

impl From<proto::Connector> for ConnectorView {
    fn from(connector: proto::Connector) -> Self {
        Self {
            mint_policy: PolicyView::from(connector.mint_policy.unwrap_or_default()),
            verification: VerificationView::from(connector.verification.unwrap_or_default()),
            secret_created_at: Moment::from_proto(connector.secret_created_at.as_ref()),
            secret_expires_at: Moment::from_proto(connector.secret_expires_at.as_ref()),
            created_at: Moment::from_proto(connector.created_at.as_ref()),
            updated_at: Moment::from_proto(connector.updated_at.as_ref()),
            settings: serde_json::from_str(&connector.settings).ok(),
            id: connector.id,
            project: connector.project,
            name: connector.name,
            connector_type: connector.connector_type,
            auth_method: connector.auth_method,
            resource_type: given(connector.resource_type),
            resource_id: given(connector.resource_id),
            description: given(connector.description),
            labels: connector.labels,
            secret_fields_set: connector.secret_fields_set,
            secret_version: connector.secret_version,
            secret_skew_tolerance_seconds: connector.secret_skew_tolerance_seconds,
            secret_fingerprint: given(connector.secret_fingerprint),
            created_by: given(connector.created_by),
            etag: connector.etag,
            warnings: connector.warnings,
        }
    }
}

impl From<proto::MintPolicy> for PolicyView {
    fn from(policy: proto::MintPolicy) -> Self {
        Self {
            resource_patterns: policy.resource_patterns,
            access_max: given(access_in_words(policy.access_max)),
            ttl_max_seconds: given_seconds(policy.ttl_max_seconds),
            allow_passthrough: policy.allow_passthrough,
            shared: policy.shared,
        }
    }
}

impl From<proto::Verification> for VerificationView {
    fn from(verification: proto::Verification) -> Self {
        Self {
            checked_at: Moment::from_proto(verification.checked_at.as_ref()),
            state: verification.state,
            reason: given(verification.reason),
            identity: given(verification.identity),
            reach: verification.reach.into_iter().map(ReachView::from).collect(),
        }
    }
}

impl From<proto::ResourceTypeReach> for ReachView {
    fn from(reach: proto::ResourceTypeReach) -> Self {
        Self {
            resource_type: reach.resource_type,
            resource_ids: reach.resource_ids,
            error: given(reach.error),
            missing_permissions: reach.missing_permissions,
            remedy: given(reach.remedy),
        }
    }
}

impl PolicyView {
    /// The ceiling in words; a passthrough is loud.
    fn words(&self) -> String {
        let mut words = self.resource_patterns.clone();
        if words.is_empty() {
            words.push("every resource it reaches".to_owned());
        }
        words.extend(self.access_max.iter().map(|level| format!("at most {level}")));
        words.extend(self.ttl_max_seconds.iter().map(|max| format!("at most {}", moment::lifetime(*max))));
        if self.shared {
            words.push("shared among principals".to_owned());
        }
        if self.allow_passthrough {
            words.push("PASSTHROUGH: may hand out the long-lived secret".to_owned());
        }
        words.join(", ")
    }
}

impl ConnectorView {
    /// What verification found of each resource type.
    pub(super) fn reach(&self) -> &[ReachView] {
        &self.verification.reach
    }

    fn resource(&self) -> String {
        match (&self.resource_type, &self.resource_id) {
            (Some(kind), Some(id)) => format!("{kind} {id}"),
            (Some(kind), None) => kind.clone(),
            (None, _) => "any".to_owned(),
        }
    }

    fn secret(&self, now: Moment) -> String {
        let mut words = vec![format!("version {}", self.secret_version), self.secret_fields_set.join(" and ")];
        words.extend(self.secret_created_at.iter().map(|at| format!("handed in {}", at.words(now))));
        words.extend(self.secret_expires_at.iter().map(|at| format!("ends {}", at.words(now))));
        if self.secret_skew_tolerance_seconds > 0 {
            words.push(format!("counts as ended {} before", moment::lifetime(self.secret_skew_tolerance_seconds)));
        }
        words.extend(self.secret_fingerprint.iter().map(|print| format!("fingerprint {print}")));
        words.retain(|word| !word.is_empty());
        words.join(", ")
    }

    /// What a list shows of warnings: what stands before the colon.
    fn warning_heads(&self) -> Vec<&str> {
        self.warnings
            .iter()
            .map(|warning| warning.split_once(": ").map_or(warning.as_str(), |(head, _)| head))
            .collect()
    }

    /// Since when and until when, in words.
    fn secret_life(&self, now: Moment) -> String {
        if self.secret_fields_set.is_empty() {
            return "none stored".to_owned();
        }
        let since = self.secret_created_at.iter().map(|at| format!("from {}", at.distance(now)));
        let until = self.secret_expires_at.iter().map(|at| format!("ends {}", at.distance(now)));
        since.chain(until).collect::<Vec<_>>().join(", ")
    }

    fn verified(&self, now: Moment) -> String {
        let mut words = vec![self.verification.state.clone()];
        words.extend(self.verification.checked_at.iter().map(|at| at.words(now)));
        words.extend(self.verification.reason.iter().cloned());
        words.join(", ")
    }
}

impl Record for ConnectorView {
    fn facts(&self, now: Moment) -> Facts {
        let mut facts = vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("project", self.project.clone()),
            ("type", format!("{}, {}", self.connector_type, self.auth_method)),
            ("resource", self.resource()),
            ("settings", self.settings.as_ref().map(settings_in_words).unwrap_or_default()),
            ("description", self.description.clone().unwrap_or_default()),
            ("labels", labels_in_words(&self.labels)),
            ("ceiling", self.mint_policy.words()),
            ("verification", self.verified(now)),
            ("identity", self.verification.identity.clone().unwrap_or_default()),
            ("secret", self.secret(now)),
            ("created", moment::words(self.created_at, now)),
            ("created by", self.created_by.clone().unwrap_or_default()),
            ("updated", moment::words(self.updated_at, now)),
            ("etag", self.etag.clone()),
        ];
        facts.extend(self.warnings.iter().map(|warning| ("warning", warning.clone())));
        facts
    }
}

/// `key=value` as `--set` takes them.
fn settings_in_words(settings: &Value) -> String {
    let Some(fields) = settings.as_object() else { return settings.to_string() };
    let word = |(key, value): (&String, &Value)| match value.as_str() {
        Some(text) => format!("{key}={text}"),
        None => format!("{key}={value}"),
    };
    fields.iter().map(word).collect::<Vec<_>>().join(", ")
}

impl Record for DeletedView {
    fn facts(&self, now: Moment) -> Facts {
        let until = moment::words(self.outstanding_until, now);
        let alive = match self.outstanding_issuances {
            0 => String::new(),
            count => format!("{count} credentials minted from it; the last ends {until}"),
        };
        let gone = match self.removed_bindings {
            0 => String::new(),
            count => format!("{count} role bindings on it; an owner finds each in the ledger"),
        };
        vec![("deleted connector", self.deleted.clone()), ("still alive", alive), ("gone with it", gone)]
    }
}

impl Row for ConnectorView {
    const HEAD: &'static [&'static str] =
        &["name", "id", "type", "method", "resource", "verification", "secret", "labels", "warnings"];
    const SPARE: &'static [&'static str] = &["labels", "secret", "resource", "method"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.name.clone(),
            self.id.clone(),
            self.connector_type.clone(),
            self.auth_method.clone(),
            self.resource(),
            self.verification.state.clone(),
            self.secret_life(now),
            labels_in_words(&self.labels),
            self.warning_heads().join("; "),
        ]
    }
}

impl Row for ReachView {
    const HEAD: &'static [&'static str] = &["resource type", "resources", "problem", "remedy"];

    fn cells(&self, _: Moment) -> Vec<String> {
        let mut problem: Vec<String> = self.error.iter().cloned().collect();
        if !self.missing_permissions.is_empty() {
            problem.push(format!("missing {}", self.missing_permissions.join(", ")));
        }
        vec![
            self.resource_type.clone(),
            self.resource_ids.join(", "),
            problem.join("; "),
            or_dash(self.remedy.as_ref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn a_list_shows_the_heads_of_warnings_and_the_life_of_the_secret() {
        let day = 24 * 3600;
        let now = Moment::from_proto(at(100 * day).as_ref()).unwrap();
        let view = ConnectorView::from(proto::Connector {
            secret_fields_set: vec!["key".to_owned()],
            secret_created_at: at(5 * day),
            secret_expires_at: at(103 * day),
            secret_skew_tolerance_seconds: 300,
            warnings: vec![
                "PASSTHROUGH: a long-lived secret may be handed out; turn it off".to_owned(),
                "ends in 3 days: the source credential ends at x; rotate it".to_owned(),
                "said by a newer server".to_owned(),
            ],
            ..Default::default()
        });
        let cells: Vec<_> = ConnectorView::HEAD.iter().zip(view.cells(now)).collect();
        assert!(cells.contains(&(&"secret", "from 95 d ago, ends in 3 d".to_owned())), "{cells:?}");
        assert!(cells.contains(&(&"warnings", "PASSTHROUGH; ends in 3 days; said by a newer server".to_owned())));
        let facts = view.facts(now);
        assert!(facts.iter().any(|(name, text)| *name == "warning" && text.ends_with("turn it off")));
        assert!(facts.iter().any(|(name, text)| *name == "secret" && text.ends_with("counts as ended 5m before")));
        let none = ConnectorView::from(proto::Connector::default());
        assert!(none.cells(now).contains(&"none stored".to_owned()));
    }
}

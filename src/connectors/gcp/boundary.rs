//! The Credential Access Boundary of one bucket or prefix: the upper bound
//! that a token gets at the exchange. Pure.
//!
//! One rule: what it does not allow is refused by Cloud Storage, whatever the
//! service account may do. A boundary must never be wider than its scope.

use serde_json::json;

use crate::domain::AccessLevel;

/// The longest condition that Google takes, in characters.
const EXPRESSION_LENGTH_MAX: usize = 2048;

/// The boundary as JSON, or nothing when Google would not take it.
pub fn of_bucket(bucket: &str, prefix: Option<&str>, access: AccessLevel) -> Option<String> {
    let mut rule = json!({
        "availableResource": format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
        "availablePermissions": [format!("inRole:{}", role(access))],
    });
    if let Some(prefix) = prefix {
        let expression = condition(bucket, prefix);
        if expression.chars().count() > EXPRESSION_LENGTH_MAX {
            return None;
        }
        rule.as_object_mut()?.insert("availabilityCondition".to_owned(), json!({ "expression": expression }));
    }
    Some(json!({ "accessBoundary": { "accessBoundaryRules": [rule] } }).to_string())
}

/// The predefined role whose permissions are the most that is left.
pub const fn role(access: AccessLevel) -> &'static str {
    match access {
        AccessLevel::Read => "roles/storage.objectViewer",
        AccessLevel::Write => "roles/storage.objectUser",
        AccessLevel::Admin => "roles/storage.objectAdmin",
    }
}

/// The object itself, what lies below it, and lists of that: `train` reaches
/// `train` and `train/...`, and never `train2`. A list names no object, so it
/// is known by its prefix. The grammar of ids leaves no quote in a prefix.
fn condition(bucket: &str, prefix: &str) -> String {
    let objects = format!("projects/_/buckets/{bucket}/objects/{prefix}");
    format!(
        "resource.name == '{objects}' || resource.name.startsWith('{objects}/') || \
         api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('{prefix}/')"
    )
}

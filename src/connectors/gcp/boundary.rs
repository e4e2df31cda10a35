//! The Credential Access Boundary of one bucket or prefix: the upper bound
//! that a token gets at the exchange. Pure.
//!
//! One rule: what it does not allow is refused by Cloud Storage, whatever the
//! service account may do. A boundary must never be wider than its scope.

use serde_json::{Value, json};

use crate::domain::AccessLevel;

/// The longest boundary that Google takes, in characters: the whole value of
/// `accessBoundary` (reference of the Security Token Service, Options), which
/// is less than is left to a condition alone.
const BOUNDARY_LENGTH_MAX: usize = 2048;

/// The boundary as JSON, or nothing when Google would not take it.
pub fn of_bucket(bucket: &str, prefix: Option<&str>, access: AccessLevel) -> Option<String> {
    let mut rule = json!({
        "availableResource": format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
        "availablePermissions": [format!("inRole:{}", role(access))],
    });
    if let Some(prefix) = prefix {
        let expression = condition(bucket, prefix);
        rule.as_object_mut()?.insert("availabilityCondition".to_owned(), json!({ "expression": expression }));
    }
    let boundary = json!({ "accessBoundaryRules": [rule] });
    fits(&boundary).then(|| json!({ "accessBoundary": boundary }).to_string())
}

fn fits(boundary: &Value) -> bool {
    boundary.to_string().chars().count() <= BOUNDARY_LENGTH_MAX
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_boundary_is_what_google_takes_as_a_whole() {
        let bucket = "b".repeat(63);
        let whole = |prefix: usize| of_bucket(&bucket, Some(&"p".repeat(prefix)), AccessLevel::Read);
        let longest = (1..1000).take_while(|length| whole(*length).is_some()).last().unwrap();
        let value: Value = serde_json::from_str(&whole(longest).unwrap()).unwrap();
        let said = value["accessBoundary"].to_string();
        assert!((BOUNDARY_LENGTH_MAX - 2..=BOUNDARY_LENGTH_MAX).contains(&said.len()), "{}", said.len());
        assert!(of_bucket(&bucket, None, AccessLevel::Read).is_some());
    }
}

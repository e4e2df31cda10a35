//! What `-o json` promises, whatever the verb: null for what is absent, RFC 3339 times, the words of the tables, lists
//! that are never null. Every answer that a test takes with `-o json` is held against it.

use serde_json::Value;

/// Objects with keys of somebody else's choice.
const OPEN: [&str; 4] = ["labels", "details", "settings", "settings_schema"];
/// Times whose names do not say so.
const TIMES: [&str; 3] = ["at", "expected", "shown"];
/// A number of seconds that may be none.
const MAY_BE_ZERO: [&str; 1] = ["secret_skew_tolerance_seconds"];

/// Every document in `text` keeps the promise.
#[track_caller]
pub fn documents(text: &str) {
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let document = document.unwrap_or_else(|error| panic!("not JSON ({error}): {text}"));
        let wrong = uneven(&document, "");
        assert_eq!(wrong, None, "{document:#}");
    }
}

/// Where a document breaks the promise, and how.
pub fn uneven(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| field(key, value, &format!("{place}.{key}"))),
        Value::Array(items) => items.iter().find_map(|item| {
            let hole = item.is_null().then(|| format!("{place} has a hole"));
            hole.or_else(|| uneven(item, &format!("{place}[]")))
        }),
        Value::String(text) => text.is_empty().then(|| format!("{place} is empty where null is due")),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn field(key: &str, value: &Value, place: &str) -> Option<String> {
    let named = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let time = TIMES.contains(&key) || key.ends_with("_at") || key.ends_with("_until");
    let sound = match key {
        _ if OPEN.contains(&key) => {
            return (!value.is_object() && !value.is_null()).then(|| format!("{place} is closed"));
        }
        _ if value.is_null() => true,
        _ if time => value.as_str().is_some_and(|text| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()),
        "access" | "access_max" => ["read", "write", "admin"].iter().any(|word| value == word),
        _ if key.ends_with("_seconds") => value.as_u64().is_some_and(|n| n > 0 || MAY_BE_ZERO.contains(&key)),
        _ => true,
    };
    match (named, sound) {
        (false, _) => Some(format!("{place} is named unlike others")),
        (true, false) => Some(format!("{place} is {value}")),
        (true, true) => uneven(value, place),
    }
}

#[test]
fn what_breaks_the_promise_is_told() {
    use serde_json::json;
    let fine = json!({"a": null, "created_at": "2026-11-25T14:00:00.25Z", "access": "read", "l": [], "ttl_max_seconds": 9,
                      "labels": {"Any-Key": ""}, "settings": null});
    assert_eq!(uneven(&json!([fine]), ""), None);
    for (wrong, told) in [
        (json!({"a": ""}), ".a is empty where null is due"),
        (json!([{"a": [""]}]), "[].a[] is empty where null is due"),
        (json!({"created_at": "2026-11-25 14:00"}), r#".created_at is "2026-11-25 14:00""#),
        (json!({"at": 1_767_225_600}), ".at is 1767225600"),
        (
            json!({"outstanding_until": "2026-11-25T14:00:00+01:00"}),
            r#".outstanding_until is "2026-11-25T14:00:00+01:00""#,
        ),
        (json!({"access_max": "ACCESS_LEVEL_READ"}), r#".access_max is "ACCESS_LEVEL_READ""#),
        (json!({"ttl_max_seconds": 0}), ".ttl_max_seconds is 0"),
        (json!({"camelCase": 1}), ".camelCase is named unlike others"),
        (json!({"labels": []}), ".labels is closed"),
        (json!({"list": [null]}), ".list has a hole"),
    ] {
        assert_eq!(uneven(&wrong, "").as_deref(), Some(told));
    }
}

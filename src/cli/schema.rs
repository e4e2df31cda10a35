//! Reads the JSON schema of an auth method's settings, as the server serves it.
//!
//! Owns what this room understands of JSON schema: the properties of one
//! object with their types, words, examples and defaults. It checks nothing
//! that the server checks; a property it does not understand takes any JSON.

use serde_json::{Map, Value};

use super::failure::Failure;

/// `$ref`s followed for one property; a schema may refer to itself.
const REFERENCES_MAX: usize = 8;

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// A list of texts.
    Texts,
    /// A list of something else; given as JSON.
    List,
    /// An object; given as JSON.
    Object,
    /// Not said; given as JSON or text.
    Any,
}

impl Shape {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Texts => "list of strings",
            Self::List => "list (JSON)",
            Self::Object => "object (JSON)",
            Self::Any => "any (JSON)",
        }
    }
}

/// One setting of an auth method.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// The key.
    pub(super) name: String,
    /// What it holds.
    pub(super) shape: Shape,
    /// Must be given.
    pub(super) required: bool,
    /// A heading for people; may be empty.
    pub(super) title: String,
    /// What it means.
    pub(super) summary: String,
    /// The only values there are, when it is a closed set.
    pub(super) choices: Vec<String>,
    /// What it is when not given.
    pub(super) default: Option<Value>,
    /// For example.
    pub(super) example: Option<Value>,
}

/// The settings of a schema, in its order; required ones first.
///
/// # Errors
/// When the server sent something that is no JSON schema of an object.
pub(super) fn settings_of(schema: &str) -> Result<Vec<Setting>, Failure> {
    let unreadable = || Failure::failed("the server sent a settings schema that this version does not understand");
    let root: Value = serde_json::from_str(schema).map_err(|_| unreadable())?;
    let object = resolve(&root, &root);
    if !object.is_object() {
        return Err(unreadable());
    }
    let mut settings = Vec::new();
    collect(&root, object, &mut settings);
    settings.sort_by_key(|setting| !setting.required);
    Ok(settings)
}

/// Adds the properties of an object and of its `allOf` parts.
fn collect(root: &Value, object: &Value, settings: &mut Vec<Setting>) {
    let required: Vec<&str> = texts(object.get("required"));
    let none = Map::new();
    for (name, property) in object.get("properties").and_then(Value::as_object).unwrap_or(&none) {
        let inner = resolve(root, property);
        // A constant, such as the tag of the auth method, is not for the caller to set.
        if property.get("const").is_none() && inner.get("const").is_none() {
            settings.push(setting(root, name, property, inner, required.contains(&name.as_str())));
        }
    }
    for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        let inner = resolve(root, part);
        if inner.get("allOf").is_none() {
            collect(root, inner, settings);
        }
    }
}

fn setting(root: &Value, name: &str, property: &Value, inner: &Value, required: bool) -> Setting {
    let say = |key: &str| property.get(key).or_else(|| inner.get(key));
    Setting {
        name: name.to_owned(),
        shape: shape(root, inner),
        required,
        title: property.get("title").and_then(Value::as_str).unwrap_or_default().to_owned(),
        summary: say("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " "),
        choices: choices(inner),
        default: say("default").filter(|default| !default.is_null()).cloned(),
        example: say("examples").and_then(|examples| examples.get(0)).cloned(),
    }
}

fn choices(inner: &Value) -> Vec<String> {
    let one_of = inner.get("oneOf").and_then(Value::as_array);
    let constants = one_of.into_iter().flatten().filter_map(|choice| choice.get("const")?.as_str());
    texts(inner.get("enum")).into_iter().chain(constants).map(str::to_owned).collect()
}

fn shape(root: &Value, inner: &Value) -> Shape {
    let kinds: Vec<&str> = match inner.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        many => texts(many),
    };
    match kinds.into_iter().find(|kind| *kind != "null") {
        Some("string") => Shape::Text,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        Some("object") => Shape::Object,
        Some("array") => match inner.get("items").map(|items| shape(root, resolve(root, items))) {
            Some(Shape::Text) => Shape::Texts,
            Some(_) | None => Shape::List,
        },
        Some(_) => Shape::Any,
        None if choices(inner).is_empty() => Shape::Any,
        None => Shape::Text,
    }
}

/// Follows `$ref`, and the one part of `anyOf` that is not null.
fn resolve<'a>(root: &'a Value, start: &'a Value) -> &'a Value {
    let mut at = start;
    for _ in 0..REFERENCES_MAX {
        let target = at.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?));
        let part = || {
            let parts = at.get("anyOf").and_then(Value::as_array)?;
            parts.iter().find(|part| part.get("type").and_then(Value::as_str) != Some("null"))
        };
        match target.or_else(part) {
            Some(next) => at = next,
            None => return at,
        }
    }
    at
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The schema that tests of this room use.
#[cfg(test)]
pub(super) const SCHEMA: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "auth_method": {"type": "string", "const": "iam-role"},
    "endpoint_url": {"type": ["string", "null"], "description": "Where STS is,\nwhen not at AWS", "default": null},
    "region": {"type": "string", "description": "The region", "default": "us-east-1"},
    "role_arn": {"$ref": "#/$defs/RoleArn", "description": "The role to assume"},
    "partition": {"anyOf": [{"$ref": "#/$defs/Partition"}, {"type": "null"}]},
    "policy_arns": {"type": "array", "items": {"type": "string"}},
    "session_tags": {"type": "object", "additionalProperties": {"type": "string"}},
    "max_session_duration": {"type": ["integer", "null"], "format": "uint32"},
    "chain": {"type": "boolean", "default": false}
  },
  "required": ["auth_method", "role_arn"],
  "$defs": {
    "RoleArn": {"type": "string", "examples": ["arn:aws:iam::123456789012:role/ml"]},
    "Partition": {"type": "string", "enum": ["aws", "aws-cn"]}
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Setting {
        settings_of(SCHEMA).unwrap().into_iter().find(|s| s.name == name).unwrap()
    }

    #[test]
    fn required_settings_come_first_and_constants_not_at_all() {
        let settings = settings_of(SCHEMA).unwrap();
        assert_eq!(settings[0].name, "role_arn");
        assert!(settings[0].required && settings[1..].iter().all(|s| !s.required));
        assert!(settings.iter().all(|s| s.name != "auth_method"));
    }

    #[test]
    fn words_and_examples_are_found_through_references() {
        let role = found("role_arn");
        assert_eq!((role.shape, role.summary.as_str()), (Shape::Text, "The role to assume"));
        assert_eq!(role.example, Some(Value::from("arn:aws:iam::123456789012:role/ml")));
        assert_eq!(found("partition").choices, ["aws", "aws-cn"]);
        assert_eq!(found("endpoint_url").summary, "Where STS is, when not at AWS");
    }

    #[test]
    fn shapes_are_read_with_and_without_null() {
        let shapes = [
            ("endpoint_url", Shape::Text),
            ("max_session_duration", Shape::Integer),
            ("chain", Shape::Boolean),
            ("policy_arns", Shape::Texts),
            ("session_tags", Shape::Object),
        ];
        for (name, shape) in shapes {
            assert_eq!(found(name).shape, shape, "{name}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema =
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"$ref":"#/$defs/A"}}}"##;
        assert_eq!(settings_of(schema).unwrap()[0].shape, Shape::Any);
        assert!(settings_of("[]").is_err());
        assert!(settings_of("").is_err());
    }
}

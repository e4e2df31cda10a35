//! Whether a finding could be registered: what the server checks of it before
//! it asks the cloud, by the finding's own connector type. Each finding of
//! each test goes through here.

use serde_json::{Map, Value};

use super::Found;
use crate::connectors::{MethodDescription, find};
use crate::domain::{AuthMethodName, Name, SecretFieldName, Timestamp};
use crate::sealing::{Plaintext, SourceCredential};

/// When the tests are: 1 December 2025.
pub const NOW: Timestamp = Timestamp::from_seconds(1_764_547_200);
const LATER: Timestamp = Timestamp::from_seconds(1_764_547_200 + 3600);

/// Panics with what is refused of it. What a person is asked for or told to
/// give is given: settings that the finding lacks and the schema requires,
/// and the end of a session that does not say it.
pub fn check(found: &Found) {
    if let Err(why) = refused(found) {
        panic!("{} cannot be registered: {why}", found.source);
    }
}

/// What is refused of it.
pub fn refused(found: &Found) -> Result<(), String> {
    found.name.parse::<Name>().map_err(|error| format!("its name: {error}"))?;
    let kind = find(found.connector_type).ok_or("there is no such type")?;
    let method = kind.description().methods.iter().find(|method| method.name == found.auth_method);
    let method = method.ok_or("there is no such method")?;
    secret_fields(found, method)?;
    let settings = Value::Object(completed(found, method)).to_string();
    let name = AuthMethodName::parse(found.auth_method).map_err(|error| error.to_string())?;
    let settings = kind.parse_settings(&name, &settings).map_err(|errors| errors.to_string())?;
    let field = |(name, value): &(&'static str, zeroize::Zeroizing<Vec<u8>>)| {
        (SecretFieldName::parse(name).unwrap(), Plaintext::new(value.to_vec()))
    };
    let secret = SourceCredential::new(found.secrets.iter().map(field).collect());
    let said = found.secret_expires_at.as_deref().map(|text| {
        let end: jiff::Timestamp = text.parse().expect("it is one that the CLI reads");
        Timestamp::from_millis(end.as_millisecond())
    });
    let asked_for = found.notes.iter().any(|note| note.contains("--secret-expires-in"));
    let ends = said.or(asked_for.then_some(LATER));
    kind.check_secret(&settings.json, &secret, ends, NOW).map_err(|errors| errors.to_string())
}

/// As the server checks before the type does.
fn secret_fields(found: &Found, method: &MethodDescription) -> Result<(), String> {
    for (name, value) in &found.secrets {
        if !method.secrets.iter().any(|field| field.name == *name) || value.is_empty() {
            return Err(format!("{name} is empty or no field of the method"));
        }
    }
    let given = |name: &str| found.secrets.iter().any(|(own, _)| *own == name);
    match method.secrets.iter().find(|field| field.required && !given(field.name)) {
        Some(missing) => Err(format!("{} is missing", missing.name)),
        None => Ok(()),
    }
}

/// With an example of each required setting that the finding lacks.
fn completed(found: &Found, method: &MethodDescription) -> Map<String, Value> {
    let schema: Value = serde_json::from_str(&method.settings_schema).unwrap();
    let mut settings = found.settings.clone();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let example = schema["properties"][name]["examples"][0].clone();
        settings.entry(name).or_insert(example);
    }
    settings
}

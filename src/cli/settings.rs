//! Puts together the settings of a connector from `--set` and `--settings`.
//!
//! Owns the typing of `key=value` by the served schema, and the questions for
//! what is missing. Settings hold no secrets; `secrets` takes those. It never
//! judges a value: the server does.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::escape::escape;
use super::failure::Failure;
use super::pairs::{Pair, parse_pair};
use super::schema::{Setting, Shape};
use super::terminal::{Terminal, read_bounded};

/// The server takes at most this much in one request.
const SETTINGS_BYTES_MAX: u64 = 256 * 1024;

/// The settings of an auth method.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SettingArgs {
    /// One setting of the auth method; lists are separated by commas or given
    /// as JSON
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_pair)]
    set: Vec<Pair>,
    /// All settings as one JSON object, from a file; --set goes on top
    #[arg(long, value_name = "@FILE", value_parser = parse_file)]
    settings: Option<PathBuf>,
}

impl SettingArgs {
    /// Something was given.
    pub(super) fn given(&self) -> bool {
        self.settings.is_some() || !self.set.is_empty()
    }

    /// `base`, overlaid with what was given.
    ///
    /// # Errors
    /// Usage: a file that cannot be read, an unknown key (the hint lists the
    /// known ones), or a value of another type.
    pub(super) fn over(&self, base: Map<String, Value>, known: &[Setting]) -> Result<Map<String, Value>, Failure> {
        let mut settings = base;
        if let Some(path) = &self.settings {
            for (key, value) in read_object(path)? {
                find(known, &key)?;
                settings.insert(key, value);
            }
        }
        for Pair { key, value } in &self.set {
            settings.insert(key.clone(), typed(find(known, key)?, value)?);
        }
        Ok(settings)
    }
}

/// Asks for the required settings that are missing.
///
/// # Errors
/// Usage, naming them all, when nobody can be asked.
pub(super) fn complete(
    settings: &mut Map<String, Value>,
    known: &[Setting],
    terminal: &dyn Terminal,
) -> Result<(), Failure> {
    let missing: Vec<&Setting> = known.iter().filter(|s| s.required && !settings.contains_key(&s.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !terminal.interactive() {
        let names: Vec<&str> = missing.iter().map(|s| s.name.as_str()).collect();
        return Err(Failure::usage(format!("missing settings: {}", names.join(", ")))
            .hint("give --set KEY=VALUE or --settings @FILE; `valetkey connector-type describe` explains them"));
    }
    for setting in missing {
        let answer = terminal
            .ask(&question(setting))
            .map_err(|_| Failure::usage(format!("the setting {} was not given", setting.name)))?;
        let value = match (answer.is_empty(), &setting.default) {
            (false, _) => typed(setting, &answer)?,
            (true, Some(default)) => default.clone(),
            (true, None) => return Err(Failure::usage(format!("the setting {} was not given", setting.name))),
        };
        settings.insert(setting.name.clone(), value);
    }
    Ok(())
}

/// What a setting is asked for with.
pub(super) fn question(setting: &Setting) -> String {
    let mut notes = Vec::new();
    let summary = setting.summary.trim_end_matches('.');
    if !summary.is_empty() {
        notes.push(summary.to_owned());
    }
    if !setting.choices.is_empty() {
        notes.push(format!("one of {}", setting.choices.join(", ")));
    }
    let example = setting.example.as_ref().map(plain).filter(|example| !summary.contains(example.as_str()));
    if let Some(example) = example {
        notes.push(format!("for example {example}"));
    }
    if let Some(default) = &setting.default {
        notes.push(format!("default {}", plain(default)));
    }
    escape(&format!("{} ({})", setting.name, notes.join("; ")))
}

/// A JSON value without the quotes of a string.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn find<'a>(known: &'a [Setting], key: &str) -> Result<&'a Setting, Failure> {
    known.iter().find(|setting| setting.name == key).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|s| s.name.as_str()).collect();
        Failure::usage(format!("{key} is no setting of this auth method"))
            .hint(format!("its settings: {}", names.join(", ")))
    })
}

/// The value of a setting from its text.
///
/// # Errors
/// Usage, when the text is of another type.
pub(super) fn typed(setting: &Setting, text: &str) -> Result<Value, Failure> {
    let wrong = || Failure::usage(format!("the setting {} must be: {}", setting.name, setting.shape.words()));
    let json = || serde_json::from_str::<Value>(text).ok();
    let value = match setting.shape {
        Shape::Text => Some(Value::from(text)),
        Shape::Integer => text.parse::<i64>().ok().map(Value::from),
        Shape::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        Shape::Boolean => text.parse::<bool>().ok().map(Value::from),
        Shape::Texts if text.starts_with('[') => json().filter(Value::is_array),
        Shape::Texts => Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
        Shape::List => json().filter(Value::is_array),
        Shape::Object => json().filter(Value::is_object),
        Shape::Any => Some(json().unwrap_or_else(|| Value::from(text))),
    };
    value.ok_or_else(wrong)
}

fn read_object(path: &std::path::Path) -> Result<Map<String, Value>, Failure> {
    let read = std::fs::File::open(path).and_then(|file| read_bounded(file, SETTINGS_BYTES_MAX));
    let bytes = read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!(
            "{} must hold one JSON object (line {}, column {})",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}

fn parse_file(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix('@') {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        Some(_) | None => Err("must be @FILE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::{SCHEMA, settings_of};
    use super::super::terminal::ScriptedTerminal;
    use super::*;

    fn over(pairs: &[&str]) -> Result<Value, Failure> {
        let set = pairs.iter().map(|p| parse_pair(p).unwrap()).collect();
        let args = SettingArgs { set, settings: None };
        args.over(Map::new(), &settings_of(SCHEMA).unwrap()).map(Value::Object)
    }

    #[test]
    fn values_take_the_type_of_the_schema() {
        let settings = over(&[
            "role_arn=123",
            "max_session_duration=3600",
            "chain=true",
            "policy_arns=a, b",
            "session_tags={\"team\":\"ml\"}",
        ]);
        let expected = json!({
            "role_arn": "123", "max_session_duration": 3600, "chain": true,
            "policy_arns": ["a", "b"], "session_tags": {"team": "ml"},
        });
        assert_eq!(settings.unwrap(), expected);
        assert_eq!(over(&["policy_arns=[\"a,b\"]"]).unwrap(), json!({"policy_arns": ["a,b"]}));
    }

    #[test]
    fn values_of_another_type_are_refused() {
        for wrong in ["max_session_duration=1h", "chain=yes", "session_tags=a", "policy_arns=[1"] {
            assert!(over(&[wrong]).unwrap_err().message.contains("must be"), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_gets_the_known_ones_as_a_hint() {
        let failure = over(&["rolearn=x"]).unwrap_err();
        assert_eq!(failure.kind.exit_code(), 2);
        assert!(failure.hint.unwrap().contains("role_arn"));
        assert!(over(&["auth_method=x"]).is_err());
    }

    #[test]
    fn set_goes_on_top_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        std::fs::write(&path, r#"{"role_arn":"a","region":"eu-west-1"}"#).unwrap();
        let args = SettingArgs { set: vec![parse_pair("role_arn=b").unwrap()], settings: Some(path.clone()) };
        let known = settings_of(SCHEMA).unwrap();
        let settings = args.over(Map::new(), &known).unwrap();
        assert_eq!(Value::Object(settings), json!({"role_arn": "b", "region": "eu-west-1"}));
        std::fs::write(&path, r#"["role_arn"]"#).unwrap();
        assert!(args.over(Map::new(), &known).is_err());
    }

    #[test]
    fn missing_settings_are_asked_for_with_their_words() {
        let terminal = ScriptedTerminal::answering(&["arn:x"]);
        let mut settings = Map::new();
        complete(&mut settings, &settings_of(SCHEMA).unwrap(), &terminal).unwrap();
        assert_eq!(Value::Object(settings), json!({"role_arn": "arn:x"}));
        let question = "role_arn (The role to assume; for example arn:aws:iam::123456789012:role/ml)";
        assert_eq!(*terminal.asked.borrow(), [question]);
    }

    #[test]
    fn missing_settings_are_named_when_nobody_can_be_asked() {
        let known = settings_of(SCHEMA).unwrap();
        let failure = complete(&mut Map::new(), &known, &ScriptedTerminal::piped(b"")).unwrap_err();
        assert_eq!(failure.message, "missing settings: role_arn");
        assert!(complete(&mut Map::new(), &known, &ScriptedTerminal::answering(&[""])).is_err());
    }
}

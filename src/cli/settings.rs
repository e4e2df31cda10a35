//! Puts together the settings of a connector from `--set` and `--settings`.
//!
//! Owns the typing of `key=value` by the served schema, also out of a file,
//! and the questions for what is missing. Settings hold no secrets; `secrets`
//! takes those. It never judges a value: the server does.

use std::path::{Path, PathBuf};

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
    /// One setting of the auth method: KEY=@FILE takes the file's text, KEY=@@TEXT
    /// a text that begins with @. Lists have commas or line ends between their
    /// items, or are JSON; objects are JSON, such as
    /// service_accounts={"read":"ml/reader"}
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
            settings.insert(key.clone(), given(find(known, key)?, value)?);
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
        let examples: Vec<String> = missing.iter().filter_map(|setting| example(setting)).collect();
        let such = if examples.is_empty() { String::new() } else { format!(", such as {}", examples.join(" ")) };
        return Err(Failure::usage(format!("missing settings: {}", names.join(", "))).hint(format!(
            "give --set KEY=VALUE or --settings @FILE{such}; `valetkey connector-type describe` explains them"
        )));
    }
    for setting in missing {
        let answer = terminal
            .ask(&question(setting))
            .map_err(|_| Failure::usage(format!("the setting {} was not given", setting.name)))?;
        let value = match (answer.is_empty(), &setting.default) {
            (false, _) => given(setting, &answer)?,
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

/// How a setting is given on the command line, by the schema's example.
fn example(setting: &Setting) -> Option<String> {
    let example = plain(setting.example.as_ref()?).replace('\'', "'\\''");
    Some(escape(&format!("--set '{}={example}'", setting.name)))
}

/// The value of a setting as somebody gave it: `@FILE` stands for the text of
/// a file, where a list has one item a line.
///
/// # Errors
/// Usage, when the text is of another type, or the file cannot be read.
pub(super) fn given(setting: &Setting, text: &str) -> Result<Value, Failure> {
    let path = match text.strip_prefix('@') {
        None => return typed(setting, text),
        Some(literal) if literal.starts_with('@') => return typed(setting, literal),
        Some(path) => Path::new(path),
    };
    let cannot = |why: &str| {
        Failure::usage(format!("cannot read the setting {} from {}: {why}", setting.name, path.display()))
            .hint(format!("a text that begins with @ is given as {}=@@TEXT", setting.name))
    };
    let read = std::fs::File::open(path).and_then(|file| read_bounded(file, SETTINGS_BYTES_MAX));
    let bytes = read.map_err(|error| cannot(&error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| cannot("it is no text"))?;
    // Editors end the last line too.
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    match setting.shape {
        Shape::Texts if !text.trim_start().starts_with('[') => Ok(lines(text)),
        Shape::Texts
        | Shape::Text
        | Shape::Integer
        | Shape::Number
        | Shape::Boolean
        | Shape::List
        | Shape::Object
        | Shape::Any => typed(setting, text),
    }
}

/// The value of a setting from its text.
fn typed(setting: &Setting, text: &str) -> Result<Value, Failure> {
    let wrong = || {
        let failure = Failure::usage(format!("the setting {} must be: {}", setting.name, setting.shape.words()));
        match example(setting) {
            Some(example) => failure.hint(format!("for example {example}")),
            None => failure,
        }
    };
    let json = || serde_json::from_str::<Value>(text).ok();
    let value = match setting.shape {
        Shape::Text => Some(Value::from(text)),
        Shape::Integer => text.parse::<i64>().ok().map(Value::from),
        Shape::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        Shape::Boolean => text.parse::<bool>().ok().map(Value::from),
        Shape::Texts if text.trim_start().starts_with('[') => json().filter(Value::is_array),
        // What other programs print, such as ssh-keyscan, has commas of its own.
        Shape::Texts if text.contains(['\n', '\r']) => Some(lines(text)),
        Shape::Texts => Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
        Shape::List => json().filter(Value::is_array),
        Shape::Object => json().filter(Value::is_object),
        Shape::Any => Some(json().unwrap_or_else(|| Value::from(text))),
    };
    value.ok_or_else(wrong)
}

fn lines(text: &str) -> Value {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn read_object(path: &Path) -> Result<Map<String, Value>, Failure> {
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
    fn a_setting_comes_out_of_a_file_where_a_list_has_one_item_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = folder.path().join("value");
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        for (key, text, wanted) in [
            ("role_arn", "-----BEGIN-----\nAA\n-----END-----\n", json!("-----BEGIN-----\nAA\n-----END-----")),
            ("max_session_duration", "900\r\n", json!(900)),
            ("session_tags", "{\"a\":\n\"b\"}\n", json!({"a": "b"})),
            ("policy_arns", "a,b\n\n c \r\n", json!(["a,b", "c"])),
            ("policy_arns", "a,b", json!(["a,b"])),
            ("policy_arns", "\n[\"a\",\n\"b\"]\n", json!(["a", "b"])),
        ] {
            let settings = over(&[&format!("{key}=@{}", file(text))]).unwrap();
            assert_eq!(settings[key], wanted, "{text:?}");
        }
        assert_eq!(over(&["role_arn=@@name"]).unwrap(), json!({"role_arn": "@name"}));
        let failure = over(&["role_arn=@/no/such/file"]).unwrap_err();
        assert!(failure.message.contains("role_arn from /no/such/file"), "{}", failure.message);
        assert!(failure.hint.unwrap().contains("role_arn=@@TEXT"));
        let path = folder.path().join("value");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(over(&[&format!("role_arn=@{}", path.display())]).unwrap_err().message.contains("no text"));
    }

    #[test]
    fn a_list_of_several_lines_has_one_item_a_line() {
        let scan = "# gpu1:22 SSH-2.0\ngpu1,10.0.0.7 ssh-ed25519 AAAA\n";
        let settings = over(&[&format!("policy_arns={scan}")]).unwrap();
        assert_eq!(settings, json!({"policy_arns": ["# gpu1:22 SSH-2.0", "gpu1,10.0.0.7 ssh-ed25519 AAAA"]}));
    }

    #[test]
    fn whoever_gives_another_type_or_nothing_is_shown_how_it_is_written() {
        let with = |example: Value| Setting {
            shape: Shape::Object,
            required: true,
            example: Some(example),
            ..settings_of(SCHEMA).unwrap().remove(0)
        };
        let known = [with(json!({"read": "ml/reader"}))];
        let failure = complete(&mut Map::new(), &known, &ScriptedTerminal::piped(b"")).unwrap_err();
        let shown = r#"--set 'role_arn={"read":"ml/reader"}'"#;
        assert!(failure.hint.as_ref().unwrap().contains(shown), "{:?}", failure.hint);
        let failure = given(&known[0], "ml/reader").unwrap_err();
        assert!(failure.hint.as_ref().unwrap().contains(shown), "{:?}", failure.hint);
        let quoted = example(&with(json!("a'b"))).unwrap();
        assert_eq!(quoted, r"--set 'role_arn=a'\''b'");
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

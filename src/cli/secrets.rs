//! Takes the fields of a source credential from files, standard input or a
//! hidden prompt.
//!
//! Owns these bytes between the keyboard and the request. It never takes a
//! secret from the command line, where every user of the machine could read
//! it, and no error of it repeats what was given.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::{Error, ErrorKind};
use clap::{Arg, Args, Command};
use zeroize::{Zeroize as _, Zeroizing};

use crate::proto;

use super::failure::Failure;
use super::terminal::{Terminal, read_bounded};

/// The server takes at most this much of one field.
const FIELD_BYTES_MAX: u64 = 64 * 1024;
/// All fields in one JSON object: the server's bound for the whole request.
const ALL_BYTES_MAX: u64 = 256 * 1024;

/// Where the fields of a source credential come from.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SecretArgs {
    /// One field of the source credential, from a file (`field=@file`) or from
    /// standard input (`field=-`); never its value itself
    #[arg(long = "secret", value_name = "FIELD=@FILE", value_parser = SecretParser)]
    secret: Vec<NamedSource>,
    /// All fields of the source credential as one JSON object, from a file
    /// (`@file`) or from standard input (`-`)
    #[arg(long = "secrets", value_name = "@FILE", value_parser = SourceParser)]
    secrets: Option<Source>,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// In this file.
    File(PathBuf),
    /// On standard input.
    StandardInput,
}

/// A field and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedSource {
    field: String,
    source: Source,
}

/// What a field is asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The field's name.
    pub(super) name: String,
    /// One line for people.
    pub(super) summary: String,
    /// Must be given.
    pub(super) required: bool,
}

/// The fields, wiped when dropped.
pub(super) struct Secrets(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl SecretArgs {
    /// Something was given.
    pub(super) fn given(&self) -> bool {
        self.secrets.is_some() || !self.secret.is_empty()
    }

    fn stdin_uses(&self) -> usize {
        let all = self.secrets.iter().chain(self.secret.iter().map(|named| &named.source));
        all.filter(|source| **source == Source::StandardInput).count()
    }

    /// Reads everything that was named, and asks for what is wanted, required
    /// and missing when somebody sits there.
    ///
    /// # Errors
    /// Usage: what cannot be read, is no field of this auth method, or is
    /// missing.
    pub(super) fn read(&self, wanted: &[Wanted], terminal: &dyn Terminal) -> Result<Secrets, Failure> {
        if self.stdin_uses() > 1 {
            return Err(Failure::usage("standard input can hold one secret only")
                .hint("give all fields as one JSON object: --secrets -"));
        }
        let mut secrets = Secrets(BTreeMap::new());
        if let Some(source) = &self.secrets {
            secrets.0 = parse_object(&load(source, ALL_BYTES_MAX, "--secrets", terminal)?)?;
        }
        for NamedSource { field, source } in &self.secret {
            let mut bytes = load(source, FIELD_BYTES_MAX, field, terminal)?;
            trim_line_end(&mut bytes);
            if secrets.0.insert(field.clone(), bytes).is_some() {
                return Err(Failure::usage(format!("the secret field {field} is given twice")));
            }
        }
        secrets.refuse_unknown(wanted)?;
        secrets.complete(wanted, terminal)?;
        Ok(secrets)
    }
}

impl Secrets {
    /// Fields that were read elsewhere.
    pub(super) fn of(fields: impl IntoIterator<Item = (String, Zeroizing<Vec<u8>>)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// The names of the fields.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// For a message. What stays here is wiped; the message is wiped by the
    /// allocator when it is dropped.
    pub(super) fn to_fields(&self) -> Vec<proto::SecretField> {
        let field = |(name, value): (&String, &Zeroizing<Vec<u8>>)| proto::SecretField {
            name: name.clone(),
            value: value.to_vec(),
        };
        self.0.iter().map(field).collect()
    }

    /// Another value of a field, or none.
    pub(super) fn put(&mut self, name: &str, value: Option<Zeroizing<Vec<u8>>>) {
        match value {
            Some(value) => drop(self.0.insert(name.to_owned(), value)),
            None => drop(self.0.remove(name)),
        }
    }

    /// Only fields that the auth method has.
    ///
    /// # Errors
    /// Usage, with the fields there are.
    pub(super) fn refuse_unknown(&self, wanted: &[Wanted]) -> Result<(), Failure> {
        let Some(unknown) = self.0.keys().find(|name| wanted.iter().all(|w| w.name != **name)) else { return Ok(()) };
        let known: Vec<&str> = wanted.iter().map(|w| w.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Failure::usage(format!("{unknown} is no secret field of this auth method"))
            .hint(format!("its secret fields: {known}")))
    }

    /// Asks for required fields that are missing.
    ///
    /// # Errors
    /// Usage, naming them all, when nobody can be asked.
    pub(super) fn complete(&mut self, wanted: &[Wanted], terminal: &dyn Terminal) -> Result<(), Failure> {
        let missing: Vec<&Wanted> = wanted.iter().filter(|w| w.required && !self.0.contains_key(&w.name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if !terminal.interactive() {
            let names: Vec<&str> = missing.iter().map(|w| w.name.as_str()).collect();
            return Err(Failure::usage(format!("missing secret fields: {}", names.join(", ")))
                .hint("give --secret FIELD=@FILE, --secret FIELD=- or --secrets - (one JSON object)"));
        }
        for want in missing {
            let label = super::escape::escape(&format!("{} ({})", want.name, want.summary));
            let answer = terminal
                .ask_hidden(&label)
                .map_err(|_| Failure::usage(format!("the secret field {} was not given", want.name)))?;
            if answer.is_empty() {
                return Err(Failure::usage(format!("the secret field {} was not given", want.name)));
            }
            self.0.insert(want.name.clone(), Zeroizing::new(answer.as_bytes().to_vec()));
        }
        Ok(())
    }
}

fn load(source: &Source, bytes_max: u64, what: &str, terminal: &dyn Terminal) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (read, place) = match source {
        Source::File(path) => (read_file(path, bytes_max), path.display().to_string()),
        Source::StandardInput => (terminal.standard_input(bytes_max), "standard input".to_owned()),
    };
    read.map_err(|error| Failure::usage(format!("cannot read {what} from {place}: {error}")))
}

/// One field out of a file, without the line end that editors add.
///
/// # Errors
/// When it cannot be read or is larger than a field may be.
pub(super) fn read_field(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = read_file(path, FIELD_BYTES_MAX)?;
    trim_line_end(&mut bytes);
    Ok(bytes)
}

fn read_file(path: &Path, bytes_max: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    read_bounded(std::fs::File::open(path)?, bytes_max)
}

/// Takes away one line end: editors and `echo` add it.
fn trim_line_end(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
}

/// Parses one JSON object of strings. Its errors name a place, never a value:
/// the parser's own would quote it.
fn parse_object(bytes: &[u8]) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>, Failure> {
    let parsed: BTreeMap<String, String> = serde_json::from_slice(bytes).map_err(|error| {
        Failure::usage(format!(
            "--secrets must be one JSON object of strings (line {}, column {})",
            error.line(),
            error.column()
        ))
    })?;
    let mut fields = BTreeMap::new();
    for (name, mut value) in parsed {
        fields.insert(name, Zeroizing::new(value.as_bytes().to_vec()));
        value.zeroize();
    }
    Ok(fields)
}

/// Parses `field=@file` and `field=-`, and refuses all else without repeating
/// it: it may be the secret.
#[derive(Clone)]
struct SecretParser;

impl TypedValueParser for SecretParser {
    type Value = NamedSource;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<NamedSource, Error> {
        let text =
            Zeroizing::new(StringValueParser::new().parse_ref(command, arg, value).map_err(|_| refusal(command))?);
        let (field, source) = text.split_once('=').ok_or_else(|| refusal(command))?;
        if field.is_empty() {
            return Err(refusal(command));
        }
        Ok(NamedSource { field: field.to_owned(), source: parse_source(source).ok_or_else(|| refusal(command))? })
    }
}

/// Parses `@file` and `-`.
#[derive(Clone)]
struct SourceParser;

impl TypedValueParser for SourceParser {
    type Value = Source;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Source, Error> {
        value.to_str().and_then(parse_source).ok_or_else(|| refusal(command))
    }
}

fn parse_source(text: &str) -> Option<Source> {
    match text.strip_prefix('@') {
        Some("") => None,
        Some(path) => Some(Source::File(PathBuf::from(path))),
        None => (text == "-").then_some(Source::StandardInput),
    }
}

fn refusal(command: &Command) -> Error {
    Error::raw(
        ErrorKind::ValueValidation,
        "a secret never goes on the command line, where every user of this machine can read it\nhint: --secret \
         FIELD=@FILE, --secret FIELD=- (standard input), --secrets @FILE or --secrets - (one JSON object of all \
         fields), or leave it out to be asked\n",
    )
    .with_cmd(command)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::terminal::ScriptedTerminal;
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        secrets: SecretArgs,
    }

    fn args(arguments: &[&str]) -> Result<SecretArgs, Error> {
        Line::try_parse_from(std::iter::once(&"x").chain(arguments)).map(|line| line.secrets)
    }

    fn wanted() -> Vec<Wanted> {
        ["id", "key"]
            .iter()
            .map(|name| Wanted { name: (*name).to_owned(), summary: format!("the {name}"), required: true })
            .collect()
    }

    fn read(arguments: &[&str], terminal: &ScriptedTerminal) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let secrets = args(arguments).unwrap().read(&wanted(), terminal)?;
        Ok(secrets.to_fields().into_iter().map(|f| (f.name, f.value)).collect())
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        for wrong in ["key=hunter2", "hunter2", "=@file", "key=@", "key="] {
            let error = args(&["--secret", wrong]).err().unwrap().to_string();
            assert!(error.contains("never goes on the command line"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = args(&["--secrets", "{\"key\":\"hunter2\"}"]).err().unwrap().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn fields_come_from_a_file_and_from_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        std::fs::write(&path, "AKIA\r\n").unwrap();
        let from_file = format!("id=@{}", path.display());
        let fields =
            read(&["--secret", &from_file, "--secret", "key=-"], &ScriptedTerminal::piped(b"s3cret\n")).unwrap();
        assert_eq!(fields, [("id".to_owned(), b"AKIA".to_vec()), ("key".to_owned(), b"s3cret".to_vec())]);
    }

    #[test]
    fn all_fields_come_as_one_json_object() {
        let terminal = ScriptedTerminal::piped(br#"{"id":"AKIA","key":"s3cret"}"#);
        assert_eq!(read(&["--secrets", "-"], &terminal).unwrap().len(), 2);
    }

    #[test]
    fn a_wrong_object_is_refused_without_its_content() {
        for wrong in [r#"{"id":"AKIA","key":["hunter2"]}"#, r#""hunter2""#, r#"{"key":"hunter2""#] {
            let failure = read(&["--secrets", "-"], &ScriptedTerminal::piped(wrong.as_bytes())).unwrap_err();
            assert!(!failure.text(false).contains("hunter2"));
        }
    }

    #[test]
    fn standard_input_serves_one_secret_only() {
        let failure = read(&["--secret", "id=-", "--secret", "key=-"], &ScriptedTerminal::piped(b"x")).unwrap_err();
        assert!(failure.hint.unwrap().contains("--secrets -"));
    }

    #[test]
    fn unknown_and_double_fields_are_refused() {
        let terminal = ScriptedTerminal::piped(br#"{"id":"a","key":"b","other":"c"}"#);
        assert!(read(&["--secrets", "-"], &terminal).unwrap_err().hint.unwrap().contains("id, key"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        std::fs::write(&path, "x").unwrap();
        let twice = format!("id=@{}", path.display());
        let terminal = ScriptedTerminal::piped(br#"{"id":"a","key":"b"}"#);
        assert!(read(&["--secrets", "-", "--secret", &twice], &terminal).unwrap_err().message.contains("twice"));
    }

    #[test]
    fn missing_fields_are_asked_for_hidden_or_named() {
        let terminal = ScriptedTerminal::answering(&["AKIA", "s3cret"]);
        assert_eq!(read(&[], &terminal).unwrap().len(), 2);
        assert_eq!(*terminal.asked.borrow(), ["id (the id)", "key (the key)"]);
        let failure = read(&[], &ScriptedTerminal::piped(b"")).unwrap_err();
        assert_eq!(failure.message, "missing secret fields: id, key");
        assert!(read(&[], &ScriptedTerminal::answering(&[""])).is_err());
    }

    #[test]
    fn a_field_longer_than_the_bound_is_refused() {
        let long = vec![b'a'; 64 * 1024 + 1];
        assert!(read(&["--secret", "key=-"], &ScriptedTerminal::piped(&long)).is_err());
    }
}

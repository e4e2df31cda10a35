//! `valetkey connector register -i`: asks for everything, step by step, from
//! what the server says of its connector types.
//!
//! Nothing is sent but questions about types until the last answer, so
//! whoever stops half-way leaves nothing. Secrets are asked for hidden. What is
//! refused then is asked for again in `mending`.

use std::path::Path;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::cli::connector_type::{self, MethodView, TypeView};
use crate::cli::escape::escape;
use crate::cli::failure::{Failure, Kind};
use crate::cli::moment::{Moment, parse_length, parse_seconds};
use crate::cli::pairs::access_named;
use crate::cli::questions::{Choice, choose, gone, until_valid, yes};
use crate::cli::schema::Setting;
use crate::cli::secrets::{Secrets, Wanted, read_field};
use crate::cli::session::Session;
use crate::cli::settings::{given, question};
use crate::cli::terminal::Terminal;
use crate::proto;

use super::draft::Draft;
use super::register::RegisterArgs;

/// Times that one secret is asked for.
const TRIES_MAX: u32 = 3;

/// Runs the command: what the command line says already is not asked for.
///
/// # Errors
/// What the daemon answered; usage, when nobody sits there or answers.
pub(super) async fn run(session: &Session, args: RegisterArgs) -> Result<(), Failure> {
    let terminal = session.terminal.as_ref();
    if !terminal.interactive() {
        return Err(Failure::usage("-i asks, and nobody sits at this terminal")
            .hint("give --type, --method, --set and --secret instead"));
    }
    terminal.tell("Nothing is stored before the last question; Ctrl-C leaves nothing behind.");
    terminal.tell("Where a setting is asked for, @FILE reads it from a file.");
    let kind = kind(session, args.connector_type.as_deref()).await?;
    let resources: Vec<Resource> = kind.resources().map(Resource::from).collect();
    let connector_type = kind.name().to_owned();
    let method = method(terminal, kind, args.method.as_deref())?;
    let known = method.settings()?;
    let settings = settings(terminal, &known, args.settings.over(Map::new(), &known)?)?;
    let wanted = method.wanted();
    let named = args.given_secrets(&method, terminal)?;
    let secrets = match named {
        Some(secrets) => secrets,
        None => secrets(terminal, &wanted)?,
    };
    let mut ask = args.into_request()?;
    ask.connector_type = connector_type;
    ask.auth_method = method.name().to_owned();
    if ask.secret_expires_at.is_none() && !secrets.names().is_empty() {
        ask.secret_expires_at = ending(terminal)?;
    }
    resource(terminal, &resources, &mut ask)?;
    ask.mint_policy = Some(policy(terminal, ask.mint_policy.take().unwrap_or_default())?);
    if !ask.skip_verify {
        ask.skip_verify = !yes(terminal, "ask the cloud whether it all works before it is stored?", true)?;
    }
    if ask.name.is_empty() {
        ask.name = name(session).await?;
    }
    let draft = Draft { ask, settings, secrets };
    terminal.tell("This will be registered:");
    draft.tell(terminal);
    if !yes(terminal, "register it?", false)? {
        return Err(Failure::failed("not confirmed; nothing was stored"));
    }
    super::mending::register(session, draft, &known, &wanted).await
}

/// What the type can give credentials for.
struct Resource {
    name: String,
    summary: String,
    id_form: String,
}

impl From<(&str, &str, &str)> for Resource {
    fn from((name, summary, id_form): (&str, &str, &str)) -> Self {
        Self { name: name.to_owned(), summary: summary.to_owned(), id_form: id_form.to_owned() }
    }
}

async fn kind(session: &Session, given: Option<&str>) -> Result<TypeView, Failure> {
    if let Some(given) = given {
        return connector_type::fetch(session, given).await;
    }
    let mut kinds = connector_type::all(session).await?;
    let choices: Vec<Choice> = kinds.iter().map(|kind| choice(kind.name(), kind.summary())).collect();
    let at = choose(session.terminal.as_ref(), "connector type", &choices, None)?.unwrap_or_default();
    Ok(kinds.swap_remove(at))
}

fn method(terminal: &dyn Terminal, kind: TypeView, given: Option<&str>) -> Result<MethodView, Failure> {
    if let Some(given) = given {
        return kind.into_method(given);
    }
    let choices: Vec<Choice> = kind.methods().iter().map(|method| choice(method.name(), method.summary())).collect();
    let at = choose(terminal, "auth method", &choices, None)?.unwrap_or_default();
    let chosen = choices.get(at).map(|choice| choice.name.as_str()).unwrap_or_default();
    kind.into_method(chosen)
}

fn choice(name: &str, meaning: &str) -> Choice {
    Choice { name: name.to_owned(), meaning: meaning.to_owned() }
}

/// Required settings, and the others when they are wanted.
fn settings(
    terminal: &dyn Terminal,
    known: &[Setting],
    mut settings: Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    let (required, optional): (Vec<&Setting>, Vec<&Setting>) =
        known.iter().filter(|one| !settings.contains_key(&one.name)).partition(|one| one.required);
    for one in required {
        let value = setting(terminal, one)?.ok_or_else(|| Failure::usage(format!("{} was not given", one.name)))?;
        settings.insert(one.name.clone(), value);
    }
    let names: Vec<&str> = optional.iter().map(|one| one.name.as_str()).collect();
    if names.is_empty() || !yes(terminal, &format!("set any of {}?", names.join(", ")), false)? {
        return Ok(settings);
    }
    for one in optional {
        if let Some(value) = setting(terminal, one)? {
            settings.insert(one.name.clone(), value);
        }
    }
    Ok(settings)
}

/// One setting; Enter takes the default, or leaves an optional one out.
pub(super) fn setting(terminal: &dyn Terminal, setting: &Setting) -> Result<Option<Value>, Failure> {
    if !setting.title.is_empty() {
        terminal.tell(&escape(&format!("{}:", setting.title)));
    }
    until_valid(terminal, &question(setting), |answer| match (answer, &setting.default) {
        ("", Some(default)) => Ok(Some(default.clone())),
        ("", None) if setting.required => Err(Failure::usage(format!("{} is needed", setting.name))),
        ("", None) => Ok(None),
        (text, _) if setting.choices.is_empty() || setting.choices.iter().any(|choice| choice == text) => {
            given(setting, text).map(Some)
        }
        _ => Err(Failure::usage(format!("{} is one of {}", setting.name, setting.choices.join(", ")))),
    })
}

/// The fields of the source credential, hidden; a key of several lines comes
/// out of a file.
fn secrets(terminal: &dyn Terminal, wanted: &[Wanted]) -> Result<Secrets, Failure> {
    if wanted.is_empty() {
        terminal.tell("No secret is stored with this auth method.");
    } else {
        terminal.tell("Secrets are not shown while they are typed; @FILE reads one from a file.");
    }
    let mut fields = Vec::new();
    for want in wanted {
        if let Some(value) = hidden(terminal, want)? {
            fields.push((want.name.clone(), value));
        }
    }
    Ok(Secrets::of(fields))
}

/// One field of it; nothing when it may be left out and is.
pub(super) fn hidden(terminal: &dyn Terminal, want: &Wanted) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let without = if want.required { "" } else { "; Enter leaves it out" };
    let label = escape(&format!("{} ({}{without})", want.name, want.summary));
    for _ in 0..TRIES_MAX {
        let answer = terminal.ask_hidden(&label).map_err(|_| gone())?;
        match answer.strip_prefix('@') {
            Some(path) => match read_field(Path::new(path)) {
                Ok(bytes) => return Ok(Some(bytes)),
                // The path is not repeated: it may be a secret that begins with @.
                Err(error) => terminal.tell(&format!("the file cannot be read: {}", error.kind())),
            },
            None if answer.is_empty() && !want.required => return Ok(None),
            None if answer.is_empty() => terminal.tell(&escape(&format!("{} is needed", want.name))),
            None => return Ok(Some(Zeroizing::new(answer.as_bytes().to_vec()))),
        }
    }
    Err(Failure::usage(format!("the secret field {} was not given", want.name)))
}

fn ending(terminal: &dyn Terminal) -> Result<Option<prost_types::Timestamp>, Failure> {
    until_valid(terminal, "the source credential ends after (for example 90d; Enter: it does not end)", |answer| {
        if answer.is_empty() {
            return Ok(None);
        }
        let length = parse_length(answer).map_err(Failure::usage)?;
        Ok(Some(Moment::now().after(length)?.to_proto()))
    })
}

/// What the connector is fixed to.
fn resource(
    terminal: &dyn Terminal,
    resources: &[Resource],
    ask: &mut proto::RegisterConnectorRequest,
) -> Result<(), Failure> {
    if ask.resource_type.is_empty() {
        let choices: Vec<Choice> = resources.iter().map(|one| choice(&one.name, &one.summary)).collect();
        let Some(at) = choose(terminal, "only one resource type", &choices, Some("any"))? else { return Ok(()) };
        ask.resource_type = choices.get(at).map(|choice| choice.name.clone()).unwrap_or_default();
    }
    if ask.resource_id.is_empty() {
        let form = resources.iter().find(|one| one.name == ask.resource_type).map(|one| one.id_form.as_str());
        let question = format!("only one resource ({}; Enter: any)", form.unwrap_or("its id"));
        ask.resource_id = terminal.ask(&escape(&question)).map_err(|_| gone())?;
    }
    Ok(())
}

/// The ceiling. A passthrough is not offered: whoever needs one says so on
/// the command line.
fn policy(terminal: &dyn Terminal, mut policy: proto::MintPolicy) -> Result<proto::MintPolicy, Failure> {
    if policy.resource_patterns.is_empty() {
        let question =
            "which resources may be minted for (globs such as s3://datasets/**, by commas; Enter: all it reaches)";
        let globs = terminal.ask(question).map_err(|_| gone())?;
        policy.resource_patterns =
            globs.split(',').map(str::trim).filter(|glob| !glob.is_empty()).map(str::to_owned).collect();
    }
    if policy.access_max == 0 {
        policy.access_max = until_valid(
            terminal,
            "the highest access level (read, write, admin; Enter: write)",
            |answer| match answer {
                "" => Ok(0),
                word => access_named(word).ok_or_else(|| Failure::usage("read, write or admin")),
            },
        )?;
    }
    if policy.ttl_max_seconds == 0 {
        let question = "the longest lifetime of what is minted (for example 1h; Enter: the auth method's own)";
        policy.ttl_max_seconds = until_valid(terminal, question, |answer| match answer {
            "" => Ok(0),
            text => parse_seconds(text).map_err(Failure::usage),
        })?;
    }
    Ok(policy)
}

/// A name that no other connector has, as far as the caller can see.
async fn name(session: &Session) -> Result<String, Failure> {
    loop {
        let terminal = session.terminal.as_ref();
        let asked = until_valid(terminal, "a name for it (for example prod-s3)", |answer| {
            let first = answer.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
            let rest = answer.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if first && rest && answer.len() <= 63 {
                Ok(answer.to_owned())
            } else {
                Err(Failure::usage("a small letter, then small letters, digits and hyphens"))
            }
        })?;
        match super::fetch(session, &asked).await {
            Ok(_) => terminal.tell("a connector of this name exists; choose another"),
            Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::Denied) => return Ok(asked),
            Err(failure) => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::schema::{SCHEMA, settings_of};
    use crate::cli::terminal::ScriptedTerminal;

    use super::*;

    fn asked_settings(answers: &[&str]) -> (Result<Map<String, Value>, Failure>, Vec<String>) {
        let terminal = ScriptedTerminal::answering(answers);
        let settings = settings(&terminal, &settings_of(SCHEMA).unwrap(), Map::new());
        (settings, terminal.asked.into_inner())
    }

    #[test]
    fn required_settings_are_asked_for_and_the_others_when_wanted() {
        let (settings, asked) = asked_settings(&["", "arn:x", ""]);
        assert_eq!(Value::Object(settings.unwrap()), json!({"role_arn": "arn:x"}));
        assert!(asked[2].starts_with("set any of "), "{asked:?}");
        let answers = ["arn:x", "y", "yes", "true", "", "1h", "900", "aws-x", "aws-cn", "a, b", "", ""];
        let (settings, asked) = asked_settings(&answers);
        let expected = json!({
            "chain": true, "max_session_duration": 900, "partition": "aws-cn", "policy_arns": ["a", "b"],
            "region": "us-east-1", "role_arn": "arn:x",
        });
        assert_eq!(Value::Object(settings.unwrap()), expected, "{asked:?}");
    }

    /// A CA has many lines, and a terminal gives one.
    #[test]
    fn a_setting_of_several_lines_comes_out_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "line one\nline two\n").unwrap();
        let (settings, asked) = asked_settings(&["@/no/such/file", &format!("@{}", path.display()), ""]);
        assert_eq!(Value::Object(settings.unwrap()), json!({"role_arn": "line one\nline two"}), "{asked:?}");
    }

    #[test]
    fn secrets_are_hidden_come_from_files_too_and_are_repeated_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, "line one\nline two\n").unwrap();
        let want = |name: &str, required| Wanted { name: name.to_owned(), summary: "it".to_owned(), required };
        let wanted = [want("key", true), want("pem", true), want("seed", false)];
        let answers = ["", "canary", "@/no/such/canary", &format!("@{}", path.display()), ""];
        let terminal = ScriptedTerminal::answering(&answers);
        let fields = secrets(&terminal, &wanted).unwrap().to_fields();
        let fields: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.value.as_slice())).collect();
        assert_eq!(fields, [("key", b"canary".as_slice()), ("pem", b"line one\nline two".as_slice())]);
        let said = terminal.told.borrow().concat() + &terminal.asked.borrow().concat();
        assert!(said.contains("cannot be read") && !said.contains("canary"), "{said}");
        assert!(secrets(&ScriptedTerminal::answering(&["", "", ""]), &wanted[..1]).is_err());
    }

    #[test]
    fn a_ceiling_is_asked_for_in_words_and_checked() {
        let terminal = ScriptedTerminal::answering(&["s3://a/**, s3://b", "owner", "read", "soon", "1h"]);
        let policy = policy(&terminal, proto::MintPolicy::default()).unwrap();
        assert_eq!(policy.resource_patterns, ["s3://a/**", "s3://b"]);
        assert_eq!((policy.access_max, policy.ttl_max_seconds, policy.allow_passthrough), (1, 3600, false));
        assert_eq!(
            *terminal.told.borrow(),
            ["read, write or admin", "must be a length of time such as 15m, 1h or 30d",]
        );
    }
}

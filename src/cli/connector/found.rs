//! `valetkey connector register --auto-configure`: offers what this machine
//! has, shows it without its secrets, and registers what is confirmed.
//!
//! `config` reads the machine; this asks. Nothing is registered unasked:
//! where nobody can be asked, `--from` and `--yes` say it.

use crate::cli::connector_type::fetch;
use crate::cli::escape::escape;
use crate::cli::failure::Failure;
use crate::cli::moment::Moment;
use crate::cli::questions::{Choice, choose, yes};
use crate::cli::secrets::Secrets;
use crate::cli::session::Session;
use crate::cli::settings::complete;
use crate::cli::terminal::Terminal;
use crate::config::found::{Found, Search};

use super::draft::Draft;
use super::register::RegisterArgs;

/// Runs the command on what was found.
///
/// # Errors
/// What the daemon answered; usage, when there is nothing, or nobody chooses
/// or confirms.
pub(super) async fn run(session: &Session, args: RegisterArgs, search: Search) -> Result<(), Failure> {
    let terminal = session.terminal.as_ref();
    for passed in &search.passed_over {
        terminal.tell(&escape(&format!("not taken: {passed}")));
    }
    let found = chosen(search.found, &args, terminal)?;
    let kind = fetch(session, found.connector_type).await?;
    let resource_type = kind.only_resource_type();
    let method = kind.into_method(found.auth_method)?;
    let known = method.settings()?;
    let mut settings = args.settings.over(found.settings, &known)?;
    complete(&mut settings, &known, terminal)?;
    let secrets = found.secrets.into_iter().map(|(name, value)| (name.to_owned(), value));
    let mut secrets = Secrets::of(secrets);
    secrets.refuse_unknown(&method.wanted())?;
    secrets.complete(&method.wanted(), terminal)?;
    let confirmed = args.yes;
    let mut ask = args.into_request()?;
    if ask.name.is_empty() {
        ask.name = found.name;
    }
    ask.connector_type = found.connector_type.to_owned();
    ask.auth_method = found.auth_method.to_owned();
    if ask.resource_type.is_empty() {
        // Where there is one alone, nobody needs to say it with a mint.
        ask.resource_type = resource_type.unwrap_or_default();
    }
    let ends = found.secret_expires_at.as_deref().and_then(Moment::parse).map(Moment::to_proto);
    ask.secret_expires_at = ask.secret_expires_at.or(ends);
    let draft = Draft { ask, settings, secrets };
    terminal.tell(&escape(&format!("found {}", found.source)));
    draft.tell(terminal);
    found.notes.iter().for_each(|note| terminal.tell(&escape(&format!("  note: {note}"))));
    if !confirmed {
        if !terminal.interactive() {
            return Err(Failure::usage("nobody can be asked whether to register this").hint("give --yes"));
        }
        if !yes(terminal, "register it?", false)? {
            return Err(Failure::failed("not confirmed; nothing was stored"));
        }
    }
    draft.register(session).await
}

/// The one that is wanted.
fn chosen(mut found: Vec<Found>, args: &RegisterArgs, terminal: &dyn Terminal) -> Result<Found, Failure> {
    found.retain(|one| args.connector_type.as_ref().is_none_or(|wanted| wanted == one.connector_type));
    if found.is_empty() {
        return Err(Failure::failed("this machine has nothing that can be registered")
            .hint("valetkey connector register -i asks for everything"));
    }
    let sources: Vec<String> = found.iter().map(|one| one.source.clone()).collect();
    let at = match &args.from {
        Some(wanted) => sources.iter().position(|source| source == wanted).ok_or_else(|| {
            Failure::usage(format!("{wanted} is not among what was found"))
                .hint(format!("found: {}", sources.join(", ")))
        })?,
        None if found.len() == 1 => 0,
        None if terminal.interactive() => {
            let choices: Vec<Choice> = found.iter().map(choice).collect();
            choose(terminal, "which one", &choices, None)?.unwrap_or_default()
        }
        None => {
            return Err(Failure::usage("several things were found")
                .hint(format!("choose with --from; found: {}", sources.join(", "))));
        }
    };
    Ok(found.swap_remove(at))
}

fn choice(found: &Found) -> Choice {
    let fields: Vec<&str> = found.secrets.iter().map(|(name, _)| *name).collect();
    let mut meaning = format!("{} {}", found.connector_type, found.auth_method);
    meaning.push_str(&format!(
        " with {}",
        if fields.is_empty() { "nothing stored".to_owned() } else { fields.join(", ") }
    ));
    Choice { name: found.source.clone(), meaning }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::terminal::ScriptedTerminal;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RegisterArgs,
    }

    fn args(arguments: &[&str]) -> RegisterArgs {
        Line::try_parse_from(["x", "--auto-configure"].iter().chain(arguments)).unwrap().args
    }

    fn found(source: &str) -> Found {
        Found {
            source: source.to_owned(),
            name: "n".to_owned(),
            connector_type: "aws",
            auth_method: "secret-key",
            settings: serde_json::Map::new(),
            secrets: vec![("aws_secret_access_key", zeroize::Zeroizing::new(b"canary".to_vec()))],
            secret_expires_at: None,
            notes: Vec::new(),
        }
    }

    fn choose_of(sources: &[&str], arguments: &[&str], terminal: &ScriptedTerminal) -> Result<String, Failure> {
        let all = sources.iter().map(|source| found(source)).collect();
        chosen(all, &args(arguments), terminal).map(|found| found.source)
    }

    #[test]
    fn one_is_taken_several_are_chosen_from_and_none_is_said() {
        let nobody = ScriptedTerminal::piped(b"");
        assert_eq!(choose_of(&["aws:a"], &[], &nobody).unwrap(), "aws:a");
        assert_eq!(choose_of(&["aws:a", "aws:b"], &["--from", "aws:b"], &nobody).unwrap(), "aws:b");
        assert!(choose_of(&["aws:a", "aws:b"], &[], &nobody).unwrap_err().hint.unwrap().contains("aws:a, aws:b"));
        assert!(choose_of(&["aws:a"], &["--from", "aws:x"], &nobody).unwrap_err().hint.unwrap().contains("aws:a"));
        assert_eq!(choose_of(&[], &[], &nobody).unwrap_err().kind.exit_code(), 1);
        assert!(choose_of(&["aws:a"], &["--type", "gcp"], &nobody).is_err());
        let somebody = ScriptedTerminal::answering(&["2"]);
        assert_eq!(choose_of(&["aws:a", "aws:b"], &[], &somebody).unwrap(), "aws:b");
        let told = somebody.told.borrow().concat();
        assert!(told.contains("aws_secret_access_key") && !told.contains("canary"), "{told}");
    }
}

//! Registers what a person typed, and asks again for what the daemon does not
//! take: for that alone, because whoever has typed a secret once has done so.
//!
//! It gives up where the refusal is about something that was no question, and
//! after a few rounds.

use crate::cli::escape::escape;
use crate::cli::failure::{Failure, FieldProblem};
use crate::cli::schema::Setting;
use crate::cli::secrets::Wanted;
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;

use super::draft::Draft;
use super::wizard::{hidden, setting};

/// Times that a draft is sent.
const ROUNDS_MAX: u32 = 5;

/// A question whose answer was refused.
enum Question<'a> {
    Setting(&'a Setting),
    Secret(&'a Wanted),
}

/// Registers it, and shows what is stored.
///
/// # Errors
/// What the daemon answered in the end.
pub(super) async fn register(
    session: &Session,
    mut draft: Draft,
    known: &[Setting],
    wanted: &[Wanted],
) -> Result<(), Failure> {
    for _ in 1..ROUNDS_MAX {
        let Err(refused) = draft.register(session).await else { return Ok(()) };
        let questions: Option<Vec<Question>> = refused.fields.iter().map(|one| of(one, known, wanted)).collect();
        match questions.filter(|questions| !questions.is_empty()) {
            Some(questions) => ask_again(session.terminal.as_ref(), &mut draft, &refused.fields, &questions)?,
            None => return Err(refused),
        }
    }
    draft.register(session).await
}

/// The question that a field was the answer to.
fn of<'a>(refused: &FieldProblem, known: &'a [Setting], wanted: &'a [Wanted]) -> Option<Question<'a>> {
    let (group, rest) = refused.field.split_once('.')?;
    let name = rest.split(['.', '[']).next()?;
    match group {
        "settings" => known.iter().find(|one| one.name == name).map(Question::Setting),
        "secrets" => wanted.iter().find(|one| one.name == name).map(Question::Secret),
        _ => None,
    }
}

fn ask_again(
    terminal: &dyn Terminal,
    draft: &mut Draft,
    refused: &[FieldProblem],
    questions: &[Question<'_>],
) -> Result<(), Failure> {
    terminal.tell("This was not taken; nothing is stored yet:");
    for one in refused {
        terminal.tell(&escape(&format!("  {}: {}", one.field, one.problem)));
    }
    for question in questions {
        match question {
            Question::Setting(one) => match setting(terminal, one)? {
                Some(value) => drop(draft.settings.insert(one.name.clone(), value)),
                None => drop(draft.settings.remove(&one.name)),
            },
            Question::Secret(want) => draft.secrets.put(&want.name, hidden(terminal, want)?),
        }
    }
    Ok(())
}

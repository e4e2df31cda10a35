//! Questions to whoever sits there: yes or no, one of several, and asking
//! again when an answer does not fit.
//!
//! Owns how often is asked. It never asks when nobody sits there, and nothing
//! that is asked here is a secret.

use super::escape::escape;
use super::failure::Failure;
use super::terminal::Terminal;

/// Times that one question is asked: whoever has gone away answers nothing,
/// for ever.
const TRIES_MAX: u32 = 5;

/// Asks until `parse` takes the answer.
///
/// # Errors
/// Usage, when the terminal is gone or no answer fits.
pub(super) fn until_valid<T>(
    terminal: &dyn Terminal,
    question: &str,
    mut parse: impl FnMut(&str) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut last = Failure::usage(format!("no answer to: {question}"));
    for _ in 0..TRIES_MAX {
        let answer = terminal.ask(&escape(question)).map_err(|_| gone())?;
        match parse(&answer) {
            Ok(taken) => return Ok(taken),
            Err(failure) => {
                let hint = failure.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
                terminal.tell(&escape(&format!("{}{hint}", failure.message)));
                last = failure;
            }
        }
    }
    Err(last)
}

/// Asks a question that `standard` is the answer to when Enter is pressed.
///
/// # Errors
/// Usage, when the terminal is gone or no answer fits.
pub(super) fn yes(terminal: &dyn Terminal, question: &str, standard: bool) -> Result<bool, Failure> {
    let choices = if standard { "Y/n" } else { "y/N" };
    until_valid(terminal, &format!("{question} [{choices}]"), |answer| match answer.to_ascii_lowercase().as_str() {
        "" => Ok(standard),
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err(Failure::usage("answer y or n")),
    })
}

/// One that can be chosen: its name, and what it is.
pub(super) struct Choice {
    /// What is typed.
    pub(super) name: String,
    /// For people.
    pub(super) meaning: String,
}

/// Lets choose by number, or by name. With `none`, Enter chooses nothing and
/// stands for that.
///
/// # Errors
/// Usage, when the terminal is gone or no answer fits.
pub(super) fn choose(
    terminal: &dyn Terminal,
    what: &str,
    choices: &[Choice],
    none: Option<&str>,
) -> Result<Option<usize>, Failure> {
    for (number, choice) in (1..).zip(choices) {
        terminal.tell(&escape(&format!("  {number}  {}  {}", choice.name, choice.meaning)));
    }
    let without = none.map(|none| format!("; Enter: {none}")).unwrap_or_default();
    until_valid(terminal, &format!("{what} (number or name{without})"), |answer| {
        if answer.is_empty() && none.is_some() {
            return Ok(None);
        }
        let by_number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let chosen = by_number.filter(|at| *at < choices.len());
        let chosen = chosen.or_else(|| choices.iter().position(|choice| choice.name == answer));
        chosen.map(Some).ok_or_else(|| Failure::usage(format!("choose 1 to {}, or a name of these", choices.len())))
    })
}

/// Nobody answers any more.
pub(super) fn gone() -> Failure {
    Failure::failed("interrupted; nothing was stored")
}

#[cfg(test)]
mod tests {
    use super::super::terminal::ScriptedTerminal;
    use super::*;

    fn choices() -> Vec<Choice> {
        ["aws", "gcp"].map(|name| Choice { name: name.to_owned(), meaning: format!("the {name}") }).into()
    }

    #[test]
    fn a_number_a_name_and_nothing_choose() {
        let choose_by =
            |answers: &[&str], none| choose(&ScriptedTerminal::answering(answers), "type", &choices(), none);
        assert_eq!(choose_by(&["2"], None).unwrap(), Some(1));
        assert_eq!(choose_by(&["aws"], None).unwrap(), Some(0));
        assert_eq!(choose_by(&[""], Some("any")).unwrap(), None);
        assert_eq!(choose_by(&["0", "3", "azure", "", "1"], None).unwrap(), Some(0));
    }

    #[test]
    fn nobody_is_asked_for_ever() {
        let failure = choose(&ScriptedTerminal::answering(&[""; 9]), "type", &choices(), None).unwrap_err();
        assert_eq!(failure.kind.exit_code(), 2);
        assert!(yes(&ScriptedTerminal::answering(&[]), "sure?", true).is_err());
    }

    #[test]
    fn enter_means_what_stands_in_capitals() {
        for (answer, standard, meant) in [("", true, true), ("", false, false), ("Y", false, true), ("no", true, false)]
        {
            assert_eq!(yes(&ScriptedTerminal::answering(&[answer]), "sure?", standard).unwrap(), meant);
        }
    }
}

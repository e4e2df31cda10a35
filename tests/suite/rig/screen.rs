//! The command line as somebody at a terminal sees it: `tests/clients/screen.py` runs it on a pseudo-terminal and types.

use std::process::Command;

use serde_json::{Value, json};

use super::cache;
use super::vault::{BINARY, Vault, outcome};

/// What was on the screen in the end.
#[derive(Debug)]
pub struct Screen {
    /// The exit code; negative is the signal that ended it.
    pub code: i64,
    /// Everything that was shown.
    pub text: String,
    /// Whether the terminal shows again what is typed.
    pub echoes: bool,
}

/// Runs a command as somebody, answering each question as it comes: wait for the first text, type the second.
pub fn typed(vault: &Vault, who: &str, arguments: &[&str], steps: &[(&str, &str)]) -> Screen {
    let mut command = vault.command();
    let environment: Value = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), json!(value?.to_str()?))))
        .chain([("VALETKEY_TOKEN_FILE".to_owned(), json!(vault.token_file(who)))])
        .collect::<serde_json::Map<_, _>>()
        .into();
    command = Command::new(cache::command("python"));
    command.arg(cache::client_program("screen.py"));
    let words: Vec<&str> = [BINARY].into_iter().chain(arguments.iter().copied()).collect();
    let script = json!({"command": words, "environment": environment, "steps": steps});
    let said = outcome(&mut command, &script.to_string()).json();
    Screen {
        code: said["code"].as_i64().expect("a code"),
        text: said["text"].as_str().expect("a text").to_owned(),
        echoes: said["echoes"].as_bool().expect("a flag"),
    }
}

//! `valetkey completion`: completion scripts for shells.
//!
//! Owns nothing: the script is made from the command line itself.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::args::CommandLine;
use super::failure::Failure;
use super::output::Output;

/// For which shell.
#[derive(Args)]
#[command(after_help = "\
Examples:
  valetkey completion bash > /etc/bash_completion.d/valetkey
  valetkey completion zsh > ~/.zfunc/_valetkey
  valetkey completion fish > ~/.config/fish/completions/valetkey.fish")]
pub(super) struct CompletionArgs {
    /// The shell
    shell: KnownShell,
}

/// The shells there are scripts for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KnownShell {
    /// GNU bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

/// Prints the script.
///
/// # Errors
/// When the reader went away.
pub(super) fn run(output: &Output, args: &CompletionArgs) -> Result<(), Failure> {
    let shell = match args.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "valetkey", &mut script);
    output.write(&without_refused(&String::from_utf8_lossy(&script)))
}

/// The script without the options that only read the environment: the
/// generators offer hidden options too, as words (bash) or as lines of their
/// own (zsh, fish).
fn without_refused(script: &str) -> String {
    let mut kept = String::with_capacity(script.len());
    for line in script.lines() {
        let own = |option: &&str| line.contains(&format!("'--{option}=")) || line.contains(&format!(" -l {option} "));
        if ENVIRONMENT_ONLY.iter().any(own) {
            continue;
        }
        let words = ENVIRONMENT_ONLY.iter().fold(line.to_owned(), |l, option| l.replace(&format!("--{option} "), ""));
        kept.push_str(&words);
        kept.push('\n');
    }
    kept
}

/// Options that are there to read the environment, and refused or of no use on
/// the command line.
const ENVIRONMENT_ONLY: [&str; 2] = ["token", "exec-info"];

#[cfg(test)]
mod tests {
    use super::super::output::{Form, Page};
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_nouns() {
        for shell in [KnownShell::Bash, KnownShell::Zsh, KnownShell::Fish] {
            let page = Page::default();
            run(&page.output(Form::Table), &CompletionArgs { shell }).unwrap();
            assert!(page.text().contains("service-account"), "{shell:?}");
            assert!(page.text().contains("token-file"), "{shell:?}");
            for refused in ["--token ", "--exec-info ", "--token=", "-l token "] {
                assert!(!page.text().contains(refused), "{shell:?} offers {refused}");
            }
        }
    }
}

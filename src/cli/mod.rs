//! DOOR: the command line, one file a noun.
//!
//! Owns the words, the tables, the JSON and the exit codes of `valetkey`. It
//! talks gRPC to a daemon and imports nothing of ours but the generated
//! messages. The verbs that run on this machine (`init`, `serve`, `audit
//! verify`) are handed in as `Local`, because this room may not know the daemon.
//! Exit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 not found, 5 unavailable.

mod access;
pub mod args;
mod audit;
mod binding;
mod blocks;
mod clock;
#[cfg(test)]
mod command_line_tests;
mod completion;
mod component;
mod connector;
mod connector_type;
mod escape;
mod failure;
#[cfg(test)]
mod fits_tests;
#[cfg(test)]
mod golden;
mod issuance;
mod key;
mod mint;
mod moment;
mod narrow;
mod output;
mod pages;
mod pairs;
mod principal;
mod questions;
mod role;
mod run;
mod schema;
mod secrets;
mod session;
mod settings;
mod ssh_agent;
mod stack;
mod status;
#[cfg(test)]
mod stories;
mod terminal;
mod token;
mod whoami;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::proto::PrincipalKind;

pub use args::{InitArgs, LedgerHead, RootKeyProvider, ServeArgs, VerifyArgs};

use args::{CommandLine, Global, Noun, RemoteNoun};
use failure::Failure;
use output::{Form, Look, Output};
use session::Session;
use terminal::OwnTerminal;

/// The verbs that run on this machine and not in a daemon.
pub struct Local {
    /// `valetkey init`.
    pub init: fn(InitArgs) -> ExitCode,
    /// `valetkey serve`.
    pub serve: fn(ServeArgs) -> ExitCode,
    /// `valetkey audit verify`.
    pub audit_verify: fn(VerifyArgs) -> ExitCode,
}

/// Runs the command line `arguments`, the program's name first, and says with
/// which code the process should end. Answers go to standard output, errors
/// and questions to standard error.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>, local: &Local) -> ExitCode {
    let line = match parse(arguments) {
        Ok(line) => line,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(failure::Kind::Usage.exit_code());
            // Nothing is left to do when even this cannot be written.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let CommandLine { global, noun } = line;
    let answers = Output::new(global.output, look(&global), Box::new(std::io::stdout()));
    match noun {
        Noun::Init(args) => (local.init)(InitArgs { form: global.output, ..args }),
        Noun::Serve(args) => (local.serve)(args),
        Noun::Audit(audit::Verb::Verify(args)) => (local.audit_verify)(VerifyArgs { form: global.output, ..args }),
        Noun::Audit(audit::Verb::Remote(verb)) => {
            end(&global, remote(&global, answers, async |session| audit::run(session, verb).await))
        }
        Noun::Completion(args) => end(&global, completion::run(&answers, &args)),
        Noun::Remote(noun) => end(&global, remote(&global, answers, async |session| dispatch(session, noun).await)),
    }
}

/// Parses the command line; a token on it is refused.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, clap::Error> {
    let mut command = CommandLine::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    if token_on_command_line(&matches) {
        return Err(command.error(
            clap::error::ErrorKind::ArgumentConflict,
            "a token never goes on the command line, where every user of this machine can read it\nhint: use \
             --token-file, VALETKEY_TOKEN_FILE or VALETKEY_TOKEN",
        ));
    }
    CommandLine::from_arg_matches(&matches)
}

fn token_on_command_line(matches: &ArgMatches) -> bool {
    matches.value_source("token") == Some(ValueSource::CommandLine)
        || matches
            .subcommand()
            .is_some_and(|(_, inner)| inner.try_contains_id("token").is_ok() && token_on_command_line(inner))
}

fn look(global: &Global) -> Look {
    if std::io::stdout().is_terminal() { Look::of_terminal(!global.no_color) } else { Look::PLAIN }
}

/// Tells a failure on standard error; gives the exit code.
fn end(global: &Global, ended: Result<(), Failure>) -> ExitCode {
    let Err(failure) = ended else { return ExitCode::SUCCESS };
    if let failure::Kind::Command(_) | failure::Kind::ReaderLeft = failure.kind {
        return ExitCode::from(failure.kind.exit_code());
    }
    match global.output {
        Form::Json => eprint!("{}", failure.json()),
        Form::Table | Form::Yaml => {
            eprint!("{}", failure.text(std::io::stderr().is_terminal() && !global.no_color));
        }
    }
    ExitCode::from(failure.kind.exit_code())
}

/// Connects to the daemon and does some work there.
fn remote(
    global: &Global,
    answers: Output,
    work: impl AsyncFnOnce(&Session) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let session = Session::open(global, answers, Box::new(OwnTerminal)).await?;
        work(&session).await
    })
}

async fn dispatch(session: &Session, noun: RemoteNoun) -> Result<(), Failure> {
    match noun {
        RemoteNoun::Status => status::run(session).await,
        RemoteNoun::Whoami => whoami::run(session).await,
        RemoteNoun::ConnectorType(verb) => connector_type::run(session, verb).await,
        RemoteNoun::Connector(verb) => connector::run(session, verb).await,
        RemoteNoun::Component(verb) => component::run(session, verb).await,
        RemoteNoun::Stack(verb) => stack::run(session, verb).await,
        RemoteNoun::Run(verb) => run::run(session, verb).await,
        RemoteNoun::Mint(args) => mint::run(session, args).await,
        RemoteNoun::Issuance(verb) => issuance::run(session, verb).await,
        RemoteNoun::User(verb) => principal::run(session, PrincipalKind::User, verb).await,
        RemoteNoun::ServiceAccount(verb) => principal::run(session, PrincipalKind::ServiceAccount, verb).await,
        RemoteNoun::Token(verb) => token::run(session, verb).await,
        RemoteNoun::Role(verb) => role::run(session, verb).await,
        RemoteNoun::Binding(verb) => binding::run(session, verb).await,
        RemoteNoun::Access(verb) => access::run(session, verb).await,
        RemoteNoun::Clock(verb) => clock::run(session, verb).await,
        RemoteNoun::Key(verb) => key::run(session, verb).await,
        RemoteNoun::SshAgent(args) => ssh_agent::run(session, args).await,
    }
}

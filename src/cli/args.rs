//! The command line: what can be said, with which words.
//!
//! Owns the global options, the list of nouns, and the arguments of the verbs
//! that run here and not in a daemon (`init`, `serve`, `audit verify`). It
//! holds no secret but the token of the environment. It never decides.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use zeroize::Zeroizing;

use super::moment::parse_length;
pub use super::output::Form;
use super::{
    access, audit, binding, clock, completion, component, connector, connector_type, issuance, key, mint, principal,
    role, run, ssh_agent, stack, token,
};

/// A credential broker for machine-learning platforms: short-lived, narrowed,
/// attributed cloud credentials.
#[derive(Parser)]
#[command(
    name = "valetkey",
    version,
    max_term_width = 120,
    after_help = "\
Examples:
  valetkey serve --dev                     try it: a daemon in a temporary directory
  valetkey access can                      what may I mint?
  valetkey mint --component artifacts --format env

Exit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 not found, 5 unavailable."
)]
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) noun: Noun,
}

/// Options of every command.
#[derive(Args, Clone)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Where the daemon listens
    #[arg(
        long,
        global = true,
        env = "VALETKEY_ADDR",
        hide_env_values = true,
        value_name = "URL",
        default_value = "https://127.0.0.1:7443"
    )]
    pub(super) address: String,
    /// A file with your token; or put the token itself into VALETKEY_TOKEN
    #[arg(long, global = true, env = "VALETKEY_TOKEN_FILE", hide_env_values = true, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Only here to read the environment: on the command line it is refused.
    #[arg(long, global = true, env = "VALETKEY_TOKEN", hide_env_values = true, hide = true, value_parser = parse_token)]
    pub(super) token: Option<TokenText>,
    /// The CA certificate of the daemon, PEM
    #[arg(long, global = true, env = "VALETKEY_CA_CERT", hide_env_values = true, value_name = "FILE")]
    pub(super) ca_cert: Option<PathBuf>,
    /// The project
    #[arg(
        long,
        global = true,
        env = "VALETKEY_PROJECT",
        hide_env_values = true,
        value_name = "NAME",
        default_value = "default"
    )]
    pub(super) project: String,
    /// In which form to answer
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value = "table")]
    pub(super) output: Form,
    /// No colours; the environment variable NO_COLOR does the same
    #[arg(long, global = true, env = "NO_COLOR", hide_env_values = true, hide_env = true,
        action = clap::ArgAction::SetTrue, value_parser = set_when_not_empty)]
    pub(super) no_color: bool,
    /// How long one call may take
    #[arg(long, global = true, value_name = "LENGTH", default_value = "30s", value_parser = parse_length)]
    pub(super) timeout: Duration,
}

/// A token, wiped when dropped. No Debug: it holds the token.
#[derive(Clone)]
pub(super) struct TokenText(pub(super) Zeroizing<String>);

fn parse_token(text: &str) -> Result<TokenText, Infallible> {
    Ok(TokenText(Zeroizing::new(text.to_owned())))
}

/// `NO_COLOR` counts when it is not empty; `false` is what clap itself puts in
/// when neither flag nor variable is there.
fn set_when_not_empty(text: &str) -> Result<bool, String> {
    Ok(!text.is_empty() && text != "false")
}

/// What a command is about.
#[derive(Subcommand)]
pub(super) enum Noun {
    /// Make a data directory, its keys, and the first owner
    #[command(after_help = "\
Examples:
  valetkey init --token-out owner.token
  valetkey init --data-dir /srv/valetkey --host vault.example.com --project ml
  valetkey init --root-key passphrase --passphrase-file passphrase.txt")]
    Init(InitArgs),
    /// Run the daemon
    #[command(after_help = "\
Examples:
  valetkey serve --dev
  valetkey serve --config valetkey.toml
  valetkey serve --data-dir /srv/valetkey --listen 0.0.0.0:7443
Every key of the config is a variable, too, also for --dev:
  VALETKEY__OUTBOUND__ALLOWED_ENDPOINTS='[\"https://10.0.0.7:6443\"]' valetkey serve --dev")]
    Serve(ServeArgs),
    #[command(flatten)]
    Remote(RemoteNoun),
    /// The ledger: who asked for what, and what became of it
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

/// What a command is about that a daemon does.
#[derive(Subcommand)]
pub(super) enum RemoteNoun {
    /// Say how the daemon is
    #[command(after_help = "\
Example:
  valetkey status -o json")]
    Status,
    /// Say who you are and what you hold
    #[command(after_help = "\
Example:
  valetkey whoami")]
    Whoami,
    /// What can be registered, and with which fields
    #[command(subcommand)]
    ConnectorType(connector_type::Verb),
    /// Stored, sealed source credentials and the ceiling of what they mint
    #[command(subcommand)]
    Connector(connector::Verb),
    /// Stack components, linked to connectors
    #[command(subcommand)]
    Component(component::Verb),
    /// Named lists of components
    #[command(subcommand)]
    Stack(stack::Verb),
    /// Executions of pipelines on stacks, each with a token for that alone
    #[command(subcommand)]
    Run(run::Verb),
    /// Mint a short-lived, narrowed credential
    Mint(mint::MintArgs),
    /// Lend SSH sign-ins to ssh, scp, rsync and git
    SshAgent(ssh_agent::SshAgentArgs),
    /// The record of what was minted
    #[command(subcommand)]
    Issuance(issuance::Verb),
    /// People
    #[command(subcommand)]
    User(principal::Verb),
    /// Programs
    #[command(subcommand)]
    ServiceAccount(principal::Verb),
    /// Tokens of users and service accounts
    #[command(subcommand)]
    Token(token::Verb),
    /// The built-in roles
    #[command(subcommand)]
    Role(role::Verb),
    /// Who holds which role, under which conditions
    #[command(subcommand)]
    Binding(binding::Verb),
    /// What you may do
    #[command(subcommand)]
    Access(access::Verb),
    /// What to do when the server's clock has jumped
    #[command(subcommand)]
    Clock(clock::Verb),
    /// The keys that seal source credentials, and those of the issuer
    #[command(subcommand)]
    Key(key::Verb),
}

/// What keeps the root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RootKeyProvider {
    /// A file beside the data, readable by its owner alone.
    File,
    /// A passphrase, stretched with argon2id.
    Passphrase,
}

/// Arguments of `valetkey init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The data directory to make, by default $XDG_STATE_HOME/valetkey, as
    /// root /var/lib/valetkey
    #[arg(long, value_name = "DIR", env = "VALETKEY_DATA_DIR", hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// What keeps the root key
    #[arg(long, value_enum, value_name = "PROVIDER", default_value = "file")]
    pub root_key: RootKeyProvider,
    /// A file with the passphrase, for --root-key passphrase; asked for
    /// otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// The name of the first owner
    #[arg(long, value_name = "NAME", default_value = "owner")]
    pub name: String,
    /// A project to make; may be repeated
    #[arg(id = "project", long = "project", value_name = "NAME", default_value = "default")]
    pub projects: Vec<String>,
    /// Another host name or address of the server certificate; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Write the owner's token into this new file, mode 0600, instead of
    /// showing it
    #[arg(long, value_name = "FILE")]
    pub token_out: Option<PathBuf>,
    /// In which form to answer.
    #[arg(skip)]
    pub form: Form,
}

/// Arguments of `valetkey serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The configuration file, TOML
    #[arg(long, value_name = "FILE", env = "VALETKEY_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The data directory that `valetkey init` made
    #[arg(long, value_name = "DIR", env = "VALETKEY_DATA_DIR", hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// The address and port to listen on, instead of the configured one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
    /// Init and serve in a temporary directory, and print the exports to paste
    #[arg(long, conflicts_with_all = ["config", "data_dir"])]
    pub dev: bool,
    /// A file with the passphrase of the root key
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Vouch for the records of a store that has no seals, from a release that made none: they get theirs as they are
    #[arg(long, conflicts_with = "dev")]
    pub seal_records: bool,
}

/// Arguments of `valetkey audit verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The data directory of the ledger
    #[arg(long, value_name = "DIR", env = "VALETKEY_DATA_DIR", hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// The number and hash of a line that must be there, as noted elsewhere
    #[arg(long, value_name = "SEQ:HASH", value_parser = parse_head)]
    pub expect_head: Option<LedgerHead>,
    /// In which form to answer.
    #[arg(skip)]
    pub form: Form,
}

/// A line of the ledger that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerHead {
    /// Its number, from 1.
    pub seq: u64,
    /// Its hash: 64 lower-case hexadecimal digits.
    pub hash: String,
}

fn parse_head(text: &str) -> Result<LedgerHead, String> {
    /// SHA-256 in hexadecimal.
    const HASH_DIGITS: usize = 64;
    let (seq, hash) = text.split_once(':').ok_or("must be SEQ:HASH")?;
    let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or("SEQ must be a whole number from 1")?;
    if hash.len() != HASH_DIGITS || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("HASH must be 64 hexadecimal digits".to_owned());
    }
    Ok(LedgerHead { seq, hash: hash.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_ledger_head_is_a_number_and_a_hash() {
        let hash = "aB".repeat(32);
        let head = parse_head(&format!("7:{hash}")).unwrap();
        assert_eq!(head, LedgerHead { seq: 7, hash: hash.to_ascii_lowercase() });
        for wrong in ["", "7", "0:ab", &format!("0:{hash}"), &format!("7:{hash}0"), &format!("x:{hash}"), "7:zz"] {
            assert!(parse_head(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn init_makes_the_named_projects() {
        let projects = |arguments: &[&str]| {
            let line = CommandLine::try_parse_from(["valetkey", "init"].iter().chain(arguments)).unwrap();
            let Noun::Init(args) = line.noun else { panic!("not init") };
            args.projects
        };
        assert_eq!(projects(&["--project", "a", "--project", "b"]), ["a", "b"]);
        assert_eq!(projects(&[]), ["default"]);
    }

    #[test]
    fn dev_has_no_data_directory_of_its_own() {
        assert!(CommandLine::try_parse_from(["valetkey", "serve", "--dev", "--data-dir", "x"]).is_err());
        assert!(CommandLine::try_parse_from(["valetkey", "serve", "--dev"]).is_ok());
    }
}

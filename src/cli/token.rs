//! `valetkey token`: what callers say who they are with.
//!
//! Owns the view of a token and the one place where a new token is shown. The
//! call that creates one is not retried: a lost answer is a lost token.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment, parse_seconds};
use super::output::{Facts, Record, Row};
use super::pairs::{given, or_dash};
use super::session::{Session, request_id};

/// What to do with tokens.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Create a token and show it, this once
    #[command(after_help = "\
Examples:
  valetkey token create --ttl 8h
  valetkey token create --for bob --ttl 30d --out bob.token")]
    Create(CreateArgs),
    /// List tokens, without their secrets
    #[command(after_help = "\
Examples:
  valetkey token list
  valetkey token list --for bob")]
    List(ListArgs),
    /// Revoke a token
    #[command(after_help = "\
Example:
  valetkey token revoke 4f1c9a")]
    Revoke(RevokeArgs),
}

/// Which token to create.
#[derive(Args)]
pub(super) struct CreateArgs {
    /// For whom, as an owner; for yourself otherwise
    #[arg(long = "for", alias = "principal", value_name = "PRINCIPAL", default_value = "", hide_default_value = true)]
    principal: String,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// How long it lives, at most 90d; 30d when unsaid, and your own no longer than the token you present
    #[arg(long, value_name = "LENGTH", value_parser = parse_seconds)]
    ttl: Option<u32>,
    /// Write the token into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Whose tokens to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Whose, as an owner; your own otherwise
    #[arg(long = "for", alias = "principal", value_name = "PRINCIPAL", default_value = "", hide_default_value = true)]
    principal: String,
}

/// Which token to revoke.
#[derive(Args)]
pub(super) struct RevokeArgs {
    /// The token's id, or a unique prefix of it
    id: String,
}

/// A token, without its secret.
#[derive(Debug, Serialize)]
pub(super) struct TokenView {
    /// The public part of the token.
    id: String,
    /// Whose it is.
    principal: String,
    /// For people.
    description: Option<String>,
    /// When it was made.
    created_at: Option<Moment>,
    /// When it ends.
    expires_at: Option<Moment>,
    /// Who made it.
    created_by: Option<String>,
}

/// A token that was just created, with its secret unless a file got it.
/// No Debug: it holds the token.
#[derive(Serialize)]
pub(super) struct NewTokenView {
    #[serde(flatten)]
    token: TokenView,
    /// The token itself, shown this once; null when a file got it.
    secret: Option<Zeroized>,
}

/// Text that is wiped when dropped.
pub(super) struct Zeroized(pub(super) Zeroizing<String>);

impl Serialize for Zeroized {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl From<proto::Token> for TokenView {
    fn from(token: proto::Token) -> Self {
        Self {
            created_at: Moment::from_proto(token.created_at.as_ref()),
            expires_at: Moment::from_proto(token.expires_at.as_ref()),
            id: token.id,
            principal: token.principal,
            description: given(token.description),
            created_by: given(token.created_by),
        }
    }
}

impl Record for NewTokenView {
    fn facts(&self, now: Moment) -> Facts {
        vec![
            ("token", self.secret.as_ref().map(|secret| secret.0.to_string()).unwrap_or_default()),
            ("id", self.token.id.clone()),
            ("principal", self.token.principal.clone()),
            ("expires", moment::words(self.token.expires_at, now)),
        ]
    }
}

impl Row for TokenView {
    const HEAD: &'static [&'static str] = &["id", "principal", "description", "created by", "created", "expires"];
    const SPARE: &'static [&'static str] = &["created by", "created"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.id.clone(),
            self.principal.clone(),
            self.description.clone().unwrap_or_default(),
            or_dash(self.created_by.as_ref()),
            moment::words(self.created_at, now),
            moment::end(self.expires_at, now),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered; or the file for the token cannot be written.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Create(args) => create(session, args).await,
        Verb::List(args) => list(session, args).await,
        Verb::Revoke(args) => revoke(session, args).await,
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    // Before the call: a token that cannot be written down is lost.
    let file = args.out.as_deref().map(TokenFile::new).transpose()?;
    let ask = proto::CreateTokenRequest {
        project: session.project.clone(),
        principal: args.principal,
        description: args.description,
        ttl_seconds: args.ttl.unwrap_or_default(),
        request_id: request_id(),
    };
    let answer = session.call_once(ask, async |ask| session.access().create_token(ask).await).await?;
    let secret = Zeroizing::new(answer.secret);
    let token = TokenView::from(answer.token.unwrap_or_default());
    let Some(file) = file else {
        session.output.record(&NewTokenView { token, secret: Some(Zeroized(secret)) })?;
        return session.output.say("this token is not shown again");
    };
    file.keep(&secret)
        .map_err(|error| Failure::failed(format!("the token {} was made but cannot be written: {error}", token.id)))?;
    session.output.record(&NewTokenView { token, secret: None })
}

/// A file for a token: new, and nobody else's to read. Made before the call
/// that gives the token, and gone again when none came.
pub(super) struct TokenFile {
    file: std::fs::File,
    path: PathBuf,
    whole: bool,
}

impl TokenFile {
    /// # Errors
    /// When there is one already, or it cannot be made.
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = open.map_err(|error| {
            let failure = Failure::usage(format!("cannot make {}: {error}", path.display()));
            let there = error.kind() == std::io::ErrorKind::AlreadyExists;
            if there {
                failure.hint("no token is written over another file: name a new one, or remove it first")
            } else {
                failure
            }
        })?;
        Ok(Self { file, path: path.to_owned(), whole: false })
    }

    /// Writes the token, to the disk itself.
    ///
    /// # Errors
    /// When it cannot be written whole: nothing of it is left then.
    pub(super) fn keep(mut self, token: &str) -> std::io::Result<()> {
        self.file.write_all(token.as_bytes()).and_then(|()| self.file.sync_all())?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        if !self.whole {
            // It would be in the way of the next try. Nobody waits for it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let ask = proto::ListTokensRequest { project: session.project.clone(), principal: args.principal };
    let answer = session.call(ask, async |ask| session.access().list_tokens(ask).await).await?;
    session.output.list(&answer.tokens.into_iter().map(TokenView::from).collect::<Vec<_>>())
}

async fn revoke(session: &Session, args: RevokeArgs) -> Result<(), Failure> {
    let ask = proto::RevokeTokenRequest {
        project: session.project.clone(),
        token: args.id.clone(),
        request_id: request_id(),
    };
    session.call(ask, async |ask| session.access().revoke_token(ask).await).await?;
    session.output.done("revoked", "token", &args.id)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_file_is_new_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        TokenFile::new(&path).unwrap().keep("vk1_t").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(TokenFile::new(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "vk1_t", "and stays as it was");
    }

    #[test]
    fn a_token_file_that_got_no_token_is_not_in_the_way_of_the_next_try() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        drop(TokenFile::new(&path).unwrap());
        assert!(!path.exists());
    }
}

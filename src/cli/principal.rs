//! `valetkey user` and `valetkey service-account`: who can call.
//!
//! Owns the view of a principal; the two nouns differ in the kind alone.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::proto::{self, PrincipalKind};

use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record, Row};
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::given;
use super::session::{Session, request_id};

/// What to do with users or service accounts.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Create one
    #[command(after_help = "\
Examples:
  valetkey user create bob --description 'Bob, ranking team'
  valetkey service-account create trainer")]
    Create(CreateArgs),
    /// List them
    #[command(after_help = "\
Examples:
  valetkey user list
  valetkey service-account list -o json")]
    List(LimitArgs),
    /// Delete one, with its tokens and bindings
    #[command(after_help = "\
Example:
  valetkey user delete bob")]
    Delete(DeleteArgs),
}

/// Whom to create.
#[derive(Args)]
pub(super) struct CreateArgs {
    /// Unique: a small letter, then small letters, digits and hyphens
    name: String,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

/// Whom to delete.
#[derive(Args)]
pub(super) struct DeleteArgs {
    /// Name, id, or a unique prefix of the id
    name: String,
}

/// A user or service account.
#[derive(Debug, Serialize)]
pub(super) struct PrincipalView {
    /// A UUID.
    id: String,
    /// Unique among principals.
    name: String,
    /// `user` or `service-account`.
    kind: String,
    /// For people.
    description: Option<String>,
    /// Who created it.
    created_by: Option<String>,
    /// When.
    created_at: Option<Moment>,
}

impl From<proto::Principal> for PrincipalView {
    fn from(principal: proto::Principal) -> Self {
        let kind = match principal.kind() {
            PrincipalKind::User => "user",
            PrincipalKind::ServiceAccount => "service-account",
            PrincipalKind::Unspecified => "unknown",
        };
        Self {
            kind: kind.to_owned(),
            created_at: Moment::from_proto(principal.created_at.as_ref()),
            id: principal.id,
            name: principal.name,
            description: given(principal.description),
            created_by: given(principal.created_by),
        }
    }
}

impl Record for PrincipalView {
    fn facts(&self, now: Moment) -> Facts {
        vec![
            ("name", self.name.clone()),
            ("kind", self.kind.clone()),
            ("id", self.id.clone()),
            ("description", self.description.clone().unwrap_or_default()),
            ("created", moment::words(self.created_at, now)),
            ("created by", self.created_by.clone().unwrap_or_default()),
        ]
    }
}

impl Row for PrincipalView {
    const HEAD: &'static [&'static str] = &["name", "kind", "id", "description", "created"];
    const SPARE: &'static [&'static str] = &["created"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.name.clone(),
            self.kind.clone(),
            self.id.clone(),
            self.description.clone().unwrap_or_default(),
            moment::words(self.created_at, now),
        ]
    }
}

/// Runs the command for users or for service accounts.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, kind: PrincipalKind, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Create(args) => create(session, kind, args).await,
        Verb::List(limit) => list(session, kind, &limit).await,
        Verb::Delete(args) => delete(session, args).await,
    }
}

async fn create(session: &Session, kind: PrincipalKind, args: CreateArgs) -> Result<(), Failure> {
    let ask = proto::CreatePrincipalRequest {
        project: session.project.clone(),
        name: args.name,
        kind: kind.into(),
        description: args.description,
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.access().create_principal(ask).await).await?;
    session.output.record(&PrincipalView::from(answer.principal.unwrap_or_default()))
}

async fn list(session: &Session, kind: PrincipalKind, limit: &LimitArgs) -> Result<(), Failure> {
    let principals = gather(limit, async |page: PageAsk| {
        let ask = proto::ListPrincipalsRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
            kind: kind.into(),
        };
        let answer = session.call(ask, async |ask| session.access().list_principals(ask).await).await?;
        Ok((answer.principals, answer.next_page_token))
    })
    .await?;
    session.output.list(&principals.into_iter().map(PrincipalView::from).collect::<Vec<_>>())
}

async fn delete(session: &Session, args: DeleteArgs) -> Result<(), Failure> {
    let ask = proto::DeletePrincipalRequest {
        project: session.project.clone(),
        principal: args.name.clone(),
        request_id: request_id(),
    };
    session.call(ask, async |ask| session.access().delete_principal(ask).await).await?;
    session.output.done("deleted", "principal", &args.name)
}

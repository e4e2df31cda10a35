//! `valetkey role`: the built-in roles.
//!
//! Owns the view of a role. What a role allows is decided by the server.

use clap::Subcommand;
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::Moment;
use super::output::Row;
use super::session::Session;

/// What to do with roles.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// List the roles and what each allows
    #[command(after_help = "\
Example:
  valetkey role list")]
    List,
}

/// A built-in role.
#[derive(Debug, Serialize)]
pub(super) struct RoleView {
    /// For example `data-scientist`.
    name: String,
    /// One line for people.
    summary: String,
    /// What it allows.
    permissions: Vec<String>,
}

impl From<proto::Role> for RoleView {
    fn from(role: proto::Role) -> Self {
        Self { name: role.name, summary: role.summary, permissions: role.permissions }
    }
}

impl Row for RoleView {
    const HEAD: &'static [&'static str] = &["role", "summary", "permissions"];

    fn cells(&self, _: Moment) -> Vec<String> {
        vec![self.name.clone(), self.summary.clone(), self.permissions.join(", ")]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List => {
            let ask = proto::ListRolesRequest { project: session.project.clone() };
            let answer = session.call(ask, async |ask| session.access().list_roles(ask).await).await?;
            session.output.list(&answer.roles.into_iter().map(RoleView::from).collect::<Vec<_>>())
        }
    }
}

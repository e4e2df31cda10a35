//! `valetkey key`: the keys that seal source credentials, without the keys.
//!
//! Owns the view of `OperatorService.GetKeyStatus`.

use clap::Subcommand;
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record, Row};
use super::session::Session;

/// What to do with keys.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Say which keys there are and how much each seals
    #[command(after_help = "\
Example:
  valetkey key status")]
    Status,
}

/// The keys of the daemon.
#[derive(Debug, Serialize)]
pub(super) struct KeyStatusView {
    /// `file` or `passphrase`.
    root_provider: String,
    /// The root key's id.
    root_key_id: String,
    /// The algorithm of the seals.
    algorithm: String,
    /// The project keys.
    keys: Vec<ProjectKeyView>,
}

/// A project key.
#[derive(Debug, Serialize)]
pub(super) struct ProjectKeyView {
    /// The key's id.
    id: String,
    /// The project's name.
    project: String,
    /// `active`, `decrypt-only` or `destroyed`.
    state: String,
    /// When it was made.
    created_at: Option<Moment>,
    /// How many values it seals.
    sealed_values: u64,
}

impl From<proto::GetKeyStatusResponse> for KeyStatusView {
    fn from(status: proto::GetKeyStatusResponse) -> Self {
        Self {
            root_provider: status.root_provider,
            root_key_id: status.root_key_id,
            algorithm: status.algorithm,
            keys: status.keys.into_iter().map(ProjectKeyView::from).collect(),
        }
    }
}

impl From<proto::ProjectKey> for ProjectKeyView {
    fn from(key: proto::ProjectKey) -> Self {
        Self {
            id: key.id,
            project: key.project,
            state: key.state,
            created_at: Moment::from_proto(key.created_at.as_ref()),
            sealed_values: key.sealed_values,
        }
    }
}

impl Record for KeyStatusView {
    fn facts(&self, _: Moment) -> Facts {
        vec![
            ("root key", format!("{} ({})", self.root_key_id, self.root_provider)),
            ("algorithm", self.algorithm.clone()),
        ]
    }
}

impl Row for ProjectKeyView {
    const HEAD: &'static [&'static str] = &["project", "key", "state", "sealed values", "created"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.project.clone(),
            self.id.clone(),
            self.state.clone(),
            self.sealed_values.to_string(),
            moment::words(self.created_at, now),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Status => {
            let ask = proto::GetKeyStatusRequest {};
            let status = session.call(ask, async |ask| session.operator().get_key_status(ask).await).await?;
            let view = KeyStatusView::from(status);
            session.output.record(&view)?;
            if session.output.for_people() { session.output.list(&view.keys) } else { Ok(()) }
        }
    }
}

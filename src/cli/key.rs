//! `valetkey key`: the keys that seal source credentials and those that sign
//! identity tokens, without the keys.
//!
//! Owns the views of `OperatorService.GetKeyStatus` and `RotateIssuerKey`.

use clap::Subcommand;
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record, Row};
use super::pairs::given;
use super::session::{Session, request_id};

/// What is said of the memory that keys are in.
const LOCKED: &str = "locked: no key can be swapped to disk";
const SWAPPABLE: &str = "NOT LOCKED: keys can be swapped to disk; raise the daemon's limit of locked memory \
                         (LimitMEMLOCK=infinity of its unit, or ulimit -l) and restart it";

/// What to do with keys.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Say which keys there are and how much each seals
    #[command(after_help = "\
Example:
  valetkey key status")]
    Status,
    /// Let the next key of the OpenID issuer sign from now on
    ///
    /// It rotates by itself, by [issuer] rotation_period of the server's
    /// config. The key of before stays published until every token that it
    /// signed has ended; a key that has leaked is gone after two rotations.
    #[command(after_help = "\
Example:
  valetkey key rotate-issuer")]
    RotateIssuer,
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
    /// No key can be swapped to disk.
    locked_in_memory: bool,
    /// The project keys.
    keys: Vec<ProjectKeyView>,
    /// The URL of the OpenID issuer, when there is one.
    issuer_url: Option<String>,
    /// All keys that the issuer publishes.
    issuer_keys: Vec<IssuerKeyView>,
}

/// A key of the issuer.
#[derive(Debug, Serialize)]
pub(super) struct IssuerKeyView {
    /// The key's id, the `kid` of tokens.
    id: String,
    /// `next`, `active` or `retired`.
    state: String,
    /// When it was made and published.
    created_at: Option<Moment>,
    /// When it began to sign.
    activated_at: Option<Moment>,
    /// When it signed for the last time.
    retired_at: Option<Moment>,
}

/// What a rotation did.
#[derive(Debug, Serialize)]
pub(super) struct RotationView {
    /// Signs from now on.
    active_key: String,
    /// Signs no more.
    retired_key: Option<String>,
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
            locked_in_memory: status.locked_in_memory,
            keys: status.keys.into_iter().map(ProjectKeyView::from).collect(),
            issuer_url: given(status.issuer_url),
            issuer_keys: status.issuer_keys.into_iter().map(IssuerKeyView::from).collect(),
        }
    }
}

impl From<proto::IssuerKey> for IssuerKeyView {
    fn from(key: proto::IssuerKey) -> Self {
        Self {
            id: key.id,
            state: key.state,
            created_at: Moment::from_proto(key.created_at.as_ref()),
            activated_at: Moment::from_proto(key.activated_at.as_ref()),
            retired_at: Moment::from_proto(key.retired_at.as_ref()),
        }
    }
}

impl From<proto::RotateIssuerKeyResponse> for RotationView {
    fn from(rotation: proto::RotateIssuerKeyResponse) -> Self {
        Self { active_key: rotation.active_key, retired_key: given(rotation.retired_key) }
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
            ("memory", if self.locked_in_memory { LOCKED } else { SWAPPABLE }.to_owned()),
            ("OpenID issuer", self.issuer_url.clone().unwrap_or_else(|| "off".to_owned())),
        ]
    }
}

impl Record for RotationView {
    fn facts(&self, _: Moment) -> Facts {
        vec![("active key", self.active_key.clone()), ("retired key", self.retired_key.clone().unwrap_or_default())]
    }
}

impl Row for IssuerKeyView {
    const HEAD: &'static [&'static str] = &["issuer key", "state", "published", "signs since", "signed until"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.id.clone(),
            self.state.clone(),
            moment::words(self.created_at, now),
            moment::words(self.activated_at, now),
            moment::words(self.retired_at, now),
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
            let ask = proto::GetKeyStatusRequest { project: session.project.clone() };
            let status = session.call(ask, async |ask| session.operator().get_key_status(ask).await).await?;
            let view = KeyStatusView::from(status);
            session.output.record(&view)?;
            if !session.output.for_people() {
                return Ok(());
            }
            session.output.list(&view.keys)?;
            if view.issuer_keys.is_empty() { Ok(()) } else { session.output.list(&view.issuer_keys) }
        }
        Verb::RotateIssuer => {
            let ask = proto::RotateIssuerKeyRequest { request_id: request_id(), project: session.project.clone() };
            let rotation = session.call(ask, async |ask| session.operator().rotate_issuer_key(ask).await).await?;
            session.output.record(&RotationView::from(rotation))
        }
    }
}

//! `valetkey status`: how the daemon is.
//!
//! Owns the view of `OperatorService.GetStatus`. It shows no paths and no keys.

use serde::Serialize;

use crate::proto;

use super::clock::JumpView;
use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record};
use super::session::Session;

/// How the daemon is.
#[derive(Debug, Serialize)]
pub(super) struct StatusView {
    /// The version of the daemon.
    version: String,
    /// When it started.
    started_at: Option<Moment>,
    /// The store's revision.
    revision: u64,
    /// The ledger's last number.
    ledger_seq: u64,
    /// The ledger can be written.
    ledger_writable: bool,
    /// The backend and its version.
    store: String,
    /// The schema's version.
    schema_version: u32,
    /// Minted credentials in memory.
    cached_credentials: u64,
    /// The jump of the clock for which nothing is minted.
    clock_jump: Option<JumpView>,
}

impl From<proto::GetStatusResponse> for StatusView {
    fn from(status: proto::GetStatusResponse) -> Self {
        Self {
            version: status.version,
            started_at: Moment::from_proto(status.started_at.as_ref()),
            revision: status.revision,
            ledger_seq: status.ledger_seq,
            ledger_writable: status.ledger_writable,
            store: status.store,
            schema_version: status.schema_version,
            cached_credentials: status.cached_credentials,
            clock_jump: status.clock_jump.map(JumpView::from),
        }
    }
}

impl Record for StatusView {
    fn facts(&self, now: Moment) -> Facts {
        let ledger = if self.ledger_writable { "writable" } else { "NOT WRITABLE: sensitive calls are refused" };
        vec![
            ("version", self.version.clone()),
            ("started", moment::words(self.started_at, now)),
            ("store", format!("{}, schema {}, revision {}", self.store, self.schema_version, self.revision)),
            ("ledger", format!("{ledger}, last line {}", self.ledger_seq)),
            ("cached credentials", self.cached_credentials.to_string()),
            ("clock", self.clock(now)),
        ]
    }
}

impl StatusView {
    fn clock(&self, now: Moment) -> String {
        let Some(JumpView { expected, shown }) = &self.clock_jump else { return "believed".to_owned() };
        let (shown, expected) = (moment::words(*shown, now), moment::words(*expected, now));
        format!(
            "JUMPED: nothing is minted. It shows {shown} and should show {expected}; set it, or `valetkey clock accept`"
        )
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let ask = proto::GetStatusRequest { project: session.project.clone() };
    let status = session.call(ask, async |ask| session.operator().get_status(ask).await).await?;
    session.output.record(&StatusView::from(status))
}

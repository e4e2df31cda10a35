//! `valetkey clock`: what the server does when its clock jumped.
//!
//! Owns the view of `OperatorService.AcceptClock`. It sets no clock.

use clap::Subcommand;
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record};
use super::session::{Session, request_id};

/// What to do about the clock.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Say that the server's clock is right as it is set now
    ///
    /// After a jump (back by more than a minute, ahead by more than five)
    /// nothing is minted. A clock that is set back to what it should show is
    /// believed again by itself; `valetkey status` shows both times.
    #[command(after_help = "\
Example:
  valetkey clock accept")]
    Accept,
}

/// A jump of the clock.
#[derive(Debug, Serialize)]
pub(super) struct JumpView {
    /// What it should show, by the time that has passed.
    pub(super) expected: Option<Moment>,
    /// What it shows.
    pub(super) shown: Option<Moment>,
}

impl From<proto::ClockJump> for JumpView {
    fn from(jump: proto::ClockJump) -> Self {
        Self { expected: Moment::from_proto(jump.expected.as_ref()), shown: Moment::from_proto(jump.shown.as_ref()) }
    }
}

impl Record for JumpView {
    fn facts(&self, now: Moment) -> Facts {
        vec![("believed", moment::words(self.shown, now)), ("instead of", moment::words(self.expected, now))]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Accept => {
            let ask = proto::AcceptClockRequest { project: session.project.clone(), request_id: request_id() };
            let answer = session.call(ask, async |ask| session.operator().accept_clock(ask).await).await?;
            session.output.record(&JumpView::from(answer.accepted.unwrap_or_default()))
        }
    }
}

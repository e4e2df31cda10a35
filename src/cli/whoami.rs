//! `valetkey whoami`: who the caller is, and what the caller holds.
//!
//! Owns the view of `AccessService.WhoAmI`.

use serde::Serialize;

use crate::proto;

use super::binding::BindingView;
use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record};
use super::principal::PrincipalView;
use super::run::RunView;
use super::session::Session;

/// Who the caller is.
#[derive(Debug, Serialize)]
pub(super) struct WhoAmIView {
    /// The caller.
    principal: Option<PrincipalView>,
    /// When the token in use ends.
    token_expires_at: Option<Moment>,
    /// The run that the caller acts in: what it holds counts within it only.
    run: Option<RunView>,
    /// What the caller holds.
    bindings: Vec<BindingView>,
}

impl From<proto::WhoAmIResponse> for WhoAmIView {
    fn from(answer: proto::WhoAmIResponse) -> Self {
        Self {
            principal: answer.principal.map(PrincipalView::from),
            token_expires_at: Moment::from_proto(answer.token_expires_at.as_ref()),
            run: answer.run.map(RunView::from),
            bindings: answer.bindings.into_iter().map(BindingView::from).collect(),
        }
    }
}

impl Record for WhoAmIView {
    fn facts(&self, now: Moment) -> Facts {
        let mut facts = self.principal.as_ref().map(|p| p.facts(now)).unwrap_or_default();
        facts.push(("run", self.run.as_ref().map(RunView::in_words).unwrap_or_default()));
        facts.push(("token expires", moment::words(self.token_expires_at, now)));
        facts
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let ask = proto::WhoAmIRequest { project: session.project.clone() };
    let view = WhoAmIView::from(session.call(ask, async |ask| session.access().who_am_i(ask).await).await?);
    session.output.record(&view)?;
    if session.output.for_people() { session.output.list(&view.bindings) } else { Ok(()) }
}

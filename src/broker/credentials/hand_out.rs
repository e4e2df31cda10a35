//! Hand out a minted credential: a durable line first, then the reply.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Line, Outcome};
use crate::domain::{AccessLevel, IssuanceId, Minted, ResourceId, ResourceTypeName, Timestamp};

use super::super::{Broker, BrokerError, Call};
use super::cache::Kept;
use super::plan::{Plan, route_line};

/// How far from what was granted a life still is what was granted: clocks
/// differ, and clouds leave a second for the way.
const NOTE_SKEW: Duration = Duration::from_secs(10);

/// A credential on its way to one caller. Not Debug: it holds the credential.
pub struct HandedOut {
    kept: Arc<Kept>,
    /// When to ask again.
    pub refresh_at: Timestamp,
    /// The resource type.
    pub resource_type: ResourceTypeName,
    /// Canonical.
    pub resource: ResourceId,
    /// The access level.
    pub access: AccessLevel,
    /// What became of the asked lifetime: cut, and why, or not obeyed.
    pub ttl_note: Option<String>,
}

impl HandedOut {
    pub(super) fn new(kept: Arc<Kept>, plan: &Plan) -> Self {
        Self {
            refresh_at: kept.refresh_at(kept.floor(plan.min_remaining)),
            resource_type: plan.route.resource_type.clone(),
            resource: plan.route.resource.clone(),
            access: plan.route.access,
            ttl_note: ttl_note(plan, &kept),
            kept,
        }
    }

    /// The credential.
    #[must_use]
    pub fn minted(&self) -> &Minted {
        &self.kept.minted
    }

    /// Which issuance.
    #[must_use]
    pub fn issuance(&self) -> IssuanceId {
        self.kept.issuance
    }
}

impl Broker {
    /// The line of one hand-out: every caller has its own.
    pub(super) async fn hand_out(&self, call: &Call, plan: &Plan, kept: &Kept) -> Result<(), BrokerError> {
        let line = hand_out_line(call, plan, kept.issuance, kept.minted.expires_at, kept.minted.passthrough);
        self.write_line(&call.record, line).await
    }
}

/// What the ledger says of one hand-out.
pub(super) fn hand_out_line(
    call: &Call,
    plan: &Plan,
    issuance: IssuanceId,
    expires_at: Timestamp,
    passthrough: bool,
) -> Line {
    let line = Line {
        issuance: Some(issuance),
        expires_at: Some(expires_at),
        ..route_line(call, &plan.route, Outcome::Ok, "HANDED_OUT")
    };
    audited_passthrough(line, passthrough)
}

/// A line about the long-lived secret itself says so.
pub(super) fn audited_passthrough(line: Line, passthrough: bool) -> Line {
    if passthrough { line.with_detail("passthrough", "the stored secret itself") } else { line }
}

/// What became of the lifetime that was asked for. Nothing is called cut that
/// the provider did not cut.
fn ttl_note(plan: &Plan, kept: &Kept) -> Option<String> {
    let asked = plan.asked?;
    let (end, since) = (kept.minted.expires_at, kept.issued_at);
    let granted = plan.until.unwrap_or_else(|| since.plus(plan.granted.ttl.as_duration()));
    if end <= granted.plus(NOTE_SKEW) && granted <= end.plus(NOTE_SKEW) {
        return plan.granted.note.clone();
    }
    let (asked, life) = (asked.as_seconds(), end.since(since).as_secs());
    Some(format!("asked for {asked} s; the provider decides, and gave {life} s, until {end}"))
}

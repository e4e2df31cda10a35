//! Hand out a minted credential: a durable line first, then the reply.

use std::sync::Arc;

use crate::audit::{Line, Outcome};
use crate::domain::{AccessLevel, IssuanceId, Minted, ResourceId, ResourceTypeName, Timestamp};

use super::super::{Broker, BrokerError, Call};
use super::cache::Kept;
use super::plan::{Plan, route_line};

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
    /// The asked lifetime was cut, and why.
    pub ttl_note: Option<String>,
}

impl HandedOut {
    pub(super) fn new(kept: Arc<Kept>, plan: &Plan) -> Self {
        Self {
            refresh_at: kept.refresh_at(kept.floor(plan.min_remaining)),
            resource_type: plan.route.resource_type.clone(),
            resource: plan.route.resource.clone(),
            access: plan.route.access,
            ttl_note: plan.granted.note.clone(),
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
        let line = hand_out_line(call, plan, kept.issuance, kept.minted.expires_at);
        self.write_line(&call.record, line).await
    }
}

/// What the ledger says of one hand-out.
pub(super) fn hand_out_line(call: &Call, plan: &Plan, issuance: IssuanceId, expires_at: Timestamp) -> Line {
    Line {
        issuance: Some(issuance),
        expires_at: Some(expires_at),
        ..route_line(call, &plan.route, Outcome::Ok, "HANDED_OUT")
    }
}

//! What one caller may be handed: the route, the decision on it, and the
//! lifetime that is left by every ceiling.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::{Line, Outcome};
use crate::authz::{MintWish, Permission, Permit, Visible, visible_scope};
use crate::connectors::UpstreamError;
use crate::domain::ttl::GrantedTtl;
use crate::domain::{
    AccessLevel, ComponentId, ConnectorId, FieldError, PrincipalId, ResourceTypeName, RunId, ShapeName, Timestamp, Ttl,
};

use super::super::gate::{Known, unseen};
use super::super::{Broker, BrokerError, Call};
use super::outliving::HardEnd;
use super::route::{NoRoute, Route};
use super::touched::Since;

/// By connector or by component: name, id, or unique prefix of the id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MintSource {
    /// A connector.
    Connector(String),
    /// A component.
    Component(String),
}

/// What to mint.
#[derive(Debug, Clone)]
pub struct MintAsk {
    /// By connector or by component.
    pub source: MintSource,
    /// Needed when the source does not fix it.
    pub resource_type: Option<ResourceTypeName>,
    /// In any accepted form.
    pub resource: Option<String>,
    /// The access level.
    pub access: AccessLevel,
    /// What the resource type takes beyond that, by name.
    pub parameters: BTreeMap<String, String>,
    /// The lifetime.
    pub ttl: Option<Ttl>,
    /// The least life a handed-out credential must have left, in seconds.
    pub min_remaining: Option<u32>,
}

/// Which minted credentials may stand for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    connector: ConnectorId,
    route: [u8; 32],
    /// Nobody when the connector shares its credentials. What is minted in a
    /// run is that run's alone: not another's, and not its starter's outside.
    holder: Option<(PrincipalId, Option<RunId>)>,
    lifetime: Lifetime,
}

impl CacheKey {
    /// Whose credentials they are.
    pub(super) const fn connector(&self) -> ConnectorId {
        self.connector
    }
}

#[cfg(test)]
impl CacheKey {
    /// A key for tests.
    pub(super) const fn of(byte: u8) -> Self {
        let connector = ConnectorId::from_bytes([byte; 16]);
        Self { connector, route: [byte; 32], holder: None, lifetime: Lifetime::Whole(Ttl::seconds(3600)) }
    }

    /// As many others as a test needs.
    pub(super) fn numbered(number: usize) -> Self {
        let mut key = Self::of(0);
        key.route[..8].copy_from_slice(&(number + 256).to_be_bytes());
        key
    }
}

/// A lifetime that is cut by a moment in time would be another one each
/// second: such credentials are kept by that moment instead.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Lifetime {
    Whole(Ttl),
    Until(Timestamp),
}

/// A decided ask.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) route: Arc<Route>,
    pub(super) permit: Permit,
    pub(super) granted: GrantedTtl,
    /// What was wished for.
    pub(super) asked: Option<Ttl>,
    /// The moment that cuts what is granted, if one does.
    pub(super) until: Option<Timestamp>,
    /// What no credential may outlive, whatever its provider gives.
    pub(super) end: HardEnd,
    pub(super) key: CacheKey,
    /// Where what was minted before that moment came near is kept.
    pub(super) uncut: Option<CacheKey>,
    pub(super) min_remaining: Option<u32>,
    /// As of when this was decided.
    pub(super) since: Since,
}

impl Broker {
    /// Decides an ask, with the lifetime that is left for it.
    pub(super) async fn plan(&self, call: &Call, ask: &MintAsk) -> Result<Plan, BrokerError> {
        let since = Since { revision: call.caller.as_of, epoch: self.cache.epoch() };
        let (route, permit) = self.decided(call, ask).await?;
        let (granted, cut) = self.grant_ttl(call, &route, &permit, ask)?;
        // A signing session is its principal's own: whoever else were handed
        // it could not have anything signed.
        let shared = route.connector.policy.shared && route.scope.shape != ShapeName::SigningSession;
        let holder = (!shared).then(|| (call.principal().id, call.run()));
        let key_of = |lifetime| CacheKey { connector: route.connector.id, route: route.digest, holder, lifetime };
        let until = cut.map(|(end, _)| end);
        let key = key_of(until.map_or(Lifetime::Whole(granted.ttl), Lifetime::Until));
        let uncut = cut.map(|(_, whole)| key_of(Lifetime::Whole(whole)));
        let run = call.caller.subject.run.as_ref().map(|scope| scope.run.ends_at);
        let end = HardEnd::new(route.connector.policy.ttl_max, permit.limits(), run);
        let min_remaining = ask.min_remaining;
        Ok(Plan { route, permit, granted, asked: ask.ttl, until, end, key, uncut, min_remaining, since })
    }

    /// Decides an ask. Every refusal is in the ledger before it is said.
    pub(super) async fn decided(&self, call: &Call, ask: &MintAsk) -> Result<(Arc<Route>, Permit), BrokerError> {
        let route = match self.route(call.project(), ask).await {
            Ok(route) => route,
            Err(NoRoute::Refused(error)) => return Err(Box::pin(self.refused_unseen(call, ask, error)).await),
            Err(NoRoute::Unfound(noun, error)) => {
                return Err(Box::pin(self.refused_unseen(call, ask, BrokerError::of(noun, &error))).await);
            }
        };
        let wish = MintWish { resource: &route.resource, access: route.access };
        let component = route.component.as_ref().map(|component| component.id);
        let known = Known { connector: Some(route.connector.id), component };
        let permit = self.permit_on(call, Permission::CredentialsMint, known, Some(wish)).await?;
        if let Some(error) = beyond_ceiling(&route).or_else(|| expired(&route, self.clock.now())) {
            Box::pin(self.write_line(&call.record, route_line(call, &route, Outcome::Denied, error.code()))).await?;
            return Err(error);
        }
        if let Err(error) = self.sure_of_the_time() {
            Box::pin(self.write_line(&call.record, route_line(call, &route, Outcome::Failed, error.code()))).await?;
            return Err(error);
        }
        Ok((route, permit))
    }

    /// The lifetime under every ceiling; and the moment that cuts it, with what
    /// it would be without, if any does.
    fn grant_ttl(
        &self,
        call: &Call,
        route: &Route,
        permit: &Permit,
        ask: &MintAsk,
    ) -> Result<(GrantedTtl, Option<(Timestamp, Ttl)>), BrokerError> {
        let now = self.clock.now();
        let mut ceilings = Vec::new();
        ceilings.extend(route.connector.policy.ttl_max.map(|max| (max, "the connector's ceiling")));
        ceilings.extend(permit.limits().ttl_max.map(|max| (max, "the role binding")));
        let whole = route.ttl.grant(ask.ttl, &ceilings)?;
        let ends = [permit.limits().not_after, route.connector.secret.usable_until()];
        let end = ends.into_iter().flatten().min().filter(|end| *end < now.plus(whole.ttl.as_duration()));
        let Some(end) = end else { return self.checked_floor(ask, whole).map(|granted| (granted, None)) };
        let left = Ttl::seconds(u32::try_from(end.since(now).as_secs()).unwrap_or(u32::MAX));
        let by_run = call.caller.subject.run.as_ref().is_some_and(|scope| scope.run.ends_at == end);
        let cause =
            if by_run { "the end of the run" } else { "the end of the role binding or of the source credential" };
        ceilings.push((left, cause));
        let cut = route.ttl.grant(ask.ttl, &ceilings)?;
        self.checked_floor(ask, cut).map(|granted| (granted, Some((end, whole.ttl))))
    }

    fn checked_floor(&self, ask: &MintAsk, granted: GrantedTtl) -> Result<GrantedTtl, BrokerError> {
        let ttl = granted.ttl.as_seconds();
        // A floor near the whole life would have each ask mint anew.
        let floor_max = ttl - ttl / 4;
        if ask.min_remaining.is_some_and(|floor| floor > floor_max) {
            let problem = format!(
                "{ttl} s are granted, of which {floor_max} s can be asked for; ask for less or a longer ttl_seconds"
            );
            return Err(FieldError::new("min_remaining_seconds", problem).into());
        }
        Ok(granted)
    }

    /// What to say of an ask that leads nowhere. Who may not mint through its
    /// source learns nothing of what exists: neither that there is none, nor
    /// what is wrong with it.
    async fn refused_unseen(&self, call: &Call, ask: &MintAsk, error: BrokerError) -> BrokerError {
        let permission = Permission::CredentialsMint;
        let scope = visible_scope(&call.caller.subject, permission, self.clock.now());
        let known = scope == Visible::All || {
            let (connector, component) = self.source_ids(call, &ask.source).await;
            scope.shows(component, connector)
        };
        if known {
            return error;
        }
        match self.deny(call, unseen(call), permission).await {
            Ok(denied) | Err(denied) => denied,
        }
    }

    /// The connector and the component that a source names, if there are any.
    async fn source_ids(&self, call: &Call, source: &MintSource) -> (Option<ConnectorId>, Option<ComponentId>) {
        match source {
            MintSource::Connector(text) => {
                let found = self.find_connector(call.project(), text).await;
                (found.ok().map(|connector| connector.id), None)
            }
            MintSource::Component(text) => match self.find_component(call.project(), text).await {
                Ok(component) => (component.link.as_ref().map(|link| link.connector), Some(component.id)),
                Err(_) => (None, None),
            },
        }
    }

    /// The same ask for the same caller as of now: nothing may be handed out
    /// that a change acknowledged meanwhile forbids.
    pub(super) async fn still(&self, call: &Call, ask: &MintAsk, plan: &Plan) -> Result<Plan, BrokerError> {
        let caller = self.caller_again(&call.caller.token).await?;
        let call = Call { record: Arc::clone(&call.record), caller };
        let again = self.plan(&call, ask).await?;
        if again.key == plan.key {
            return Ok(again);
        }
        Err(changed_meanwhile())
    }
}

pub(in crate::broker) fn changed_meanwhile() -> BrokerError {
    BrokerError::Unavailable {
        code: "CHANGED_MEANWHILE",
        message: "the connector or a grant changed meanwhile; ask again",
    }
}

/// A line about a route.
pub(super) fn route_line(call: &Call, route: &Route, outcome: Outcome, reason: &str) -> Line {
    Line {
        connector: Some(route.connector.id),
        component: route.component.as_ref().map(|component| component.id),
        resource: Some(route.resource.clone()),
        access: Some(route.access),
        ..call.line(outcome, reason)
    }
}

/// A source credential that has ended, or that counts as ended, mints nothing:
/// the cloud is not asked.
fn expired(route: &Route, now: Timestamp) -> Option<BrokerError> {
    let ended = route.connector.secret.usable_until().is_some_and(|end| end <= now);
    ended.then(|| UpstreamError::Expired.into())
}

/// A scope beyond the ceiling is refused, never silently cut.
fn beyond_ceiling(route: &Route) -> Option<BrokerError> {
    let policy = &route.connector.policy;
    let refuse =
        |code, hint: String| Some(BrokerError::Denied { code, permission: Permission::CredentialsMint.as_str(), hint });
    if !policy.covers(&route.resource) {
        return refuse("RESOURCE_BEYOND_CEILING", "the connector's ceiling leaves this resource out".to_owned());
    }
    let link = route.component.as_ref().and_then(|component| component.link.as_ref());
    let access_max = link.map_or(policy.access_max, |link| link.access_max.min(policy.access_max));
    if route.access > access_max {
        return refuse("ACCESS_BEYOND_CEILING", format!("the highest access level here is {access_max}"));
    }
    if route.passthrough && !policy.allow_passthrough {
        return Some(BrokerError::Precondition {
            code: "PASSTHROUGH_OFF",
            message: "this could only be served by handing out the long-lived secret".to_owned(),
            hint: "use an auth method that can mint, or ask a platform engineer to allow_passthrough".to_owned(),
        });
    }
    None
}

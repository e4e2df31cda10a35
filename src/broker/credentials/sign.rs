//! Sign: lend one signature of a source key to a live signing session of the
//! caller's own.
//!
//! Each signature is decided on as a mint is, with the rights and settings of
//! now, and has an intent and a result in the ledger. The key stays in the
//! strongroom; whether the data may be signed at all is for the connector type
//! to say. Nothing is signed for a session that is revoked or over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::authz::{Permission, Permit, visible_scope};
use crate::connectors::{Challenge, UpstreamError};
use crate::domain::{Issuance, IssuanceId, IssuanceState, ShapeName};
use crate::store::StoreError;

use super::super::gate::unseen;
use super::super::{Broker, BrokerError, Call};
use super::plan::{MintAsk, MintSource, route_line};
use super::route::Route;

/// A signature is local work; an encrypted key costs a fraction of a second.
const SIGN_DEADLINE: Duration = Duration::from_secs(10);

/// What to sign, and by whose leave.
#[derive(Debug, Clone)]
pub struct SignAsk {
    /// The signing session.
    pub issuance: IssuanceId,
    /// What is to be signed.
    pub challenge: Challenge,
}

impl Broker {
    /// Signs for a live signing session of the caller.
    ///
    /// # Errors
    /// `Denied`; `NotFound`, also for a session of somebody else;
    /// `Precondition` when the session is over, or when this is not what it
    /// may sign; `Unavailable` when the ledger cannot be written.
    pub async fn sign_challenge(&self, call: &Call, ask: SignAsk) -> Result<Vec<u8>, BrokerError> {
        let session = self.live_session(call, ask.issuance).await?;
        let (route, permit) = self.decided_again(call, &session).await?;
        let line = Line { issuance: Some(session.id), ..route_line(call, &route, Outcome::Pending, "") };
        let entry = self.ledger.open(described(line, &session, &ask.challenge)).await?;
        match self.ask_to_sign(call, &route, &permit, &entry, ask).await {
            Ok(signature) => {
                self.close_entry(call, entry.result(Outcome::Ok, Reason::new("SIGNED"))).await?;
                self.may_leave_signed(call, &session).await?;
                Ok(signature)
            }
            Err(BrokerError::Upstream(UpstreamError::Rejected { code, remedy })) => {
                let refused = entry.result(Outcome::Denied, Reason::new(SIGNATURE_REFUSED)).with_detail("why", &code);
                self.close_entry(call, refused).await?;
                Err(refusal(&code, remedy))
            }
            Err(error) => Err(self.close_failed(call, &entry, error).await),
        }
    }

    /// The caller's own session, alive. That somebody else has one is told to
    /// nobody.
    async fn live_session(&self, call: &Call, id: IssuanceId) -> Result<Issuance, BrokerError> {
        let session = match self.store.issuance(call.project(), id).await {
            Ok(issuance) if issuance.principal == call.principal().id && issuance.run == call.run() => issuance,
            Ok(_) | Err(StoreError::NotFound) => return Err(self.no_session(call).await),
            Err(error) => return Err(BrokerError::of("issuance", &error)),
        };
        let state = session.state_at(self.clock.now());
        if state == "active" && session.state == IssuanceState::Active && !self.cache.withdrawn(id) {
            return Ok(session);
        }
        let (connector, resource) = (Some(session.connector), Some(session.resource_id));
        let line = Line { connector, resource, issuance: Some(id), ..call.line(Outcome::Denied, SESSION_ENDED) };
        self.write_line(&call.record, line).await?;
        Err(ended(format!("the signing session is {}", if state == "active" { "withdrawn" } else { state })))
    }

    /// Who may mint nothing at all learns nothing of what there is.
    async fn no_session(&self, call: &Call) -> BrokerError {
        let permission = Permission::CredentialsMint;
        if !visible_scope(&call.caller.subject, permission, self.clock.now()).nothing() {
            return BrokerError::NotFound { noun: "issuance" };
        }
        match self.deny(call, unseen(call), permission).await {
            Ok(denied) | Err(denied) => denied,
        }
    }

    /// The decision of the mint, made anew: a grant that ended, a ceiling that
    /// was lowered or a host that left the settings ends the session's use.
    async fn decided_again(&self, call: &Call, session: &Issuance) -> Result<(Arc<Route>, Permit), BrokerError> {
        let source = match session.component {
            Some(component) => MintSource::Component(component.to_string()),
            None => MintSource::Connector(session.connector.to_string()),
        };
        let ask = MintAsk {
            source,
            resource_type: Some(session.resource_type.clone()),
            resource: Some(session.resource_id.to_string()),
            access: session.access,
            parameters: BTreeMap::new(),
            ttl: None,
            min_remaining: None,
        };
        let (route, permit) = self.decided(call, &ask).await?;
        if route.scope.shape != ShapeName::SigningSession {
            return Err(ended("this issuance is no signing session".to_owned()));
        }
        if route.connector.id != session.connector || route.resource != session.resource_id {
            return Err(ended("the component is linked to something else by now".to_owned()));
        }
        Ok((route, permit))
    }

    async fn ask_to_sign(
        &self,
        call: &Call,
        route: &Arc<Route>,
        permit: &Permit,
        entry: &OpenEntry,
        ask: SignAsk,
    ) -> Result<Vec<u8>, BrokerError> {
        let upstream = self.upstream_for(call, &route.connector, Some(ask.issuance), entry);
        let held = Arc::clone(route);
        let signed = self.with_secret(&route.connector, permit, entry, move |secret| {
            Box::pin(async move {
                let (settings, scope) = (&held.connector.settings, &held.scope.json);
                let signed = held.kind.sign(&upstream, settings, secret, scope, &ask.challenge);
                tokio::time::timeout(SIGN_DEADLINE, signed).await.unwrap_or(Err(UpstreamError::DeadlineExceeded))
            })
        });
        Ok(signed.await??)
    }

    /// Invariant: a signature leaves only when, after its line is durable, the
    /// session lives and the caller's rights of then allow it.
    async fn may_leave_signed(&self, call: &Call, session: &Issuance) -> Result<(), BrokerError> {
        let session = self.live_session(call, session.id).await?;
        if self.lookups.revision() == call.caller.as_of {
            return Ok(());
        }
        let caller = self.caller_again(&call.caller.token).await?;
        let call = Call { record: Arc::clone(&call.record), caller };
        self.decided_again(&call, &session).await.map(drop)
    }
}

/// Which host, which key, and what: enough to find the sign-in in the host's
/// own log, and nothing that could be used.
fn described(line: Line, session: &Issuance, challenge: &Challenge) -> Line {
    let digest = hex::encode(Sha256::digest(&challenge.data).iter().take(8).copied().collect::<Vec<u8>>());
    let line = line.with_detail("fingerprint", &session.fingerprint).with_detail("challenge", &digest);
    match &challenge.binding {
        Some(binding) => {
            let host_key = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&binding.host_key)));
            line.with_detail("host_key", &host_key)
        }
        None => line,
    }
}

const SESSION_ENDED: &str = "SESSION_ENDED";
const SIGNATURE_REFUSED: &str = "SIGNATURE_REFUSED";

fn ended(message: String) -> BrokerError {
    BrokerError::Precondition { code: SESSION_ENDED, message, hint: "mint another".to_owned() }
}

fn refusal(why: &str, hint: String) -> BrokerError {
    let message = format!("this is not what the signing session may sign ({why})");
    BrokerError::Precondition { code: SIGNATURE_REFUSED, message, hint }
}

//! Revoke issuances, and say what is really so: `withdrawn` when the cloud
//! still honours the credential, `revoked` only when it has ended it.

use serde::{Deserialize, Serialize};

use crate::audit::{Line, OpenEntry, Outcome, Reason};
use crate::authz::{Decision, MintWish, Permission, Permit};
use crate::connectors::UpstreamError;
use crate::domain::{Connector, FieldError, Issuance, IssuanceState, PageAsk, Revocable};
use crate::store::{IssuanceFilter, StoreError, Tx, Write};

use super::super::connectors::{stored_settings, type_of};
use super::super::gate::Known;
use super::super::{Broker, BrokerError, Call, Once};

/// The most issuances of one call.
pub(in crate::broker) const REVOKE_MAX: u32 = 1000;

/// What to revoke.
#[derive(Debug, Clone, Default)]
pub struct Revoke {
    /// Ids or unique prefixes of ids.
    pub issuances: Vec<String>,
    /// All that are alive of this connector: 1,000 in one call.
    pub connector: Option<String>,
    /// What makes the request the same.
    pub once: Option<Once>,
}

impl Revoke {
    /// Whether there may be more than these: the same ask again does the rest.
    #[must_use]
    pub fn more_after(&self, results: &[Revoked]) -> bool {
        self.connector.is_some() && results.len() >= usize::try_from(REVOKE_MAX).unwrap_or(usize::MAX)
    }
}

/// What became of one issuance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// As it is now.
    pub issuance: Issuance,
    /// What was done and what is left.
    pub note: String,
}

/// What asking a cloud came to.
enum Asked {
    /// It has ended the credential.
    Ended,
    /// It has not, or was not asked: for this reason, if there is one to say.
    NotEnded(&'static str),
}

impl Broker {
    /// Stops handing out issuances and ends them at the cloud where the cloud
    /// can. Each has a ledger entry of its own.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid`; `Unavailable` when the ledger cannot
    /// be written, with those before it done.
    pub async fn revoke_issuances(&self, call: &Call, ask: &Revoke) -> Result<Vec<Revoked>, BrokerError> {
        // Asked first: the connector may be gone since.
        if let Some(earlier) = self.recall(call, ask.once.as_ref()).await? {
            return Ok(earlier);
        }
        let issuances = self.chosen(call, ask).await?;
        let mut results = Vec::with_capacity(issuances.len());
        for issuance in issuances {
            results.push(self.revoke_one(call, issuance).await?);
        }
        // Each was committed with a line of its own; this keeps the answer.
        let line = call.line(Outcome::Ok, "").with_detail("issuances", &results.len().to_string());
        let tx = Tx::with_line(line).remember(self.remember(call, ask.once.as_ref(), &results)?);
        match self.commit_done(call, "request", tx).await {
            // All of it is done and in the ledger; the same ask again finds nothing to do.
            Err(BrokerError::Unavailable { .. }) if call.record.lined() => Ok(results),
            committed => self.settled(call, ask.once.as_ref(), results, committed).await,
        }
    }

    /// What is to be revoked, each decided on by the connector and component
    /// that it was minted through: all of it may be, or nothing is touched.
    async fn chosen(&self, call: &Call, ask: &Revoke) -> Result<Vec<Issuance>, BrokerError> {
        match (&ask.connector, ask.issuances.as_slice()) {
            (None, []) => Err(FieldError::new("issuances", "name issuances, or a connector for all of its").into()),
            (Some(_), [_, ..]) => Err(FieldError::new("connector", "goes without issuances").into()),
            (Some(text), []) => {
                let (connector, _) = self.permitted_connector(call, text, Permission::IssuancesRevoke).await?;
                let connector = connector.id;
                // Also what is beyond the bound of one call is served no more.
                self.forget_minted(connector);
                let active_at = Some(self.clock.now());
                let filter = IssuanceFilter { connector: Some(connector), active_at, ..IssuanceFilter::default() };
                let page = PageAsk { size: REVOKE_MAX, after: None };
                let found = self.store.issuances_to_end(call.project(), &filter, &page).await;
                Ok(found.map_err(|error| BrokerError::of("issuance", &error))?.items)
            }
            (None, texts) if texts.len() > usize::try_from(REVOKE_MAX).unwrap_or(usize::MAX) => {
                Err(FieldError::new("issuances", "at most 1,000 in one call").into())
            }
            (None, texts) => {
                let mut issuances = Vec::with_capacity(texts.len());
                for text in texts {
                    issuances.push(self.revocable_issuance(call, text).await?);
                }
                Ok(issuances)
            }
        }
    }

    async fn revocable_issuance(&self, call: &Call, text: &str) -> Result<Issuance, BrokerError> {
        match self.store.resolve_issuance(call.project(), text).await {
            Ok(issuance) => {
                self.permit_on(call, Permission::IssuancesRevoke, minted_through(&issuance), None).await?;
                Ok(issuance)
            }
            Err(error) => Err(self.unfound(call, "issuance", Permission::IssuancesRevoke, &error).await),
        }
    }

    pub(in crate::broker) async fn revoke_one(
        &self,
        call: &Call,
        mut issuance: Issuance,
    ) -> Result<Revoked, BrokerError> {
        let now = self.clock.now();
        if issuance.state == IssuanceState::Revoked || issuance.expires_at <= now {
            let note = format!("nothing to do: it is {}", issuance.state_at(now));
            return Ok(Revoked { issuance, note });
        }
        let line = Line {
            connector: Some(issuance.connector),
            issuance: Some(issuance.id),
            ..call.line(Outcome::Pending, "")
        };
        let entry = self.ledger.open_withdrawal(line).await?;
        // From here on nobody is handed it, whatever the cloud says.
        self.cache.withdraw(issuance.id);
        let (state, note) = self.end_at_cloud(call, &entry, &issuance).await;
        let reason = if state == IssuanceState::Revoked { "REVOKED" } else { "WITHDRAWN" };
        let write = Write::EndIssuance { project: issuance.project, id: issuance.id, state, ended_at: now };
        let tx = Tx::with_line(entry.result(Outcome::Ok, Reason::new(reason))).write(write);
        match self.commit_done(call, "issuance", tx).await {
            Ok(_) => {}
            Err(error) => return Err(self.close_failed(call, &entry, error).await),
        }
        issuance.state = state;
        issuance.ended_at = Some(now);
        Ok(Revoked { issuance, note })
    }

    /// Ends it at the cloud where the cloud can end one by itself.
    async fn end_at_cloud(&self, call: &Call, entry: &OpenEntry, issuance: &Issuance) -> (IssuanceState, String) {
        let until = issuance.expires_at;
        let withdrawn = |why: &str| {
            (IssuanceState::Withdrawn, format!("no longer handed out; the cloud honours it until {until}{why}"))
        };
        match issuance.revocable {
            Revocable::No => return withdrawn(""),
            Revocable::RoleWide => return withdrawn(&self.how_to_end_widely(issuance).await),
            Revocable::Single => {}
        }
        match self.ask_cloud_to_revoke(call, entry, issuance).await {
            // Nothing shorter is true: an API server of Kubernetes, for one, remembers its last answers for 10 s.
            Ok(Ok(Asked::Ended)) => {
                let note = "ended at the cloud; a server that let it in a moment ago may do so for some seconds more";
                (IssuanceState::Revoked, note.to_owned())
            }
            Ok(Ok(Asked::NotEnded(why))) => withdrawn(why),
            Ok(Err(error)) => withdrawn(&format!("; asking the cloud to end it failed: {error}")),
            Err(error) => withdrawn(&format!("; asking the cloud to end it failed: {error}")),
        }
    }

    /// What a person can do, in the words of the connector's type.
    async fn how_to_end_widely(&self, issuance: &Issuance) -> String {
        let Ok(connector) = self.connector(issuance.project, issuance.connector).await else { return String::new() };
        let words = type_of(&connector).ok().and_then(|kind| kind.description().ends_widely);
        words.map_or_else(String::new, |words| format!("; {words}"))
    }

    async fn ask_cloud_to_revoke(
        &self,
        call: &Call,
        entry: &OpenEntry,
        issuance: &Issuance,
    ) -> Result<Result<Asked, UpstreamError>, BrokerError> {
        let connector = self.connector(call.project(), issuance.connector).await;
        let connector = match connector {
            Ok(connector) => connector,
            Err(StoreError::NotFound) => return Ok(Ok(Asked::NotEnded(GONE))),
            Err(error) => return Err(BrokerError::of("connector", &error)),
        };
        // Invariant: only the place that minted it is asked. Any other one knows
        // nothing of it, and would say so: that is no proof of its end.
        if !leads_there_still(&connector, issuance) {
            return Ok(Ok(Asked::NotEnded(ELSEWHERE)));
        }
        let permit = self.revoke_permit(call, issuance).await?;
        let kind = type_of(&connector)?;
        let (upstream, settings, issuance) = (
            self.upstream_for(call, &connector, Some(issuance.id), entry),
            connector.settings.clone(),
            issuance.clone(),
        );
        let asked = self.with_secret(&connector, &permit, entry, move |secret| {
            Box::pin(async move { kind.revoke(&upstream, &settings, secret, &issuance).await })
        });
        Ok(asked.await?.map(|ended| if ended { Asked::Ended } else { Asked::NotEnded("") }))
    }

    /// By the permission to revoke. Of one's own also by the grant that would
    /// mint the same again: who may have it may end it.
    async fn revoke_permit(&self, call: &Call, issuance: &Issuance) -> Result<Permit, BrokerError> {
        let known = minted_through(issuance);
        if let Decision::Allow(permit) = self.decided_on(call, Permission::IssuancesRevoke, known, None) {
            return Ok(permit);
        }
        if issuance.principal == call.principal().id {
            let wish = MintWish { resource: &issuance.resource_id, access: issuance.access };
            return self.permit_on(call, Permission::CredentialsMint, known, Some(wish)).await;
        }
        self.permit_on(call, Permission::IssuancesRevoke, known, None).await
    }
}

const GONE: &str = "; its connector is gone, so the cloud was not asked to end it";
const ELSEWHERE: &str = "; its connector leads elsewhere by now, so where it was minted was not asked to end it: \
                         do it there, or point the connector there again and revoke once more";

/// The digest of where a connector leads, in hex.
pub(super) fn destination_of(connector: &Connector) -> Option<String> {
    Some(hex::encode(stored_settings(connector).ok()?.destination))
}

/// Whether a connector still leads where an issuance was minted. Of a record
/// that does not say where, only when nothing of the connector has changed.
pub(super) fn leads_there_still(connector: &Connector, issuance: &Issuance) -> bool {
    match &issuance.destination {
        Some(minted_at) => destination_of(connector).as_ref() == Some(minted_at),
        None => connector.updated_at <= issuance.issued_at,
    }
}

const fn minted_through(issuance: &Issuance) -> Known {
    Known { connector: Some(issuance.connector), component: issuance.component }
}

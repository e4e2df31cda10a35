//! Applies one transaction inside the savepoint that the writer opened.

use rusqlite::Connection;

use crate::audit::{Line, Seq};
use crate::domain::Timestamp;
use crate::store::limits::{LINES_MAX, WRITES_MAX};
use crate::store::{Change, Guard, Remembered, Revision, StoreError, Tx, Write};

use super::chain::{Chain, EncodedLine};
use super::failure::Failure;
use super::seals::Sealing;
use super::work::Work;
use super::{
    bindings, changes, components, connectors, guards, issuances, issuer_keys, keks, principals, projects, requests,
};
use super::{runs, stacks, tokens};

/// A transaction whose lines have their stored form, made by the task that
/// wants it committed.
pub(super) struct EncodedTx {
    guards: Vec<Guard>,
    writes: Vec<Write>,
    lines: Vec<EncodedLine>,
    /// Those of a transaction that may change records: they get its revision.
    unencoded: Vec<Line>,
    remember: Option<Remembered>,
}

/// What a transaction did.
pub(super) struct Applied {
    pub(super) lines: Vec<Seq>,
    /// It has a revision.
    pub(super) changed: bool,
    /// It deleted a sealed secret.
    pub(super) shred: bool,
}

impl EncodedTx {
    pub(super) fn of(tx: Tx) -> Result<Self, StoreError> {
        if tx.writes.len() > WRITES_MAX {
            return Err(StoreError::TooMany { limit: u32::try_from(WRITES_MAX).unwrap_or(u32::MAX) });
        }
        if tx.lines.len() > LINES_MAX {
            return Err(StoreError::TooMany { limit: u32::try_from(LINES_MAX).unwrap_or(u32::MAX) });
        }
        if tx.lines.is_empty() {
            return Err(StoreError::Corrupt { what: "a transaction without a ledger line" });
        }
        let lines = tx.lines.iter().map(EncodedLine::of).collect::<Result<_, _>>()?;
        let unencoded = if tx.writes.iter().all(of_issuances) { Vec::new() } else { tx.lines };
        Ok(Self { guards: tx.guards, writes: tx.writes, lines, unencoded, remember: tx.remember })
    }

    /// It only takes power away: written even from the reserve.
    pub(super) fn takes_away(&self) -> bool {
        let takes_away = |write: &Write| match write {
            Write::DeleteConnector { .. }
            | Write::DeleteComponent { .. }
            | Write::DeleteStack { .. }
            | Write::DeletePrincipal { .. }
            | Write::DeleteToken { .. }
            | Write::DeleteBinding { .. }
            | Write::FinishRun { .. }
            | Write::EndIssuance { .. } => true,
            Write::InsertProject(_)
            | Write::InsertKek(_)
            | Write::InsertConnector { .. }
            | Write::UpdateConnector { .. }
            | Write::InsertComponent(_)
            | Write::UpdateComponent { .. }
            | Write::InsertStack(_)
            | Write::UpdateStack { .. }
            | Write::InsertPrincipal(_)
            | Write::InsertToken(_)
            | Write::InsertRun { .. }
            | Write::RenewRun { .. }
            | Write::InsertBinding(_)
            | Write::InsertIssuance(_)
            | Write::InsertIssuerKey(_)
            | Write::ActivateIssuerKey { .. }
            // Nobody waits for it, and it takes nothing away from anybody.
            | Write::DeleteIssuerKey(_) => false,
        };
        !self.writes.is_empty() && self.writes.iter().all(takes_away)
    }

    /// The lines with the revision that the transaction has.
    fn lines_at(&self, revision: Revision) -> Result<Vec<EncodedLine>, Failure> {
        let at = |line: &Line| EncodedLine::of(&Line { store_revision: Some(revision.0), ..line.clone() });
        Ok(self.unencoded.iter().map(at).collect::<Result<_, _>>()?)
    }

    pub(super) fn apply(
        &self,
        database: &Connection,
        chain: &mut Chain,
        sealing: Option<&mut Sealing>,
        now: Timestamp,
        records_max: u32,
        next: Revision,
    ) -> Result<Applied, Failure> {
        let mut work = Work::new(database, now, records_max, next, sealing.as_deref());
        if let Some(wanted) = &self.remember {
            requests::check_unused(&work, wanted)?;
        }
        for guard in &self.guards {
            guards::check(&work, guard)?;
        }
        for write in &self.writes {
            carry_out(&mut work, write)?;
        }
        for project in &work.owners_gone {
            bindings::check_owner(&work, *project)?;
        }
        if let Some(answer) = &self.remember {
            requests::remember(&work, answer)?;
        }
        changes::insert(database, next, &work.changes)?;
        let Work { changes, forgotten, shred, .. } = work;
        let changed = !changes.is_empty();
        let renewed = match sealing {
            Some(sealing) if changed => {
                seal(database, sealing, &changes, &forgotten, next)?;
                Some(self.lines_at(next)?)
            }
            Some(_) | None => None,
        };
        let lines = renewed.as_ref().unwrap_or(&self.lines);
        let lines = lines.iter().map(|line| chain.append(database, line)).collect::<Result<_, _>>()?;
        Ok(Applied { lines, changed, shred })
    }
}

/// Minting changes no record.
const fn of_issuances(write: &Write) -> bool {
    matches!(write, Write::InsertIssuance(_) | Write::EndIssuance { .. })
}

/// The seals of what was changed, and their head.
fn seal(
    database: &Connection,
    sealing: &mut Sealing,
    changes: &[Change],
    forgotten: &[(&'static str, String)],
    next: Revision,
) -> Result<(), Failure> {
    for change in changes {
        sealing.reseal(database, &change.noun, &change.id)?;
    }
    for (noun, id) in forgotten {
        sealing.reseal(database, noun, id)?;
    }
    sealing.write_head(database, next)
}

fn carry_out(work: &mut Work<'_>, write: &Write) -> Result<(), Failure> {
    match write {
        Write::InsertProject(project) => projects::insert(work, project),
        Write::InsertKek(kek) => keks::insert(work, kek),
        Write::InsertConnector { connector, sealed } => connectors::insert(work, connector, sealed),
        Write::UpdateConnector { connector, expected, sealed } => {
            connectors::update(work, connector, *expected, sealed.as_ref())
        }
        Write::DeleteConnector { project, id, expected } => connectors::delete(work, *project, *id, *expected),
        Write::InsertComponent(component) => components::insert(work, component),
        Write::UpdateComponent { component, expected } => components::update(work, component, *expected),
        Write::DeleteComponent { project, id, expected } => components::delete(work, *project, *id, *expected),
        Write::InsertStack(stack) => stacks::insert(work, stack),
        Write::UpdateStack { stack, expected } => stacks::update(work, stack, *expected),
        Write::DeleteStack { project, id, expected } => stacks::delete(work, *project, *id, *expected),
        Write::InsertPrincipal(principal) => principals::insert(work, principal),
        Write::DeletePrincipal { project, id } => principals::delete(work, *project, *id),
        Write::InsertToken(token) => tokens::insert(work, token),
        Write::DeleteToken { project, id } => tokens::delete(work, *project, id),
        Write::InsertRun { run, token } => runs::insert(work, run, token),
        Write::RenewRun { project, id, token_expires_at } => runs::renew(work, *project, *id, *token_expires_at),
        Write::FinishRun { project, id, at } => runs::finish(work, *project, *id, *at),
        Write::InsertBinding(binding) => bindings::insert(work, binding),
        Write::DeleteBinding { project, id } => bindings::delete(work, *project, *id),
        Write::InsertIssuerKey(key) => issuer_keys::insert(work, key),
        Write::ActivateIssuerKey { id, retire, at } => issuer_keys::activate(work, id, retire.as_ref(), *at),
        Write::DeleteIssuerKey(id) => issuer_keys::delete(work, id),
        Write::InsertIssuance(issuance) => issuances::insert(work, issuance),
        Write::EndIssuance { project, id, state, ended_at } => issuances::end(work, *project, *id, *state, *ended_at),
    }
}

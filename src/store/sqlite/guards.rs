//! What must hold when a transaction commits. Looked at inside it, so that
//! nothing comes between the look and the change.
//!
//! Reads only; a record of another project is none.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use crate::domain::{
    BindingId, BindingTarget, Component, ComponentId, ConnectorId, Principal, PrincipalId, ProjectId, Run, TokenId,
    Version,
};
use crate::store::{Guard, StoreError};

use super::columns::unsigned;
use super::failure::Failure;
use super::named;
use super::work::Work;

pub(super) fn check(work: &Work<'_>, guard: &Guard) -> Result<(), Failure> {
    match guard {
        Guard::ConnectorAt { project, id, version } => connector_at(work, *project, *id, *version),
        Guard::PrincipalExists { project, id } => {
            named::find::<Principal>(work.database, *project, id.as_bytes())?;
            Ok(())
        }
        Guard::ComponentExists { project, id } => {
            named::find::<Component>(work.database, *project, id.as_bytes())?;
            Ok(())
        }
        Guard::RunUnfinished { project, id } => {
            fresh(named::find::<Run>(work.database, *project, id.as_bytes())?.finished_at.is_none())
        }
        Guard::CallerStands { project, principal, token, bindings } => {
            fresh(token_lives(work, *project, *principal, token)?)?;
            let held = held(work, *project, *principal)?;
            let lives = |id| held.iter().any(|(held, end)| held == id && end.is_none_or(|end| end > work.now.millis()));
            fresh(bindings.iter().all(lives))
        }
        Guard::HoldsNoMore { project, principal, bindings } => {
            fresh(held(work, *project, *principal)?.iter().all(|(id, _)| bindings.contains(id)))
        }
        Guard::BoundBy { project, target, bindings } => fresh(bound_on(work, *project, *target)? == *bindings),
        Guard::NotLinked { project, connector, components } => {
            for component in components {
                fresh(linked_to(work, *project, *component)? != Some(*connector))?;
            }
            Ok(())
        }
    }
}

fn fresh(holds: bool) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(StoreError::Stale.into()) }
}

fn connector_at(work: &Work<'_>, project: ProjectId, id: ConnectorId, version: Version) -> Result<(), Failure> {
    const VERSION: &str = "SELECT version FROM connectors WHERE project = ?1 AND id = ?2";
    let bound = params![project.as_bytes(), id.as_bytes()];
    let found: Option<i64> = work.database.prepare_cached(VERSION)?.query_row(bound, |row| row.get(0)).optional()?;
    fresh(unsigned(found.ok_or(StoreError::NotFound)?) == version.0)
}

fn token_lives(work: &Work<'_>, project: ProjectId, principal: PrincipalId, token: &TokenId) -> Result<bool, Failure> {
    const LIVES: &str = "SELECT EXISTS (SELECT 1 FROM tokens \
                         WHERE id = ?1 AND project = ?2 AND principal = ?3 AND expires_at > ?4)";
    let bound = params![token.0, project.as_bytes(), principal.as_bytes(), work.now.millis()];
    Ok(work.database.prepare_cached(LIVES)?.query_row(bound, |row| row.get(0))?)
}

/// The principal's bindings, each with its end.
fn held(work: &Work<'_>, project: ProjectId, principal: PrincipalId) -> Result<Vec<(BindingId, Option<i64>)>, Failure> {
    const HELD: &str = "SELECT id, expires_at FROM bindings WHERE principal = ?2 AND project = ?1";
    let mut statement = work.database.prepare_cached(HELD)?;
    let bound = params![project.as_bytes(), principal.as_bytes()];
    let found = statement.query_map(bound, |row| Ok((BindingId::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn bound_on(work: &Work<'_>, project: ProjectId, target: BindingTarget) -> Result<BTreeSet<BindingId>, Failure> {
    const ON_CONNECTOR: &str = "SELECT id FROM bindings WHERE connector = ?2 AND project = ?1";
    const ON_COMPONENT: &str = "SELECT id FROM bindings WHERE component = ?2 AND project = ?1";
    let (sql, id) = match target {
        BindingTarget::Project => return Ok(BTreeSet::new()),
        BindingTarget::Connector(id) => (ON_CONNECTOR, *id.as_bytes()),
        BindingTarget::Component(id) => (ON_COMPONENT, *id.as_bytes()),
    };
    let mut statement = work.database.prepare_cached(sql)?;
    let found = statement.query_map(params![project.as_bytes(), id], |row| Ok(BindingId::from_bytes(row.get(0)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn linked_to(work: &Work<'_>, project: ProjectId, component: ComponentId) -> Result<Option<ConnectorId>, Failure> {
    const LINK: &str = "SELECT connector FROM components WHERE project = ?1 AND id = ?2";
    let bound = params![project.as_bytes(), component.as_bytes()];
    let found: Option<Option<[u8; 16]>> =
        work.database.prepare_cached(LINK)?.query_row(bound, |row| row.get(0)).optional()?;
    Ok(found.flatten().map(ConnectorId::from_bytes))
}

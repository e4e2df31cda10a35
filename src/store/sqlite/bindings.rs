//! Role bindings, and that a project keeps an owner.

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection as Database, Params, params};

use crate::domain::{
    Binding, BindingId, BindingTarget, Component, ComponentId, Connector, ConnectorId, Page, PageAsk, Principal,
    PrincipalId, ProjectId, Role, Timestamp,
};
use crate::store::limits::BINDINGS_MAX;
use crate::store::{Bindings, RoleRule, StoreError};

use super::SqliteStore;
use super::columns::{from_body, id_range, only, page_of, parse_time_key, rows_for, time_key, to_body};
use super::failure::Failure;
use super::guarded::Asked;
use super::named::{self, read_bodies};
use super::work::Work;

pub(super) const NOUN: &str = "binding";

#[async_trait]
impl Bindings for SqliteStore {
    async fn bindings_of(&self, project: ProjectId, principal: PrincipalId) -> Result<Vec<Binding>, StoreError> {
        const OF: &str = "SELECT body FROM bindings WHERE principal = ?2 AND project = ?1 \
                          ORDER BY created_at, id LIMIT ?3";
        let asked = Asked { project: Some(project), text: None, principal: Some(principal) };
        self.read_guarded(asked, move |database| {
            let bound = params![project.as_bytes(), principal.as_bytes(), BINDINGS_MAX];
            read_bodies(&mut database.prepare_cached(OF)?, bound)
        })
        .await
    }

    async fn bindings_on(
        &self,
        project: ProjectId,
        target: BindingTarget,
        limit: u32,
    ) -> Result<Vec<Binding>, StoreError> {
        const ON_CONNECTOR: &str = "SELECT body FROM bindings WHERE connector = ?2 AND project = ?1 \
                                    ORDER BY created_at, id LIMIT ?3";
        const ON_COMPONENT: &str = "SELECT body FROM bindings WHERE component = ?2 AND project = ?1 \
                                    ORDER BY created_at, id LIMIT ?3";
        let (sql, id) = match target {
            BindingTarget::Project => return Ok(Vec::new()),
            BindingTarget::Connector(id) => (ON_CONNECTOR, *id.as_bytes()),
            BindingTarget::Component(id) => (ON_COMPONENT, *id.as_bytes()),
        };
        let asked = Asked { project: Some(project), text: None, principal: None };
        self.read_guarded(asked, move |database| {
            read_bodies(&mut database.prepare_cached(sql)?, params![project.as_bytes(), id, limit])
        })
        .await
    }

    async fn resolve_binding(&self, project: ProjectId, text: &str) -> Result<Binding, StoreError> {
        const RESOLVE: &str = "SELECT body FROM bindings WHERE project = ?1 AND id BETWEEN ?2 AND ?3 LIMIT 2";
        let (low, high) = id_range(text).ok_or(StoreError::NotFound)?;
        self.read_one(Asked::text(project, text), move |database| {
            only(read_bodies(&mut database.prepare_cached(RESOLVE)?, params![project.as_bytes(), low, high])?)
        })
        .await
    }

    async fn bindings(&self, project: ProjectId, page: &PageAsk) -> Result<Page<Binding>, StoreError> {
        let page = page.clone();
        self.browse(move |database| list(database, project, &page)).await
    }

    async fn binding(&self, project: ProjectId, id: BindingId) -> Result<Binding, StoreError> {
        const FIND: &str = "SELECT body FROM bindings WHERE project = ?1 AND id = ?2";
        self.read_one(Asked::id(project, id), move |database| {
            let bound = params![project.as_bytes(), id.as_bytes()];
            let body: String = database.prepare_cached(FIND)?.query_row(bound, |row| row.get(0))?;
            from_body(&body)
        })
        .await
    }
}

fn list(database: &Database, project: ProjectId, page: &PageAsk) -> Result<Page<Binding>, StoreError> {
    const LIST: &str = "SELECT body FROM bindings WHERE project = ?1 AND (created_at, id) > (?2, ?3) \
                        ORDER BY created_at, id LIMIT ?4";
    let (at, id) = page.after.as_deref().map_or(Ok((i64::MIN, [0; 16])), parse_time_key)?;
    let bound = params![project.as_bytes(), at, id, rows_for(page)];
    let items = read_bodies(&mut database.prepare_cached(LIST)?, bound)?;
    Ok(page_of(items, page, |binding: &Binding| time_key(binding.created_at, binding.id.as_bytes())))
}

pub(super) fn insert(work: &mut Work<'_>, binding: &Binding) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO bindings \
                          (id, project, principal, connector, component, owner, expires_at, created_at, body) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    named::find::<Principal>(work.database, binding.project, binding.principal.as_bytes())?;
    check_target(work, binding)?;
    check_count(work, binding)?;
    check_roles(work, binding)?;
    work.count_one(binding.project, NOUN)?;
    let (connector, component) = match binding.target {
        BindingTarget::Project => (None, None),
        BindingTarget::Connector(id) => (Some(*id.as_bytes()), None),
        BindingTarget::Component(id) => (None, Some(*id.as_bytes())),
    };
    work.database.prepare_cached(INSERT)?.execute(params![
        binding.id.as_bytes(),
        binding.project.as_bytes(),
        binding.principal.as_bytes(),
        connector,
        component,
        binding.role == Role::Owner && binding.target == BindingTarget::Project,
        binding.conditions.expires_at.map(Timestamp::millis),
        binding.created_at.millis(),
        to_body(binding)?,
    ])?;
    work.changed(binding.project, NOUN, binding.id);
    Ok(())
}

/// A target in another project is none.
fn check_target(work: &Work<'_>, binding: &Binding) -> Result<(), Failure> {
    match binding.target {
        BindingTarget::Project => {}
        BindingTarget::Connector(id) => {
            named::find::<Connector>(work.database, binding.project, id.as_bytes())?;
        }
        BindingTarget::Component(id) => {
            named::find::<Component>(work.database, binding.project, id.as_bytes())?;
        }
    }
    Ok(())
}

fn check_count(work: &Work<'_>, binding: &Binding) -> Result<(), Failure> {
    const COUNT: &str = "SELECT count(*) FROM bindings WHERE principal = ?1";
    let held: u32 = work.database.prepare_cached(COUNT)?.query_row([binding.principal.as_bytes()], |row| row.get(0))?;
    if held < BINDINGS_MAX { Ok(()) } else { Err(StoreError::TooMany { limit: BINDINGS_MAX }.into()) }
}

/// Here and not before the transaction: of two owners who give the two roles at
/// once, one comes second.
fn check_roles(work: &Work<'_>, binding: &Binding) -> Result<(), Failure> {
    const LIVE: &str = "SELECT body FROM bindings WHERE project = ?1 AND principal = ?2 \
                        AND (expires_at IS NULL OR expires_at > ?3)";
    if Role::ALL.into_iter().all(|role| !role.goes_apart_from(binding.role)) {
        return Ok(());
    }
    let bound = params![binding.project.as_bytes(), binding.principal.as_bytes(), work.now.millis()];
    let held: Vec<Binding> = read_bodies(&mut work.database.prepare_cached(LIVE)?, bound)?;
    match held.into_iter().find(|other| other.role.goes_apart_from(binding.role)) {
        Some(other) => Err(StoreError::Roles(RoleRule::Apart(other.role)).into()),
        None => Ok(()),
    }
}

pub(super) fn delete(work: &mut Work<'_>, project: ProjectId, id: BindingId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM bindings WHERE project = ?1 AND id = ?2 RETURNING id, owner, expires_at";
    let gone = take(&mut work.database.prepare_cached(DELETE)?, params![project.as_bytes(), id.as_bytes()])?;
    if gone.is_empty() {
        return Err(StoreError::NotFound.into());
    }
    tell(work, project, gone)
}

pub(super) fn delete_of_principal(work: &mut Work<'_>, project: ProjectId, id: PrincipalId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM bindings WHERE project = ?1 AND principal = ?2 RETURNING id, owner, expires_at";
    let gone = take(&mut work.database.prepare_cached(DELETE)?, params![project.as_bytes(), id.as_bytes()])?;
    tell(work, project, gone)
}

pub(super) fn delete_on_connector(work: &mut Work<'_>, project: ProjectId, id: ConnectorId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM bindings WHERE project = ?1 AND connector = ?2 RETURNING id, owner, expires_at";
    let gone = take(&mut work.database.prepare_cached(DELETE)?, params![project.as_bytes(), id.as_bytes()])?;
    tell(work, project, gone)
}

pub(super) fn delete_on_component(work: &mut Work<'_>, project: ProjectId, id: ComponentId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM bindings WHERE project = ?1 AND component = ?2 RETURNING id, owner, expires_at";
    let gone = take(&mut work.database.prepare_cached(DELETE)?, params![project.as_bytes(), id.as_bytes()])?;
    tell(work, project, gone)
}

struct Gone {
    id: BindingId,
    owner: bool,
    expires_at: Option<i64>,
}

fn take(statement: &mut CachedStatement<'_>, bound: impl Params) -> Result<Vec<Gone>, Failure> {
    let gone: rusqlite::Result<Vec<Gone>> = statement
        .query_map(bound, |row| {
            Ok(Gone { id: BindingId::from_bytes(row.get(0)?), owner: row.get(1)?, expires_at: row.get(2)? })
        })?
        .collect();
    Ok(gone?)
}

fn tell(work: &mut Work<'_>, project: ProjectId, gone: Vec<Gone>) -> Result<(), Failure> {
    for binding in gone {
        work.uncount_one(project, NOUN)?;
        work.changed(project, NOUN, binding.id);
        // One that had expired already was nobody's power.
        if binding.owner && binding.expires_at.is_none_or(|at| at > work.now.millis()) {
            work.owner_gone(project);
        }
    }
    Ok(())
}

/// After all writes: a project that lost an owner must have one left.
pub(super) fn check_owner(work: &Work<'_>, project: ProjectId) -> Result<(), Failure> {
    // One that ends does not count: the project would be without an owner then.
    const OWNED: &str =
        "SELECT EXISTS (SELECT 1 FROM bindings WHERE project = ?1 AND owner = 1 AND expires_at IS NULL)";
    let bound = params![project.as_bytes()];
    let owned: bool = work.database.prepare_cached(OWNED)?.query_row(bound, |row| row.get(0))?;
    if owned { Ok(()) } else { Err(StoreError::Roles(RoleRule::LastOwner).into()) }
}

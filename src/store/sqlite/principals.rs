//! Users and service accounts.

use async_trait::async_trait;
use rusqlite::{Connection as Database, params};

use crate::domain::{Labels, Name, Page, PageAsk, Principal, PrincipalId, PrincipalKind, ProjectId};
use crate::store::{Principals, StoreError};

use super::columns::{rows_for, to_body};
use super::failure::Failure;
use super::guarded::Asked;
use super::named::{self, Named, NamedSql, named_sql};
use super::work::Work;
use super::{SqliteStore, bindings, tokens};

impl Named for Principal {
    const NOUN: &'static str = "principal";
    const SQL: NamedSql = named_sql!("principals");
    fn project(&self) -> ProjectId {
        self.project
    }
    fn name(&self) -> &Name {
        &self.name
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
}

#[async_trait]
impl Principals for SqliteStore {
    async fn principal(&self, project: ProjectId, id: PrincipalId) -> Result<Principal, StoreError> {
        self.read_one(Asked::id(project, id), move |database| named::find(database, project, id.as_bytes())).await
    }

    async fn resolve_principal(&self, project: ProjectId, text: &str) -> Result<Principal, StoreError> {
        let text = text.to_owned();
        self.read_one(Asked::text(project, &text), move |database| named::resolve(database, project, &text)).await
    }

    async fn principals(
        &self,
        project: ProjectId,
        kind: Option<PrincipalKind>,
        page: &PageAsk,
    ) -> Result<Page<Principal>, StoreError> {
        let page = page.clone();
        self.browse(move |database| list(database, project, kind, &page)).await
    }
}

fn list(
    database: &Database,
    project: ProjectId,
    kind: Option<PrincipalKind>,
    page: &PageAsk,
) -> Result<Page<Principal>, StoreError> {
    const LIST: &str = "SELECT body FROM principals WHERE project = ?1 AND name > ?2 \
                        AND (?4 IS NULL OR kind = ?4) ORDER BY name LIMIT ?3";
    let bound = params![project.as_bytes(), named::after(page), rows_for(page), kind.map(PrincipalKind::as_str)];
    named::page_by_name(database.prepare_cached(LIST)?, bound, page)
}

pub(super) fn insert(work: &mut Work<'_>, principal: &Principal) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO principals (id, project, name, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    work.count_one(principal.project, Principal::NOUN)?;
    work.database.prepare_cached(INSERT)?.execute(params![
        principal.id.as_bytes(),
        principal.project.as_bytes(),
        principal.name.as_str(),
        principal.kind.as_str(),
        to_body(principal)?,
    ])?;
    work.changed(principal.project, Principal::NOUN, principal.id);
    Ok(())
}

pub(super) fn delete(work: &mut Work<'_>, project: ProjectId, id: PrincipalId) -> Result<(), Failure> {
    tokens::delete_of_principal(work, project, id)?;
    bindings::delete_of_principal(work, project, id)?;
    named::delete::<Principal>(work.database, project, id.as_bytes())?;
    work.uncount_one(project, Principal::NOUN)?;
    work.changed(project, Principal::NOUN, id);
    Ok(())
}

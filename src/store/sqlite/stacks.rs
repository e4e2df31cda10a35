//! Stacks and the components they name.

use async_trait::async_trait;
use rusqlite::{Connection as Database, named_params, params};

use crate::domain::{Component, ComponentId, Labels, Name, Page, PageAsk, ProjectId, Stack, StackId, Version};
use crate::store::limits::LINKED_NAMES_MAX;
use crate::store::{Stacks, StoreError};

use super::SqliteStore;
use super::columns::{rows_for, signed, to_body};
use super::components::read_names;
use super::failure::Failure;
use super::guarded::Asked;
use super::named::{self, Named, NamedSql, Versioned, WantedLabels, named_sql};
use super::work::Work;

impl Named for Stack {
    const NOUN: &'static str = "stack";
    const SQL: NamedSql = named_sql!("stacks");
    fn project(&self) -> ProjectId {
        self.project
    }
    fn name(&self) -> &Name {
        &self.name
    }
    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }
}

impl Versioned for Stack {
    fn version(&self) -> Version {
        self.version
    }
}

#[async_trait]
impl Stacks for SqliteStore {
    async fn stack(&self, project: ProjectId, id: StackId) -> Result<Stack, StoreError> {
        self.read_one(Asked::id(project, id), move |database| named::find(database, project, id.as_bytes())).await
    }

    async fn resolve_stack(&self, project: ProjectId, text: &str) -> Result<Stack, StoreError> {
        let text = text.to_owned();
        self.read_one(Asked::text(project, &text), move |database| named::resolve(database, project, &text)).await
    }

    async fn stacks(&self, project: ProjectId, labels: &Labels, page: &PageAsk) -> Result<Page<Stack>, StoreError> {
        let (labels, page) = (labels.clone(), page.clone());
        self.browse(move |database| list(database, project, &labels, &page)).await
    }
}

fn list(database: &Database, project: ProjectId, labels: &Labels, page: &PageAsk) -> Result<Page<Stack>, StoreError> {
    const ALL: &str = "SELECT body FROM stacks WHERE project = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    const LABELLED: &str = "SELECT r.body FROM labels f CROSS JOIN stacks r \
                            WHERE f.project = :project AND f.noun = 'stack' AND f.key = :key AND f.value = :value \
                            AND f.name > :after AND r.project = :project AND r.name = f.name \
                            AND NOT EXISTS (SELECT 1 FROM json_each(:all) w WHERE NOT EXISTS \
                                (SELECT 1 FROM labels l WHERE l.project = :project AND l.noun = 'stack' \
                                 AND l.key = w.key AND l.value = w.value AND l.name = f.name)) \
                            ORDER BY f.name LIMIT :rows";
    let Some(wanted) = WantedLabels::of(labels)? else {
        let bound = params![project.as_bytes(), named::after(page), rows_for(page)];
        return named::page_by_name(database.prepare_cached(ALL)?, bound, page);
    };
    let bound = named_params! {
        ":project": project.as_bytes(), ":key": wanted.key, ":value": wanted.value, ":all": wanted.all,
        ":after": named::after(page), ":rows": rows_for(page),
    };
    named::page_by_name(database.prepare_cached(LABELLED)?, bound, page)
}

/// Which stacks name a component: the first names only.
pub(super) fn names_with(
    database: &Database,
    project: ProjectId,
    component: ComponentId,
) -> Result<Vec<Name>, StoreError> {
    const NAMES: &str = "SELECT s.name FROM stack_components c JOIN stacks s ON s.id = c.stack \
                         WHERE c.component = ?2 AND s.project = ?1 ORDER BY s.name LIMIT ?3";
    let mut statement = database.prepare_cached(NAMES)?;
    read_names(&mut statement, params![project.as_bytes(), component.as_bytes(), LINKED_NAMES_MAX])
}

pub(super) fn insert(work: &mut Work<'_>, stack: &Stack) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO stacks (id, project, name, version, body) VALUES (?2, ?1, ?3, ?4, ?5)";
    work.count_one(stack.project, Stack::NOUN)?;
    write(work, INSERT, stack)?;
    named::relabel(work.database, None, Some(stack))
}

pub(super) fn update(work: &mut Work<'_>, stack: &Stack, expected: Version) -> Result<(), Failure> {
    const UPDATE: &str = "UPDATE stacks SET name = ?3, version = ?4, body = ?5 WHERE project = ?1 AND id = ?2";
    let old = named::replaced_by(work.database, stack, stack.id.as_bytes(), expected)?;
    unlink(work, stack.id)?;
    write(work, UPDATE, stack)?;
    named::relabel(work.database, Some(&old), Some(stack))
}

pub(super) fn delete(work: &mut Work<'_>, project: ProjectId, id: StackId, expected: Version) -> Result<(), Failure> {
    let old: Stack = named::at_version(work.database, project, id.as_bytes(), expected)?;
    unlink(work, id)?;
    named::relabel(work.database, Some(&old), None)?;
    named::delete::<Stack>(work.database, project, id.as_bytes())?;
    work.uncount_one(project, Stack::NOUN)?;
    work.changed(project, Stack::NOUN, id);
    Ok(())
}

fn write(work: &mut Work<'_>, sql: &'static str, stack: &Stack) -> Result<(), Failure> {
    const LINK: &str = "INSERT OR IGNORE INTO stack_components (stack, component) VALUES (?1, ?2)";
    work.database.prepare_cached(sql)?.execute(params![
        stack.project.as_bytes(),
        stack.id.as_bytes(),
        stack.name.as_str(),
        signed(stack.version.0),
        to_body(stack)?,
    ])?;
    for component in &stack.components {
        // A component of another project is none.
        named::find::<Component>(work.database, stack.project, component.as_bytes())?;
        work.database.prepare_cached(LINK)?.execute(params![stack.id.as_bytes(), component.as_bytes()])?;
    }
    work.changed(stack.project, Stack::NOUN, stack.id);
    Ok(())
}

fn unlink(work: &Work<'_>, id: StackId) -> Result<(), Failure> {
    work.database.prepare_cached("DELETE FROM stack_components WHERE stack = ?1")?.execute([id.as_bytes()])?;
    Ok(())
}

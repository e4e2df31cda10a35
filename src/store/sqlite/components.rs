//! Components and what they link to.

use async_trait::async_trait;
use rusqlite::{Connection as Database, named_params, params};

use crate::domain::{Component, ComponentId, Connector, ConnectorId, Labels, Name, Page, PageAsk, ProjectId, Version};
use crate::store::limits::LINKED_NAMES_MAX;
use crate::store::{Components, StoreError};

use super::columns::{rows_for, signed, to_body};
use super::failure::Failure;
use super::guarded::Asked;
use super::named::{self, Named, NamedSql, Versioned, WantedLabels, named_sql};
use super::work::Work;
use super::{SqliteStore, bindings, stacks};

impl Named for Component {
    const NOUN: &'static str = "component";
    const SQL: NamedSql = named_sql!("components");
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

impl Versioned for Component {
    fn version(&self) -> Version {
        self.version
    }
}

/// Which components are wished for.
struct Wish {
    project: ProjectId,
    component_type: Option<Name>,
    connector: Option<ConnectorId>,
    labels: Labels,
    page: PageAsk,
}

#[async_trait]
impl Components for SqliteStore {
    async fn component(&self, project: ProjectId, id: ComponentId) -> Result<Component, StoreError> {
        self.read_one(Asked::id(project, id), move |database| named::find(database, project, id.as_bytes())).await
    }

    async fn resolve_component(&self, project: ProjectId, text: &str) -> Result<Component, StoreError> {
        let text = text.to_owned();
        self.read_one(Asked::text(project, &text), move |database| named::resolve(database, project, &text)).await
    }

    async fn components(
        &self,
        project: ProjectId,
        component_type: Option<&Name>,
        connector: Option<ConnectorId>,
        labels: &Labels,
        page: &PageAsk,
    ) -> Result<Page<Component>, StoreError> {
        let component_type = component_type.cloned();
        let wish = Wish { project, component_type, connector, labels: labels.clone(), page: page.clone() };
        self.browse(move |database| list(database, &wish)).await
    }
}

fn list(database: &Database, wish: &Wish) -> Result<Page<Component>, StoreError> {
    const ALL: &str = "SELECT body FROM components WHERE project = ?1 AND name > ?2 \
                       AND (?4 IS NULL OR component_type = ?4) ORDER BY name LIMIT ?3";
    const LINKED: &str = "SELECT body FROM components WHERE connector = ?5 AND name > ?2 AND project = ?1 \
                          AND (?4 IS NULL OR component_type = ?4) ORDER BY name LIMIT ?3";
    let (project, after, rows) = (wish.project.as_bytes(), named::after(&wish.page), rows_for(&wish.page));
    let type_name = wish.component_type.as_ref().map(Name::as_str);
    match (WantedLabels::of(&wish.labels)?, wish.connector) {
        (Some(wanted), _) => list_labelled(database, wish, &wanted),
        (None, Some(connector)) => {
            let bound = params![project, after, rows, type_name, connector.as_bytes()];
            named::page_by_name(database.prepare_cached(LINKED)?, bound, &wish.page)
        }
        (None, None) => {
            named::page_by_name(database.prepare_cached(ALL)?, params![project, after, rows, type_name], &wish.page)
        }
    }
}

fn list_labelled(database: &Database, wish: &Wish, wanted: &WantedLabels) -> Result<Page<Component>, StoreError> {
    const LIST: &str = "SELECT r.body FROM labels f CROSS JOIN components r \
                        WHERE f.project = :project AND f.noun = 'component' AND f.key = :key AND f.value = :value \
                        AND f.name > :after AND r.project = :project AND r.name = f.name \
                        AND (:type IS NULL OR r.component_type = :type) \
                        AND (:connector IS NULL OR r.connector = :connector) \
                        AND NOT EXISTS (SELECT 1 FROM json_each(:all) w WHERE NOT EXISTS \
                            (SELECT 1 FROM labels l WHERE l.project = :project AND l.noun = 'component' \
                             AND l.key = w.key AND l.value = w.value AND l.name = f.name)) \
                        ORDER BY f.name LIMIT :rows";
    let bound = named_params! {
        ":project": wish.project.as_bytes(), ":key": wanted.key, ":value": wanted.value, ":all": wanted.all,
        ":after": named::after(&wish.page), ":type": wish.component_type.as_ref().map(Name::as_str),
        ":connector": wish.connector.map(|id| *id.as_bytes()), ":rows": rows_for(&wish.page),
    };
    named::page_by_name(database.prepare_cached(LIST)?, bound, &wish.page)
}

/// Who links to a connector: the first names only.
pub(super) fn names_linked_to(
    database: &Database,
    project: ProjectId,
    connector: ConnectorId,
) -> Result<Vec<Name>, StoreError> {
    const NAMES: &str = "SELECT name FROM components WHERE connector = ?2 AND project = ?1 ORDER BY name LIMIT ?3";
    let mut statement = database.prepare_cached(NAMES)?;
    read_names(&mut statement, params![project.as_bytes(), connector.as_bytes(), LINKED_NAMES_MAX])
}

pub(super) fn read_names(
    statement: &mut rusqlite::CachedStatement<'_>,
    bound: impl rusqlite::Params,
) -> Result<Vec<Name>, StoreError> {
    let name = |row: &rusqlite::Row<'_>| -> Result<Name, StoreError> {
        row.get::<_, String>(0)?.parse().map_err(|_| StoreError::Corrupt { what: "a name" })
    };
    statement.query_and_then(bound, name)?.collect()
}

/// A link to a connector of another project is one to nothing.
fn check_link(work: &Work<'_>, component: &Component) -> Result<(), Failure> {
    let Some(link) = &component.link else { return Ok(()) };
    named::find::<Connector>(work.database, component.project, link.connector.as_bytes())?;
    Ok(())
}

pub(super) fn insert(work: &mut Work<'_>, component: &Component) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO components (id, project, name, component_type, connector, version, body) \
                          VALUES (?2, ?1, ?3, ?4, ?5, ?6, ?7)";
    work.count_one(component.project, Component::NOUN)?;
    write(work, INSERT, component)?;
    named::relabel(work.database, None, Some(component))
}

pub(super) fn update(work: &mut Work<'_>, component: &Component, expected: Version) -> Result<(), Failure> {
    const UPDATE: &str = "UPDATE components SET name = ?3, component_type = ?4, connector = ?5, version = ?6, \
                          body = ?7 WHERE project = ?1 AND id = ?2";
    let old = named::replaced_by(work.database, component, component.id.as_bytes(), expected)?;
    write(work, UPDATE, component)?;
    named::relabel(work.database, Some(&old), Some(component))
}

fn write(work: &mut Work<'_>, sql: &'static str, component: &Component) -> Result<(), Failure> {
    check_link(work, component)?;
    work.database.prepare_cached(sql)?.execute(params![
        component.project.as_bytes(),
        component.id.as_bytes(),
        component.name.as_str(),
        component.component_type.as_str(),
        component.link.as_ref().map(|link| *link.connector.as_bytes()),
        signed(component.version.0),
        to_body(component)?,
    ])?;
    work.changed(component.project, Component::NOUN, component.id);
    Ok(())
}

pub(super) fn delete(
    work: &mut Work<'_>,
    project: ProjectId,
    id: ComponentId,
    expected: Version,
) -> Result<(), Failure> {
    let old: Component = named::at_version(work.database, project, id.as_bytes(), expected)?;
    let by = stacks::names_with(work.database, project, id)?;
    if !by.is_empty() {
        return Err(StoreError::Linked { by }.into());
    }
    bindings::delete_on_component(work, project, id)?;
    named::relabel(work.database, Some(&old), None)?;
    named::delete::<Component>(work.database, project, id.as_bytes())?;
    work.uncount_one(project, Component::NOUN)?;
    work.changed(project, Component::NOUN, id);
    Ok(())
}

//! Connectors and their sealed source credentials.

use async_trait::async_trait;
use rusqlite::{Connection as Database, named_params, params};

use crate::domain::{
    Connector, ConnectorId, ConnectorTypeName, Labels, Name, Page, PageAsk, ProjectId, SecretFieldName, Version,
};
use crate::sealing::{Sealed, SealedCredential};
use crate::store::{Connectors, StoreError};

use super::columns::{rows_for, signed, to_body, unsigned};
use super::failure::Failure;
use super::guarded::Asked;
use super::named::{self, Named, NamedSql, Versioned, WantedLabels, named_sql};
use super::work::Work;
use super::{SqliteStore, bindings, components};

impl Named for Connector {
    const NOUN: &'static str = "connector";
    const SQL: NamedSql = named_sql!("connectors");
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

impl Versioned for Connector {
    fn version(&self) -> Version {
        self.version
    }
}

#[async_trait]
impl Connectors for SqliteStore {
    async fn connector(&self, project: ProjectId, id: ConnectorId) -> Result<Connector, StoreError> {
        self.read_one(Asked::id(project, id), move |database| named::find(database, project, id.as_bytes())).await
    }

    async fn resolve_connector(&self, project: ProjectId, text: &str) -> Result<Connector, StoreError> {
        let text = text.to_owned();
        self.read_one(Asked::text(project, &text), move |database| named::resolve(database, project, &text)).await
    }

    async fn connectors(
        &self,
        project: ProjectId,
        connector_type: Option<&ConnectorTypeName>,
        labels: &Labels,
        page: &PageAsk,
    ) -> Result<Page<Connector>, StoreError> {
        let (connector_type, labels, page) = (connector_type.cloned(), labels.clone(), page.clone());
        self.browse(move |database| list(database, project, connector_type.as_ref(), &labels, &page)).await
    }

    async fn sealed_credential(&self, project: ProjectId, id: ConnectorId) -> Result<SealedCredential, StoreError> {
        self.read(move |database| sealed(database, project, id)).await
    }
}

fn list(
    database: &Database,
    project: ProjectId,
    connector_type: Option<&ConnectorTypeName>,
    labels: &Labels,
    page: &PageAsk,
) -> Result<Page<Connector>, StoreError> {
    const ALL: &str = "SELECT body FROM connectors WHERE project = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    const OF_TYPE: &str = "SELECT body FROM connectors WHERE project = ?1 AND name > ?2 AND connector_type = ?4 \
                           ORDER BY name LIMIT ?3";
    let (after, rows) = (named::after(page), rows_for(page));
    let type_name = connector_type.map(ConnectorTypeName::as_str);
    match (WantedLabels::of(labels)?, type_name) {
        (Some(wanted), _) => list_labelled(database, project, type_name, &wanted, page),
        (None, Some(type_name)) => {
            let bound = params![project.as_bytes(), after, rows, type_name];
            named::page_by_name(database.prepare_cached(OF_TYPE)?, bound, page)
        }
        (None, None) => {
            named::page_by_name(database.prepare_cached(ALL)?, params![project.as_bytes(), after, rows], page)
        }
    }
}

fn list_labelled(
    database: &Database,
    project: ProjectId,
    type_name: Option<&str>,
    wanted: &WantedLabels,
    page: &PageAsk,
) -> Result<Page<Connector>, StoreError> {
    const LIST: &str = "SELECT r.body FROM labels f CROSS JOIN connectors r \
                        WHERE f.project = :project AND f.noun = 'connector' AND f.key = :key AND f.value = :value \
                        AND f.name > :after AND r.project = :project AND r.name = f.name \
                        AND (:type IS NULL OR r.connector_type = :type) \
                        AND NOT EXISTS (SELECT 1 FROM json_each(:all) w WHERE NOT EXISTS \
                            (SELECT 1 FROM labels l WHERE l.project = :project AND l.noun = 'connector' \
                             AND l.key = w.key AND l.value = w.value AND l.name = f.name)) \
                        ORDER BY f.name LIMIT :rows";
    let bound = named_params! {
        ":project": project.as_bytes(), ":key": wanted.key, ":value": wanted.value, ":all": wanted.all,
        ":after": named::after(page), ":type": type_name, ":rows": rows_for(page),
    };
    named::page_by_name(database.prepare_cached(LIST)?, bound, page)
}

fn sealed(database: &Database, project: ProjectId, id: ConnectorId) -> Result<SealedCredential, StoreError> {
    const SEALED: &str = "SELECT field, sealed, secret_version FROM sealed_fields \
                          WHERE connector = ?2 AND project = ?1 ORDER BY position";
    let mut statement = database.prepare_cached(SEALED)?;
    let mut rows = statement.query(params![project.as_bytes(), id.as_bytes()])?;
    let mut credential = SealedCredential { secret_version: 0, fields: Vec::new() };
    while let Some(row) = rows.next()? {
        let field = SecretFieldName::parse(&row.get::<_, String>(0)?)
            .map_err(|_| StoreError::Corrupt { what: "the name of a sealed field" })?;
        credential.fields.push((field, Sealed::from_stored(row.get(1)?)));
        credential.secret_version = unsigned(row.get(2)?);
    }
    if credential.fields.is_empty() {
        // No such connector, or one whose method has no secret.
        credential.secret_version = named::find::<Connector>(database, project, id.as_bytes())?.secret.version;
    }
    Ok(credential)
}

pub(super) fn insert(work: &mut Work<'_>, connector: &Connector, sealed: &SealedCredential) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO connectors (id, project, name, connector_type, version, body) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    work.count_one(connector.project, Connector::NOUN)?;
    work.database.prepare_cached(INSERT)?.execute(params![
        connector.id.as_bytes(),
        connector.project.as_bytes(),
        connector.name.as_str(),
        connector.connector_type.as_str(),
        signed(connector.version.0),
        to_body(connector)?,
    ])?;
    insert_sealed(work, connector, sealed)?;
    named::relabel(work.database, None, Some(connector))?;
    work.changed(connector.project, Connector::NOUN, connector.id);
    Ok(())
}

pub(super) fn update(
    work: &mut Work<'_>,
    connector: &Connector,
    expected: Version,
    sealed: Option<&SealedCredential>,
) -> Result<(), Failure> {
    const UPDATE: &str = "UPDATE connectors SET name = ?3, connector_type = ?4, version = ?5, body = ?6 \
                          WHERE project = ?1 AND id = ?2";
    let old = named::replaced_by(work.database, connector, connector.id.as_bytes(), expected)?;
    work.database.prepare_cached(UPDATE)?.execute(params![
        connector.project.as_bytes(),
        connector.id.as_bytes(),
        connector.name.as_str(),
        connector.connector_type.as_str(),
        signed(connector.version.0),
        to_body(connector)?,
    ])?;
    if let Some(sealed) = sealed {
        delete_sealed(work, connector.project, connector.id)?;
        insert_sealed(work, connector, sealed)?;
    }
    named::relabel(work.database, Some(&old), Some(connector))?;
    work.changed(connector.project, Connector::NOUN, connector.id);
    Ok(())
}

pub(super) fn delete(
    work: &mut Work<'_>,
    project: ProjectId,
    id: ConnectorId,
    expected: Version,
) -> Result<(), Failure> {
    let old: Connector = named::at_version(work.database, project, id.as_bytes(), expected)?;
    let by = components::names_linked_to(work.database, project, id)?;
    if !by.is_empty() {
        return Err(StoreError::Linked { by }.into());
    }
    bindings::delete_on_connector(work, project, id)?;
    delete_sealed(work, project, id)?;
    named::relabel(work.database, Some(&old), None)?;
    named::delete::<Connector>(work.database, project, id.as_bytes())?;
    work.uncount_one(project, Connector::NOUN)?;
    work.changed(project, Connector::NOUN, id);
    Ok(())
}

fn insert_sealed(work: &Work<'_>, connector: &Connector, sealed: &SealedCredential) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO sealed_fields (connector, position, project, field, secret_version, sealed) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for (position, (field, value)) in sealed.fields.iter().enumerate() {
        work.database.prepare_cached(INSERT)?.execute(params![
            connector.id.as_bytes(),
            signed(position as u64),
            connector.project.as_bytes(),
            field.as_str(),
            signed(sealed.secret_version),
            value.as_bytes(),
        ])?;
    }
    Ok(())
}

/// What is deleted is overwritten, and the log is emptied after the commit.
fn delete_sealed(work: &mut Work<'_>, project: ProjectId, id: ConnectorId) -> Result<(), Failure> {
    const DELETE: &str = "DELETE FROM sealed_fields WHERE project = ?1 AND connector = ?2";
    work.database.prepare_cached(DELETE)?.execute(params![project.as_bytes(), id.as_bytes()])?;
    work.shred = true;
    Ok(())
}

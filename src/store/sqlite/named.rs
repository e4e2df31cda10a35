//! What all nouns with names share: to find by id, name or prefix, to check
//! the version, to keep labels beside the names.
//!
//! Each noun's statements are constants of its table; nothing is glued at run
//! time. Every statement names the project.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{Labels, Name, Page, PageAsk, ProjectId, Version};
use crate::store::StoreError;

use super::columns::{from_body, id_range, only, page_of, whole_id};
use super::failure::Failure;

/// The statements of one table.
pub(super) struct NamedSql {
    pub(super) by_id: &'static str,
    pub(super) by_name: &'static str,
    pub(super) by_prefix: &'static str,
    pub(super) delete: &'static str,
}

macro_rules! named_sql {
    ($table:literal) => {
        $crate::store::sqlite::named::NamedSql {
            by_id: concat!("SELECT body FROM ", $table, " WHERE project = ?1 AND id = ?2"),
            by_name: concat!("SELECT body FROM ", $table, " WHERE project = ?1 AND name = ?2"),
            by_prefix: concat!("SELECT body FROM ", $table, " WHERE project = ?1 AND id BETWEEN ?2 AND ?3 LIMIT 2"),
            delete: concat!("DELETE FROM ", $table, " WHERE project = ?1 AND id = ?2"),
        }
    };
}
pub(super) use named_sql;

/// A record with a name that is unique in its project.
pub(super) trait Named: Serialize + DeserializeOwned {
    const NOUN: &'static str;
    const SQL: NamedSql;
    fn project(&self) -> ProjectId;
    fn name(&self) -> &Name;
    /// Nothing for nouns without labels.
    fn labels(&self) -> Option<&Labels>;
}

/// A record that is updated.
pub(super) trait Versioned: Named {
    fn version(&self) -> Version;
}

pub(super) fn find<T: Named>(connection: &Connection, project: ProjectId, id: &[u8; 16]) -> Result<T, StoreError> {
    let mut statement = connection.prepare_cached(T::SQL.by_id)?;
    let body: String = statement.query_row(params![project.as_bytes(), id], |row| row.get(0))?;
    from_body(&body)
}

/// A whole id goes first: a record that is called like the id of another one
/// leads nobody to it who means that. The beginning of an id goes last:
/// somebody may call a record `beef`.
pub(super) fn resolve<T: Named>(connection: &Connection, project: ProjectId, text: &str) -> Result<T, StoreError> {
    if let Some(id) = whole_id(text) {
        match find(connection, project, &id) {
            Err(StoreError::NotFound) => {}
            found => return found,
        }
    }
    if text.parse::<Name>().is_ok() {
        let mut statement = connection.prepare_cached(T::SQL.by_name)?;
        let named = statement.query_row(params![project.as_bytes(), text], |row| row.get::<_, String>(0)).optional()?;
        if let Some(body) = named {
            return from_body(&body);
        }
    }
    let (low, high) = id_range(text).ok_or(StoreError::NotFound)?;
    let mut statement = connection.prepare_cached(T::SQL.by_prefix)?;
    only(read_bodies(&mut statement, params![project.as_bytes(), low, high])?)
}

/// The record, when it is still at `expected`.
pub(super) fn at_version<T: Versioned>(
    connection: &Connection,
    project: ProjectId,
    id: &[u8; 16],
    expected: Version,
) -> Result<T, Failure> {
    let current: T = find(connection, project, id)?;
    if current.version() == expected { Ok(current) } else { Err(StoreError::Stale.into()) }
}

/// The record that `new` replaces. The caller must hand in the version after
/// `expected`: anything else was computed from another record.
pub(super) fn replaced_by<T: Versioned>(
    connection: &Connection,
    new: &T,
    id: &[u8; 16],
    expected: Version,
) -> Result<T, Failure> {
    if new.version() != expected.next() {
        return Err(StoreError::Stale.into());
    }
    at_version(connection, new.project(), id, expected)
}

pub(super) fn delete<T: Named>(connection: &Connection, project: ProjectId, id: &[u8; 16]) -> Result<(), Failure> {
    let deleted = connection.prepare_cached(T::SQL.delete)?.execute(params![project.as_bytes(), id])?;
    if deleted == 1 { Ok(()) } else { Err(StoreError::NotFound.into()) }
}

/// Takes the labels of `old` away and puts those of `new` there.
pub(super) fn relabel<T: Named>(connection: &Connection, old: Option<&T>, new: Option<&T>) -> Result<(), Failure> {
    const DELETE: &str =
        "DELETE FROM labels WHERE project = ?1 AND noun = ?2 AND key = ?3 AND value = ?4 AND name = ?5";
    const INSERT: &str = "INSERT INTO labels (project, noun, key, value, name) VALUES (?1, ?2, ?3, ?4, ?5)";
    for (record, sql) in [(old, DELETE), (new, INSERT)] {
        let Some(record) = record else { continue };
        for (key, value) in record.labels().into_iter().flat_map(Labels::pairs) {
            let project = record.project();
            let bound = params![project.as_bytes(), T::NOUN, key, value, record.name().as_str()];
            connection.prepare_cached(sql)?.execute(bound)?;
        }
    }
    Ok(())
}

/// The first wanted label, which a listing walks along, and all as JSON,
/// which it checks.
pub(super) struct WantedLabels {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) all: String,
}

impl WantedLabels {
    pub(super) fn of(labels: &Labels) -> Result<Option<Self>, StoreError> {
        let Some((key, value)) = labels.pairs().first_key_value() else { return Ok(None) };
        let all = super::columns::to_body(labels)?;
        Ok(Some(Self { key: key.clone(), value: value.clone(), all }))
    }
}

/// A page in order of names from a statement whose first column is the body.
pub(super) fn page_by_name<T: Named>(
    mut statement: CachedStatement<'_>,
    bound: impl Params,
    page: &PageAsk,
) -> Result<Page<T>, StoreError> {
    Ok(page_of(read_bodies(&mut statement, bound)?, page, |record: &T| record.name().to_string()))
}

/// Begins before every name.
pub(super) fn after(page: &PageAsk) -> &str {
    page.after.as_deref().unwrap_or_default()
}

pub(super) fn read_bodies<T: DeserializeOwned>(
    statement: &mut CachedStatement<'_>,
    bound: impl Params,
) -> Result<Vec<T>, StoreError> {
    statement.query_and_then(bound, body)?.collect()
}

/// A record from the first column of a row.
pub(super) fn body<T: DeserializeOwned>(row: &Row<'_>) -> Result<T, StoreError> {
    from_body(row.get_ref(0)?.as_str().map_err(|_| StoreError::Corrupt { what: "a record" })?)
}

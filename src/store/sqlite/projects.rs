//! Projects.

use async_trait::async_trait;
use rusqlite::{Connection as Database, Row, params};

use crate::domain::{Name, Project, ProjectId, Timestamp};
use crate::store::{Projects, StoreError};

use super::SqliteStore;
use super::failure::Failure;
use super::guarded::Asked;
use super::work::Work;

pub(super) const NOUN: &str = "project";

#[async_trait]
impl Projects for SqliteStore {
    async fn project_named(&self, name: &Name) -> Result<Project, StoreError> {
        const FIND: &str = "SELECT id, name, created_at FROM projects WHERE name = ?1";
        let name = name.clone();
        let asked = Asked { project: None, text: Some(name.to_string()), principal: None };
        self.read_one(asked, move |database| {
            let mut statement = database.prepare_cached(FIND)?;
            let mut found = statement.query_and_then([name.as_str()], project)?;
            found.next().ok_or(StoreError::NotFound)?
        })
        .await
    }

    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.read_guarded(Asked { project: None, text: None, principal: None }, list).await
    }
}

fn list(database: &Database) -> Result<Vec<Project>, StoreError> {
    const LIST: &str = "SELECT id, name, created_at FROM projects ORDER BY name";
    database.prepare_cached(LIST)?.query_and_then([], project)?.collect()
}

pub(super) fn project(row: &Row<'_>) -> Result<Project, StoreError> {
    Ok(Project {
        id: ProjectId::from_bytes(row.get(0)?),
        name: row.get::<_, String>(1)?.parse().map_err(|_| StoreError::Corrupt { what: "a name" })?,
        created_at: Timestamp::from_millis(row.get(2)?),
    })
}

pub(super) fn insert(work: &mut Work<'_>, project: &Project) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO projects (id, name, created_at) VALUES (?1, ?2, ?3)";
    let bound = params![project.id.as_bytes(), project.name.as_str(), project.created_at.millis()];
    work.database.prepare_cached(INSERT)?.execute(bound)?;
    work.changed(project.id, NOUN, project.id);
    Ok(())
}

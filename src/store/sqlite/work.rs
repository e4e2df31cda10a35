//! One transaction at work: its connection, its time, and what it leaves to
//! be told.

use std::fmt::Display;

use rusqlite::{Connection, params};

use crate::domain::{ProjectId, Timestamp};
use crate::store::{Change, Revision, StoreError};

use super::failure::Failure;
use super::seals::Sealing;

pub(super) struct Work<'a> {
    pub(super) database: &'a Connection,
    pub(super) now: Timestamp,
    pub(super) records_max: u32,
    /// A sealed secret is deleted.
    pub(super) shred: bool,
    pub(super) changes: Vec<Change>,
    /// What is gone and told to nobody: it had ended long before.
    pub(super) forgotten: Vec<(&'static str, String)>,
    pub(super) owners_gone: Vec<ProjectId>,
    revision: Revision,
    sealing: Option<&'a Sealing>,
}

impl<'a> Work<'a> {
    /// `revision` is the one that this transaction gets if it changes
    /// anything.
    pub(super) fn new(
        database: &'a Connection,
        now: Timestamp,
        records_max: u32,
        revision: Revision,
        sealing: Option<&'a Sealing>,
    ) -> Self {
        let (changes, owners_gone, forgotten) = (Vec::new(), Vec::new(), Vec::new());
        Self { database, now, records_max, shred: false, changes, forgotten, owners_gone, revision, sealing }
    }

    pub(super) fn changed(&mut self, project: ProjectId, noun: &'static str, id: impl Display) {
        let change = Change { revision: self.revision, project, noun: noun.to_owned(), id: id.to_string() };
        self.changes.push(change);
    }

    /// A record is gone that nobody needs to hear of.
    pub(super) fn forgotten(&mut self, noun: &'static str, id: impl Display) {
        self.forgotten.push((noun, id.to_string()));
    }

    /// Refuses to change a record that was altered: its seal would hide that.
    pub(super) fn check_seal(&self, noun: &'static str, id: impl Display) -> Result<(), Failure> {
        self.sealing.map_or(Ok(()), |sealing| sealing.check(self.database, noun, &id.to_string()))
    }

    pub(super) fn owner_gone(&mut self, project: ProjectId) {
        if !self.owners_gone.contains(&project) {
            self.owners_gone.push(project);
        }
    }

    /// One record more; refused at the limit.
    pub(super) fn count_one(&self, project: ProjectId, noun: &'static str) -> Result<(), Failure> {
        const COUNT: &str = "INSERT INTO record_counts (project, noun, records) VALUES (?1, ?2, 1) \
                             ON CONFLICT (project, noun) DO UPDATE SET records = records + 1 RETURNING records";
        let bound = params![project.as_bytes(), noun];
        let records: i64 = self.database.prepare_cached(COUNT)?.query_row(bound, |row| row.get(0))?;
        if records > i64::from(self.records_max) {
            return Err(StoreError::TooMany { limit: self.records_max }.into());
        }
        Ok(())
    }

    /// One record less.
    pub(super) fn uncount_one(&self, project: ProjectId, noun: &'static str) -> Result<(), Failure> {
        const COUNT: &str = "UPDATE record_counts SET records = records - 1 WHERE project = ?1 AND noun = ?2";
        self.database.prepare_cached(COUNT)?.execute(params![project.as_bytes(), noun])?;
        Ok(())
    }
}

//! The one writer: a thread that takes what waits, writes it as one group
//! with one fsync, and only then answers everybody.
//!
//! A transaction that is refused rolls back alone. A full disk rolls the
//! group back and lets reads go on. An I/O error is final: nothing is written
//! after it, and the daemon is told to exit.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::oneshot;

use crate::audit::{Line, LineKind, Outcome, Reason, Seq};
use crate::store::{Committed, Revision, StoreError};

use super::alarm::Alarm;
use super::chain::{Chain, EncodedLine, Head};
use super::failure::Failure;
use super::guarded;
use super::open_error::OpenError;
use super::options::SqliteOptions;
use super::queue::{Queue, Taken};
use super::relay::Reply;
use super::reserve::Reserve;
use super::seals::{LastLine, LoadError, RecordMac, Sealing, Unsealed};
use super::tx::{Applied, EncodedTx};
use super::wal::Wal;
use super::{Shared, projects, requests};

/// How long the writer waits for work before it looks after the files.
const TICK: Duration = Duration::from_secs(1);
/// How many groups pass between two purges of forgotten answers.
const GROUPS_BETWEEN_PURGES: u64 = 1024;
/// The method and reason of the line that says that the disk is full.
const DISK_FULL_METHOD: &str = "daemon/store";
/// The method of the line that says that records have seals from here on.
const SEALED_METHOD: &str = "daemon/seal-records";
const DISK_FULL: &str = "DISK_FULL";

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What waits to be written. Whoever waits for the answer may go away: the
/// job is done all the same.
pub(super) enum Job {
    Append {
        line: EncodedLine,
        takes_away: bool,
        answer: Answer<Seq>,
    },
    Commit {
        tx: Box<EncodedTx>,
        answer: Answer<Committed>,
    },
    /// Done alone, before whatever was taken with it.
    Seal {
        mac: RecordMac,
        unsealed: Unsealed,
        answer: oneshot::Sender<Result<(), OpenError>>,
    },
}

/// What became of a job before the group commits.
enum Done {
    Line(Seq),
    Tx(Committed),
}

type Outcomes = Vec<Result<Done, StoreError>>;

pub(super) struct Writer {
    pub(super) database: Connection,
    pub(super) queue: Arc<Queue<Job>>,
    pub(super) chain: Chain,
    pub(super) sealing: Option<Sealing>,
    pub(super) revision: Revision,
    pub(super) reserve: Reserve,
    pub(super) options: SqliteOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) wal: Wal,
    pub(super) alarm: Arc<Alarm>,
    pub(super) groups: u64,
    /// Held for as long as anything may be written.
    pub(super) _lock: File,
}

/// Nobody waits for a writer that is gone, however it went.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.abandon();
        self.shared.writable.store(false, Ordering::Release);
    }
}

impl Writer {
    pub(super) fn run(mut self) {
        while !self.alarm.raised() {
            let done = match self.queue.take(self.options.batch_max.max(1), TICK) {
                Taken::Some(jobs) => self.write_group(jobs),
                Taken::Idle => self.tend(),
                Taken::Closed => break,
            };
            if let Err(cause) = done {
                self.alarm.raise(cause);
                return;
            }
        }
        if self.alarm.raised() {
            return;
        }
        // The next start finds everything in the database itself.
        let _ = self.wal.truncate(&self.database);
    }

    fn write_group(&mut self, jobs: Vec<Job>) -> Result<(), &'static str> {
        let jobs = self.seal_first(jobs);
        let jobs = if self.reserve.held() || self.reserve.restore() { jobs } else { only_what_takes_away(jobs) };
        if jobs.is_empty() {
            return Ok(());
        }
        let (head, revision) = (self.chain.head(), self.revision);
        let sealed = self.sealing.as_ref().map(Sealing::mark);
        match self.commit_group(&jobs) {
            Ok(outcomes) => {
                self.publish(head, revision);
                self.shared.relay.answer(replies(jobs, outcomes));
                self.tend()
            }
            Err(Failure::Fatal(cause)) => Err(cause),
            Err(failure) => {
                if let (Failure::Unwritable(cause), true) = (&failure, self.shared.writable.load(Ordering::Acquire)) {
                    tracing::error!(cause, "the store refuses writes until this is over; reads go on");
                }
                self.roll_back(head, revision)?;
                if let (Some(sealing), Some(mark)) = (&mut self.sealing, sealed) {
                    sealing.rewind(mark);
                }
                self.shared.writable.store(false, Ordering::Release);
                let freed = self.free_reserve();
                refuse(jobs, &StoreError::Unwritable);
                freed
            }
        }
    }

    /// Carries out the wish for seals, if one is among the jobs.
    fn seal_first(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let mut rest = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Seal { mac, unsealed, answer } => {
                    let sealed = self.seal(&mac, unsealed);
                    // The store is of no use to who went away.
                    let _ = answer.send(sealed);
                }
                Job::Append { .. } | Job::Commit { .. } => rest.push(job),
            }
        }
        rest
    }

    fn seal(&mut self, mac: &RecordMac, unsealed: Unsealed) -> Result<(), OpenError> {
        // Readers know the first ones, and go on with them.
        if self.sealing.is_some() {
            return Ok(());
        }
        let last = self.last_line()?;
        let loaded = Sealing::load(&self.database, Arc::clone(mac), self.revision, last.as_ref());
        let sealing = match loaded {
            Ok(Some(sealing)) => self.with_projects(sealing)?,
            Ok(None) => self.adopt(mac, unsealed)?,
            Err(LoadError::Altered(what)) => return Err(OpenError::AlteredRecords { what }),
            Err(LoadError::Database(error)) => return Err(error.into()),
        };
        // Set nowhere else, and not twice: see above.
        let _ = self.shared.seals.set(sealing.seals());
        self.sealing = Some(sealing);
        Ok(())
    }

    /// The first seals of a store. One whose ledger knows of seals had some,
    /// and somebody took them away; one whose ledger was taken away too looks
    /// like one that never had any, which a person has to tell apart.
    fn adopt(&mut self, mac: &RecordMac, unsealed: Unsealed) -> Result<Sealing, OpenError> {
        const TOLD: &str = "SELECT EXISTS (SELECT 1 FROM ledger WHERE instr(body, '\"store_revision\":') > 0)";
        let told: bool = self.database.query_row(TOLD, [], |row| row.get(0))?;
        if told {
            return Err(OpenError::AlteredRecords { what: "they had seals, and have none" });
        }
        if unsealed == Unsealed::Refused && !guarded::nothing_to_seal(&self.database)? {
            return Err(OpenError::Unsealed);
        }
        self.first_seals(Sealing::new(Arc::clone(mac)), &guarded::nouns())
    }

    /// Those of a release that sealed no projects get theirs for them.
    fn with_projects(&mut self, sealing: Sealing) -> Result<Sealing, OpenError> {
        let lacking = sealing.lacks(&self.database, projects::NOUN).map_err(not_sealed)?;
        if lacking { self.first_seals(sealing, &[projects::NOUN]) } else { Ok(sealing) }
    }

    fn first_seals(&mut self, mut sealing: Sealing, nouns: &[&'static str]) -> Result<Sealing, OpenError> {
        let head = self.chain.head();
        if let Err(failure) = self.write_first_seals(&mut sealing, nouns) {
            self.roll_back(head, self.revision).map_err(|why| OpenError::NotSealed { why })?;
            return Err(not_sealed(failure));
        }
        let seals = sealing.seals();
        sealing.publish(seals.hold_to_publish());
        self.shared.lines.send_replace(self.chain.head().seq);
        Ok(sealing)
    }

    fn write_first_seals(&mut self, sealing: &mut Sealing, nouns: &[&'static str]) -> Result<(), Failure> {
        self.execute("BEGIN IMMEDIATE")?;
        sealing.adopt(&self.database, nouns, self.revision)?;
        if self.chain.head().seq > Seq(0) {
            let mut line = Line::about(SEALED_METHOD, LineKind::Single, Outcome::Ok);
            line.at = self.options.clock.now();
            line.store_revision = Some(self.revision.0);
            let line = line.with_detail("nouns", &nouns.join(" "));
            self.chain.append(&self.database, &EncodedLine::of(&line)?)?;
        }
        self.execute("COMMIT")
    }

    fn last_line(&self) -> Result<Option<LastLine>, OpenError> {
        const LAST: &str = "SELECT body FROM ledger ORDER BY seq DESC LIMIT 1";
        let body: Option<Vec<u8>> = self.database.query_row(LAST, [], |row| row.get(0)).optional()?;
        let Some(body) = body else { return Ok(None) };
        let line: Line = serde_json::from_slice(&body).map_err(|_| OpenError::AlteredLedger)?;
        Ok(Some(LastLine { revision: line.store_revision }))
    }

    /// Everything of the group in one transaction; nothing is acknowledged
    /// before this returns.
    fn commit_group(&mut self, jobs: &[Job]) -> Result<Outcomes, Failure> {
        #[cfg(test)]
        self.shared.limit_pages(&self.database);
        self.execute("BEGIN IMMEDIATE")?;
        let outcomes = jobs.iter().map(|job| self.attempt(job)).collect::<Result<Outcomes, Failure>>()?;
        self.groups += 1;
        if self.groups.is_multiple_of(GROUPS_BETWEEN_PURGES) {
            requests::purge(&self.database, self.options.clock.now())?;
        }
        // An error here is never tried again: after a failed fsync a second
        // COMMIT could succeed without anything on disk.
        let seals = self.sealing.as_ref().filter(|sealing| sealing.changed()).map(Sealing::seals);
        let publishing = seals.as_ref().map(|seals| seals.hold_to_publish());
        self.execute("COMMIT")?;
        if let (Some(sealing), Some(publishing)) = (&mut self.sealing, publishing) {
            sealing.publish(publishing);
        }
        Ok(outcomes)
    }

    /// The inner error is this job's own; the outer one is the whole group's.
    fn attempt(&mut self, job: &Job) -> Result<Result<Done, StoreError>, Failure> {
        let outcome = match job {
            // One line needs no savepoint: it is refused before it writes.
            Job::Append { line, .. } => self.chain.append(&self.database, line).map(Done::Line),
            Job::Commit { tx, .. } => self.attempt_tx(tx).map(Done::Tx),
            Job::Seal { .. } => return Ok(Err(StoreError::Stopped)),
        };
        match outcome {
            Ok(done) => Ok(Ok(done)),
            Err(Failure::Refused(error)) => Ok(Err(error)),
            Err(failure) => Err(failure),
        }
    }

    fn attempt_tx(&mut self, tx: &EncodedTx) -> Result<Committed, Failure> {
        let head = self.chain.head();
        let next = Revision(self.revision.0 + 1);
        let sealed = self.sealing.as_ref().map(Sealing::mark);
        self.execute("SAVEPOINT one")?;
        let now = self.options.clock.now();
        let sealing = self.sealing.as_mut();
        match tx.apply(&self.database, &mut self.chain, sealing, now, self.options.records_max, next) {
            Ok(Applied { lines, changed, shred }) => {
                self.execute("RELEASE one")?;
                if changed {
                    self.revision = next;
                }
                if shred {
                    self.wal.shred();
                }
                Ok(Committed { revision: self.revision, lines })
            }
            Err(Failure::Refused(error)) => {
                self.execute("ROLLBACK TO one")?;
                self.execute("RELEASE one")?;
                self.chain.rewind(&self.database, head)?;
                if let (Some(sealing), Some(mark)) = (&mut self.sealing, sealed) {
                    sealing.rewind(mark);
                }
                Err(error.into())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Seen by whoever watches before anybody is answered.
    fn publish(&self, head: Head, revision: Revision) {
        if self.revision != revision {
            self.shared.revision.send_replace(self.revision);
        }
        let last = self.chain.head().seq;
        if last != head.seq {
            self.shared.lines.send_replace(last);
        }
        self.shared.writable.store(true, Ordering::Release);
    }

    fn roll_back(&mut self, head: Head, revision: Revision) -> Result<(), &'static str> {
        // SQLite may have rolled back by itself.
        if !self.database.is_autocommit() && self.execute("ROLLBACK").is_err() {
            return Err("a transaction does not roll back");
        }
        self.revision = revision;
        self.chain.rewind(&self.database, head).map_err(|_| "the ledger cannot be read")
    }

    /// The first time the disk is full: frees the reserve, and writes into it
    /// that this happened.
    fn free_reserve(&mut self) -> Result<(), &'static str> {
        if !self.reserve.held() {
            return Ok(());
        }
        self.reserve.release();
        let mut line = Line::about(DISK_FULL_METHOD, LineKind::Single, Outcome::Failed);
        line.at = self.options.clock.now();
        line.reason = Reason::new(DISK_FULL);
        line.store_revision = self.sealing.as_ref().map(|_| self.revision.0);
        let (head, revision) = (self.chain.head(), self.revision);
        match self.write_line(&line) {
            Ok(()) => {
                self.shared.lines.send_replace(self.chain.head().seq);
                Ok(())
            }
            Err(Failure::Fatal(cause)) => Err(cause),
            // Somebody else took the room. Nothing sensitive goes on anyway.
            Err(Failure::Refused(_) | Failure::Unwritable(_)) => self.roll_back(head, revision),
        }
    }

    fn write_line(&mut self, line: &Line) -> Result<(), Failure> {
        let line = EncodedLine::of(line)?;
        self.execute("BEGIN IMMEDIATE")?;
        self.chain.append(&self.database, &line)?;
        self.execute("COMMIT")
    }

    /// Looks after the log. A full disk is told by the next write.
    fn tend(&mut self) -> Result<(), &'static str> {
        match self.wal.tend(&self.database).map_err(Failure::from) {
            Ok(()) | Err(Failure::Refused(_) | Failure::Unwritable(_)) => Ok(()),
            Err(Failure::Fatal(cause)) => Err(cause),
        }
    }

    fn execute(&self, sql: &'static str) -> Result<(), Failure> {
        self.database.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

/// Refuses the rest at once: the room that is left is for these.
fn only_what_takes_away(jobs: Vec<Job>) -> Vec<Job> {
    let takes_away = |job: &Job| match job {
        Job::Append { takes_away, .. } => *takes_away,
        Job::Seal { .. } => false,
        Job::Commit { tx, .. } => tx.takes_away(),
    };
    let (kept, refused): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(takes_away);
    refuse(refused, &StoreError::Unwritable);
    kept
}

/// Whoever went away is not told.
fn refuse(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        match job {
            Job::Append { answer, .. } => drop(answer.send(Err(error.clone()))),
            Job::Commit { answer, .. } => drop(answer.send(Err(error.clone()))),
            // Who asks is told that nobody answers.
            Job::Seal { .. } => {}
        }
    }
}

fn not_sealed(failure: Failure) -> OpenError {
    let why = match failure {
        Failure::Unwritable(cause) | Failure::Fatal(cause) => cause,
        Failure::Refused(_) => "one of them does not read",
    };
    OpenError::NotSealed { why }
}

fn replies(jobs: Vec<Job>, outcomes: Outcomes) -> Vec<Reply> {
    let replies = jobs.into_iter().zip(outcomes).filter_map(|(job, outcome)| match (job, outcome) {
        (Job::Append { answer, .. }, Ok(Done::Line(seq))) => Some(Reply::Line(answer, Ok(seq))),
        (Job::Commit { answer, .. }, Ok(Done::Tx(committed))) => Some(Reply::Tx(answer, Ok(committed))),
        (Job::Append { answer, .. }, Err(error)) => Some(Reply::Line(answer, Err(error))),
        (Job::Commit { answer, .. }, Err(error)) => Some(Reply::Tx(answer, Err(error))),
        // `attempt` gives each job its own kind.
        (Job::Append { .. }, Ok(Done::Tx(_))) | (Job::Commit { .. }, Ok(Done::Line(_))) | (Job::Seal { .. }, _) => None,
    });
    replies.collect()
}

//! One server of a kind for a whole test run, whoever runs it.
//!
//! nextest gives every test a process of its own and names the run in the environment; `cargo test` is one process.
//! The first test to ask takes a file lock, starts the server and writes down its facts; the others read them.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process;

use serde_json::Value;

use super::cache;

/// Who a server belongs to: it ends when this process does, and the folder of the run goes with it.
pub struct Owner {
    /// The process id.
    pub id: u32,
    /// The folder of the run.
    pub run: PathBuf,
}

/// The facts of the run's server of this kind; `start` is called once a run, with an empty folder.
pub fn server(kind: &str, start: impl FnOnce(&Owner, &Path) -> Value) -> Value {
    let owner = current_run();
    let run = &owner.run;
    fs::create_dir_all(run).unwrap_or_else(|error| panic!("{}: {error}", run.display()));
    let lock = File::create(run.join(format!("{kind}.lock"))).expect("the run folder is writable");
    lock.lock().expect("the run folder's file system has locks");
    let facts = run.join(format!("{kind}.json"));
    if let Ok(text) = fs::read(&facts) {
        return serde_json::from_slice(&text).expect("the facts of a server are JSON");
    }
    let folder = run.join(kind);
    fs::create_dir_all(&folder).expect("the run folder is writable");
    let value = start(&owner, &folder);
    fs::write(&facts, value.to_string()).expect("the run folder is writable");
    value
}

// nextest is the parent of every test process of a run; under `cargo test` the test process itself is the run.
fn current_run() -> Owner {
    let (id, name) = match env::var("NEXTEST_RUN_ID") {
        Ok(id) => (parent_id(), format!("{id}-{}", parent_id())),
        Err(_) => (process::id(), format!("process-{}-{}", process::id(), start_time())),
    };
    Owner { id, run: cache::folder().join("runs").join(name) }
}

// Process ids come again; field 22 of stat (start time) does not, so a stale folder is never taken for ours.
fn start_time() -> String {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let after_name = stat.rsplit(')').next().expect("stat has a name");
    after_name.split_whitespace().nth(19).expect("stat has a start time").to_owned()
}

//! Child processes of a test: output in files, readiness by condition, no survivors.
//!
//! `Daemon` belongs to one test and is killed with its whole process group when dropped.
//! `start_detached` is for servers shared by a run: a watchdog ends them when the run's owner is gone.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::shared::Owner;

/// A running child of one test.
pub struct Daemon {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Daemon {
    /// Starts the command in a process group of its own; `name.stdout` and `name.stderr` go to `folder`.
    pub fn start(command: &mut Command, folder: &Path, name: &str) -> Self {
        let stdout = folder.join(format!("{name}.stdout"));
        let stderr = folder.join(format!("{name}.stderr"));
        let child = spawn(command, &stdout, &stderr);
        Self { child, stdout, stderr }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until the condition yields a value; fails at once when the process ends first, or when time is up.
    pub fn wait_until<T>(&mut self, what: &str, limit: Duration, mut condition: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            let ended = self.child.try_wait().expect("the child can be waited for");
            if let Some(status) = ended {
                panic!("the process ended ({status}) before: {what}\n{}", self.stderr());
            }
            assert!(Instant::now() < deadline, "gave up after {limit:?} waiting for: {what}\n{}", self.stderr());
            thread::sleep(POLL);
        }
    }

    /// Sends a signal to the process alone, not to its group.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("the process can be signalled");
    }

    /// The process has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("the child can be waited for").is_some()
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {limit:?}\n{}", self.stderr());
            thread::sleep(POLL);
        }
    }

    /// Kills the process group, as a power cut would.
    pub fn kill(&mut self) {
        // Fails only when the group is gone already, which is what we want.
        let _ = kill_process_group(pid(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a server that outlives this process but not the owner of the run, nor `LIFE_MAX`.
/// Its output goes to `folder`. The folder of the run is removed with the owner.
pub fn start_detached(command: &Command, owner: &Owner, folder: &Path) {
    let mut watched = Command::new("sh");
    watched.arg("-c").arg(WATCHDOG).arg("watchdog");
    watched.arg(owner.id.to_string()).arg(LIFE_MAX.as_secs().to_string()).arg(&owner.run);
    watched.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        watched.env(name, value.expect("a server's environment only adds"));
    }
    let mut starter = spawn(&mut watched, &folder.join("stdout"), &folder.join("stderr"));
    starter.wait().expect("the starter can be waited for");
}

/// Waits until the condition holds; false when time is up.
pub fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        thread::sleep(POLL);
    }
    false
}

/// Something accepts connections on this loopback port.
pub fn listening(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn spawn(command: &mut Command, stdout: &Path, stderr: &Path) -> Child {
    let to_file = |path: &Path| File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    command.stdin(Stdio::null()).stdout(to_file(stdout)).stderr(to_file(stderr)).process_group(0);
    command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()))
}

fn pid(child: &Child) -> Pid {
    let raw = i32::try_from(child.id()).expect("a process id fits");
    Pid::from_raw(raw).expect("a process id is not zero")
}

const POLL: Duration = Duration::from_millis(20);

// A run takes minutes; a server older than this lost its owner without the watchdog noticing.
const LIFE_MAX: Duration = Duration::from_secs(1800);

// SIGKILL: SeaweedFS was still running two minutes after a SIGTERM, and its data is thrown away.
// The subshell is left behind on purpose, so that nobody has a child to wait for.
const WATCHDOG: &str = r#"
owner=$1 left=$2 run=$3
shift 3
(
    "$@" &
    server=$!
    trap 'left=0' TERM INT
    while [ "$left" -gt 0 ] && kill -0 "$owner" 2>/dev/null && kill -0 "$server" 2>/dev/null; do
        sleep 1
        left=$((left - 1))
    done
    kill -9 "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    kill -0 "$owner" 2>/dev/null || rm -rf "$run"
) &
"#;

//! The daemon under measurement: the real binary, on a data directory that `valetkey init` made.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::child::Child;
use super::founding;
use super::plan::Outcome;

/// Where a daemon keeps its things.
pub struct Place {
    folder: PathBuf,
    /// The owner's token.
    pub owner: String,
}

/// A running daemon.
pub struct Daemon {
    child: Child,
    /// The process to measure: the daemon, though strace stands before it.
    pub id: u32,
    /// Where it listens.
    pub port: u16,
    /// From the start of the process to its first answer.
    pub ready: Duration,
}

impl Place {
    /// Makes a data directory below `folder`.
    pub fn make(folder: &Path) -> Outcome<Self> {
        let token = folder.join("owner.token");
        let mut init = Command::new(BINARY);
        init.args(["init", "--token-out"]).arg(&token).arg("--data-dir").arg(folder.join("data"));
        let output = init.output()?;
        if !output.status.success() {
            return Err(format!("valetkey init: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(Self { folder: folder.to_owned(), owner: fs::read_to_string(&token)?.trim().to_owned() })
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The CA of the daemon.
    pub fn ca(&self) -> PathBuf {
        self.data().join("ca.pem")
    }

    /// Starts the daemon, and waits until it answers. With a trace, every fsync goes there.
    pub fn serve(&self, threads: usize, sts_port: u16, trace: Option<&Path>) -> Outcome<Daemon> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = self.folder.join("valetkey.toml");
        fs::write(&config, self.config(port, threads, sts_port))?;
        let mut command = match trace {
            Some(trace) => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "--seccomp-bpf", "-qq", "-ttt", "-e", "trace=fsync,fdatasync", "-o"]);
                strace.arg(trace).arg(BINARY);
                strace
            }
            None => Command::new(BINARY),
        };
        command.arg("serve").arg("--config").arg(&config);
        command.stderr(File::create(self.folder.join("daemon.log"))?);
        let begun = Instant::now();
        let child = Child::start(&mut command)?;
        let mut daemon = Daemon { id: child.id(), child, port, ready: Duration::ZERO };
        daemon.ready = self.answered(&mut daemon, begun)?;
        if trace.is_some() {
            let id = daemon.id;
            daemon.id = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?.trim().parse()?;
        }
        Ok(daemon)
    }

    fn answered(&self, daemon: &mut Daemon, begun: Instant) -> Outcome<Duration> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        loop {
            if runtime.block_on(founding::answers(daemon.port, &self.ca(), &self.owner)).is_ok() {
                return Ok(begun.elapsed());
            }
            if daemon.child.ended()? || begun.elapsed() > READY_MAX {
                let log = fs::read_to_string(self.folder.join("daemon.log"))?;
                return Err(format!("the daemon does not answer:\n{log}").into());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Everything as shipped, but the rate limits: one caller stands for a whole platform here.
    fn config(&self, port: u16, threads: usize, sts_port: u16) -> String {
        format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nworker_threads = {threads}\n\
             [store]\ndata_dir = {:?}\n\
             [outbound]\nallowed_endpoints = [{:?}]\n\
             [limits]\ncalls_per_second = {RATE}\ncalls_burst = {RATE}\n",
            self.data(),
            founding::endpoint(sts_port),
        )
    }
}

impl Daemon {
    /// Asks it to end, and waits.
    pub fn stop(mut self) -> Outcome<()> {
        let id = Pid::from_raw(i32::try_from(self.id)?).ok_or("a process id is not zero")?;
        kill_process(id, Signal::TERM)?;
        self.child.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // strace does not take what it traces along. Fails only when it is gone already.
        if let Some(id) = i32::try_from(self.id).ok().and_then(Pid::from_raw).filter(|_| self.id != self.child.id()) {
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_valetkey");

const RATE: u32 = 1_000_000;

const READY_MAX: Duration = Duration::from_secs(60);

// Shorter than what is measured by it, which is a target of a second.
const POLL: Duration = Duration::from_millis(2);

//! Child processes of the bench: this program again or the daemon, killed when they go out of scope.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child as Process, ChildStdout, Command, Stdio};

use serde::Serialize;

use super::plan::Outcome;

/// A running child.
pub struct Child {
    process: Process,
    lines: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this program again as `part`, with its plan.
    pub fn of_us(part: &str, plan: &impl Serialize) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(part).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut input = process.stdin.take().ok_or("the child has no input")?;
        input.write_all(&serde_json::to_vec(plan)?)?;
        drop(input);
        Self::running(process)
    }

    /// Starts a command.
    pub fn start(command: &mut Command) -> Outcome<Self> {
        Self::running(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
    }

    fn running(mut process: Process) -> Outcome<Self> {
        let output = process.stdout.take().ok_or("the child has no output")?;
        Ok(Self { process, lines: BufReader::new(output) })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(format!("a child of the bench ended early: {}", self.process.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The port that it says it listens on.
    pub fn port(&mut self) -> Outcome<u16> {
        Ok(self.line()?.strip_prefix("listening ").ok_or("the child does not listen")?.parse()?)
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Outcome<bool> {
        Ok(self.process.try_wait()?.is_some())
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Outcome<()> {
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a child of the bench failed: {status}").into()) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails only when it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

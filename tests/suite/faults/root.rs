//! What only root may do: mount a file system, read another process's memory. Root itself, or `sudo` without questions.

use std::path::Path;
use std::process::{Command, Stdio};

/// A command that runs as root.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "--"]).arg(program);
        command
    };
    command.stdin(Stdio::null());
    command
}

/// Runs words and a path as root; they must succeed.
pub fn run(words: &[&str], path: &Path) {
    let status = command(words[0]).args(&words[1..]).arg(path).status().expect("the command can be run");
    assert!(status.success(), "{words:?} {}: {status}", path.display());
}

//! What the command line asks for. Unknown words are refused; `--bench`, which cargo adds, is not one.

use std::path::PathBuf;
use std::time::Duration;

use super::plan::Outcome;

/// What to measure, and for how long.
pub struct Options {
    /// With the big store, too.
    pub big: bool,
    /// How long each load is measured.
    pub measured: Duration,
    /// Worker threads of the daemon; 0: it decides.
    pub threads: usize,
    /// Only loads whose name contains this.
    pub only: String,
    /// Where data directories are made.
    pub folder: PathBuf,
}

impl Options {
    /// Reads the arguments.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            big: false,
            measured: Duration::from_secs(5),
            threads: 0,
            only: String::new(),
            folder: std::env::temp_dir(),
        };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            if argument == "--big" {
                options.big = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{argument}: what value?"))?;
            match argument.as_str() {
                "--seconds" => options.measured = Duration::from_secs_f64(value.parse()?),
                "--threads" => options.threads = value.parse()?,
                "--only" => options.only = value,
                "--folder" => options.folder = value.into(),
                _ => return Err(format!("{argument}: no such option").into()),
            }
        }
        Ok(options)
    }

    /// Whether the load with this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}

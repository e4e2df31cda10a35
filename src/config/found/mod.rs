//! What a platform engineer's own machine has that could be registered: AWS
//! profiles, Google's application-default credentials, `az login`, docker's
//! logins, kubeconfigs.
//!
//! Reads files and the environment, bounded, when the engineer says so. Runs
//! no command, follows no URL, and says by name what it does not take. Nothing
//! here can print a secret.

mod aws;
mod azure;
mod docker;
mod gcp;
mod ini;
pub mod kubeconfig;

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The largest file that is read: a docker config of many registries is a
/// tenth of this.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The most findings of one kind; a file with more was not written by hand.
const FINDINGS_MAX: usize = 64;
/// The longest name that is suggested.
const NAME_LENGTH_MAX: usize = 40;
/// The longest text out of a file that is repeated to people.
const WORD_LENGTH_MAX: usize = 128;

/// Something that can be registered as it is. No Debug: it holds the secret.
pub struct Found {
    /// What `--from` takes, for example `aws:default`.
    pub source: String,
    /// A name for the connector.
    pub name: String,
    /// For example `aws`.
    pub connector_type: &'static str,
    /// For example `iam-role`.
    pub auth_method: &'static str,
    /// The settings, without secrets.
    pub settings: Map<String, Value>,
    /// The fields of the source credential.
    pub secrets: Vec<(&'static str, Zeroizing<Vec<u8>>)>,
    /// When it ends, as it was written, when that is known.
    pub secret_expires_at: Option<String>,
    /// What to know before it is registered.
    pub notes: Vec<String>,
}

/// The fields of a source credential.
type Fields = Vec<(&'static str, Zeroizing<Vec<u8>>)>;
/// Looks a variable up.
type Variables = Box<dyn Fn(&str) -> Option<String>>;

/// What a machine has.
#[derive(Default)]
pub struct Search {
    /// What can be registered.
    pub found: Vec<Found>,
    /// What was seen and is not taken, with the reason.
    pub passed_over: Vec<String>,
}

impl Search {
    fn pass_over(&mut self, source: &str, why: &str) {
        self.passed_over.push(format!("{source}: {why}"));
    }
}

/// A machine, as far as it may be looked at.
pub struct Machine {
    home: PathBuf,
    variables: Variables,
}

impl Machine {
    /// The one this runs on.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this room is the reader of the environment")]
    pub fn own() -> Self {
        let variables = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = variables("HOME").map(PathBuf::from).unwrap_or_default();
        Self { home, variables: Box::new(variables) }
    }

    /// Everything on it that can be registered.
    #[must_use]
    pub fn search(&self) -> Search {
        let mut search = Search::default();
        aws::look(self, &mut search);
        gcp::look(self, &mut search);
        azure::look(self, &mut search);
        docker::look(self, &mut search);
        self.kubernetes(&mut search);
        search
    }

    /// The current context of each kubeconfig there is.
    fn kubernetes(&self, search: &mut Search) {
        let named = self.path("KUBECONFIG", ".kube/config");
        for path in std::env::split_paths(&named).take(FINDINGS_MAX).filter(|path| path.exists()) {
            match kubeconfig::read(&path, None, kubeconfig::Allowed::default()) {
                Ok(found) => search.found.push(found),
                Err(error) => search.pass_over(&path.display().to_string(), &error.to_string()),
            }
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }

    /// The path that a variable names, else one below the home.
    fn path(&self, variable: &str, below_home: &str) -> PathBuf {
        self.variable(variable).map_or_else(|| self.home.join(below_home), PathBuf::from)
    }

    /// A file's text. Nothing when it is not there; what is wrong goes to the
    /// notes.
    fn text(&self, path: &Path, search: &mut Search) -> Option<Zeroizing<String>> {
        match read(path) {
            Ok(text) => text,
            Err(why) => {
                search.pass_over(&path.display().to_string(), why);
                None
            }
        }
    }

    /// A file's JSON object.
    fn json(&self, path: &Path, search: &mut Search) -> Option<Map<String, Value>> {
        let text = self.text(path, search)?;
        // az writes a byte-order mark.
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Value::Object(object)) => Some(object),
            Ok(_) | Err(_) => {
                search.pass_over(&path.display().to_string(), "is no JSON object");
                None
            }
        }
    }
}

/// Does not wait on a fifo that somebody put there, and reads no more than
/// the bound whatever is behind the name.
fn read(path: &Path) -> Result<Option<Zeroizing<String>>, &'static str> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(_) => return Err("cannot be opened"),
    };
    if !file.metadata().is_ok_and(|found| found.is_file()) {
        return Err("is no regular file");
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|_| "cannot be read")?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err("is larger than 256 KiB");
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8")?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// A name that a connector may have, out of any text.
fn name_of(kind: &str, text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let mut name = format!("{kind}-");
    for c in text.chars().map(letter).take(NAME_LENGTH_MAX) {
        if !(c == '-' && name.ends_with('-')) {
            name.push(c);
        }
    }
    name.trim_end_matches('-').to_owned()
}

/// Text out of a file that may be shown: one short printable word.
fn word(text: &str) -> Option<&str> {
    let fits = !text.is_empty() && text.len() <= WORD_LENGTH_MAX && text.chars().all(|c| !c.is_control());
    fits.then_some(text)
}

/// A text field of a JSON object that may be shown.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).and_then(word)
}

/// A secret field out of JSON.
fn secret(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

#[cfg(test)]
mod registrable;
#[cfg(test)]
mod tests;

//! The files and variables that the daemon reads besides its root key, and
//! the modes they must have. Checks what it opened, not what a path named.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::ConfigError;

/// A config is a page; a megabyte of it is a mistake.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;
/// A bundle of all public roots is a quarter of this.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
/// A credentials file has some lines for each profile.
const CREDENTIALS_BYTES_MAX: u64 = 64 * 1024;
/// argon2 takes any length; people's are shorter.
const PASSPHRASE_BYTES_MAX: u64 = 4096;
/// Where the daemon's passphrase may be found.
const PASSPHRASE_VARIABLE: &str = "VALETKEY_PASSPHRASE_FILE";
/// Where root's data directory is.
const DATA_DIR_OF_ROOT: &str = "/var/lib/valetkey";

/// Where Linux names the time since the machine began.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The name of this boot of the machine; none where `/proc` does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string(BOOT_ID).ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The text of a config file that nobody else may write.
pub(super) fn config_text(path: &Path) -> Result<String, ConfigError> {
    let mut file = opened(path)?;
    let found = file.metadata().map_err(|source| unreadable(path, source))?;
    let mine = found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_file() || !mine || found.mode() & 0o022 != 0 {
        return Err(ConfigError::Loose { path: path.to_owned() });
    }
    read_text(&mut file, path, CONFIG_BYTES_MAX)
}

/// The variables whose name begins with `prefix`.
#[allow(clippy::disallowed_methods, reason = "this room is the reader of the environment")]
pub(super) fn environment(prefix: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) else { continue };
        let value = value.into_string().map_err(|_| ConfigError::Environment { name: name.to_owned() })?;
        found.push((name.to_owned(), value));
    }
    found.sort();
    Ok(found)
}

/// The data directory: the named one, else `$XDG_STATE_HOME/valetkey`, as
/// root `/var/lib/valetkey`.
#[must_use]
pub fn data_dir(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named.filter(|path| !path.as_os_str().is_empty()) {
        return named.to_owned();
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from(DATA_DIR_OF_ROOT);
    }
    let folder = |variable: &str| variable_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    state.map_or_else(|| PathBuf::from(DATA_DIR_OF_ROOT), |state| state.join("valetkey"))
}

/// A PEM file of certificates or a key. A key's must be private.
///
/// # Errors
/// When it cannot be read, is too large, or is a key that others may read.
pub fn pem_file(path: &Path, private: bool) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let mut file = opened(path)?;
    if private {
        check_private(&file, path)?;
    }
    read_bytes(&mut file, path, PEM_BYTES_MAX)
}

/// The bundle of extra roots, when one is named.
///
/// # Errors
/// When it cannot be read.
pub fn extra_roots(path: &Path) -> Result<Option<String>, ConfigError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    read_text(&mut opened(path)?, path, PEM_BYTES_MAX).map(Some)
}

/// Where temporary files go.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this room is the reader of the environment")]
pub fn temporary_dir() -> PathBuf {
    std::env::temp_dir()
}

/// The passphrase: from the named file, the file that
/// `VALETKEY_PASSPHRASE_FILE` names, or a hidden prompt; never from the
/// command line or a variable's value, where others may read it.
///
/// # Errors
/// When the file cannot be read or is not private, or nobody answers.
pub fn passphrase(named: Option<&Path>, confirm: bool) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let path = named.map(Path::to_owned).or_else(|| variable_os(PASSPHRASE_VARIABLE).map(PathBuf::from));
    let Some(path) = path else { return prompted(confirm) };
    let mut file = opened(&path)?;
    check_private(&file, &path)?;
    let mut text = read_bytes(&mut file, &path, PASSPHRASE_BYTES_MAX)?;
    while text.last().is_some_and(|last| matches!(last, b'\r' | b'\n')) {
        text.pop();
    }
    Ok(text)
}

/// The text of a credentials file in AWS's form, as it is now. Readable by
/// its owner alone, as a key's file: it has long-lived keys in it.
///
/// # Errors
/// When it cannot be read, is larger than 64 KiB, or others may read it.
pub fn credentials_file(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let mut file = opened(path)?;
    check_private(&file, path)?;
    read_text(&mut file, path, CREDENTIALS_BYTES_MAX).map(Zeroizing::new)
}

/// Writes a file that is new and readable by its owner alone, durably.
///
/// # Errors
/// When it exists or cannot be written.
pub fn write_new_private_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn prompted(confirm: bool) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let asked =
        |prompt: &str| rpassword::prompt_password(prompt).map_err(|source| unreadable(Path::new("/dev/tty"), source));
    let first = Zeroizing::new(asked("Passphrase of the root key: ")?);
    if confirm && *first != *Zeroizing::new(asked("The same again: ")?) {
        return Err(ConfigError::key("passphrase", "the two are not the same"));
    }
    Ok(Zeroizing::new(first.as_bytes().to_vec()))
}

#[allow(clippy::disallowed_methods, reason = "this room is the reader of the environment")]
fn variable_os(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn check_private(file: &File, path: &Path) -> Result<(), ConfigError> {
    let found = file.metadata().map_err(|source| unreadable(path, source))?;
    let mine = found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_file() || !mine || found.mode() & 0o077 != 0 {
        return Err(ConfigError::Exposed { path: path.to_owned() });
    }
    Ok(())
}

/// Does not wait on a fifo somebody put there.
fn opened(path: &Path) -> Result<File, ConfigError> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|source| unreadable(path, source))
}

fn read_text(file: &mut File, path: &Path, bytes_max: u64) -> Result<String, ConfigError> {
    let bytes = read_bytes(file, path, bytes_max)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable(path, io::ErrorKind::InvalidData.into()))?;
    Ok(text.to_owned())
}

fn read_bytes(file: &mut File, path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|source| unreadable(path, source))?;
    if bytes.len() as u64 > bytes_max {
        return Err(unreadable(path, io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, source: io::Error) -> ConfigError {
    ConfigError::Unreadable { path: path.to_owned(), source }
}

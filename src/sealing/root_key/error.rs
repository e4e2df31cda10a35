//! Why there is no root key: which path, and what to do about it.
//!
//! Names paths and modes, never a byte of what a file holds.

use std::path::PathBuf;

/// Why a root key was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootKeyError {
    /// There is no such file.
    #[error("{path}: there is no root key here; run `valetkey init`, or put the key of this store back", path = .0.display())]
    Missing(PathBuf),
    /// Something is where a key should be created.
    #[error("{path}: exists already; a root key is never overwritten, move it away first", path = .0.display())]
    Exists(PathBuf),
    /// A symbolic link, a pipe, a directory, a device.
    #[error("{path}: is not a regular file; links, pipes and devices are not followed, name the file itself", path = .0.display())]
    NotRegular(PathBuf),
    /// Another user owns it.
    #[error("{path}: belongs to another user; chown it to the user of the daemon or to root", path = .0.display())]
    Owner(PathBuf),
    /// Others can read or write it.
    #[error("{path}: mode {mode:04o} lets others in; chmod it to 0600", path = .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others can swap what is in a directory on the way, or it is a link.
    #[error(
        "{path}: others could swap it, because {parent} is a link, belongs to another user, or is writable by group or \
         others; use a directory of mode 0755 or less, by its real path",
        path = .path.display(), parent = .parent.display()
    )]
    Parent {
        /// The file.
        path: PathBuf,
        /// The directory.
        parent: PathBuf,
    },
    /// Not 32 bytes, and not base64 of 32 bytes.
    #[error("{path}: must hold 32 random bytes, raw or as base64, and nothing else", path = .0.display())]
    Malformed(PathBuf),
    /// The parameters of a passphrase do not parse, or are out of bounds.
    #[error(
        "{path}: argon2id parameters must be version 1, 46 MiB to 1 GiB, 1 to 16 passes, 1 to 4 lanes; put the file \
         that `valetkey init` wrote back",
        path = .0.display()
    )]
    Parameters(PathBuf),
    /// The passphrase is not the one of these parameters.
    #[error("{path}: the passphrase is not the one of this store, or the file was altered", path = .0.display())]
    WrongPassphrase(PathBuf),
    /// The passphrase is too short or too long to be one.
    #[error("a passphrase has 12 to 1,024 bytes; choose six random words")]
    WeakPassphrase,
    /// The system refused to read or write.
    #[error("{path}: {problem}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The random source failed or stands still.
    #[error("the system's random source failed; no key was made")]
    Entropy,
}

//! Opens and creates key files strictly: what is checked is what is read.
//!
//! Every directory on the way is opened from the one above it and checked
//! through its descriptor, and so is the file: nothing can be swapped between
//! the check and the read. No link is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::RootKeyError;

/// Bits that let group or others in.
const OTHERS: u32 = 0o077;
/// Bits that let group or others write.
const OTHERS_WRITE: u32 = 0o022;
/// In a sticky directory nobody moves what belongs to somebody else.
const STICKY: u32 = 0o1000;

/// Reads a file of at most `length_max` bytes after all checks.
pub(super) fn read(path: &Path, length_max: usize) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let (parent, name) = open_parent(path)?;
    // NONBLOCK: opening a pipe must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&parent, name, flags, Mode::empty()).map_err(|errno| refusal(path, errno))?;
    check_file(path, &stat(path, &file)?)?;
    // One byte more, to tell "too long" from "just fits"; never grown, so
    // that no copy is left behind.
    let mut bytes = Zeroizing::new(vec![0; length_max + 1]);
    let mut file = File::from(file);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(path, &error.to_string())),
        }
    }
    bytes.truncate(length);
    if length > length_max { Err(RootKeyError::Malformed(path.to_owned())) } else { Ok(bytes) }
}

/// Creates a file of mode 0600 that was not there, and makes it durable.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), RootKeyError> {
    let (parent, name) = open_parent(path)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| refusal(path, errno))?;
    let mut file = File::from(file);
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_directory(&parent));
    written.map_err(|error| {
        // Half a key is worse than none: the next start would refuse it.
        let removed = rustix::fs::unlinkat(&parent, name, AtFlags::empty());
        io(path, &format!("{error}{}", if removed.is_err() { ", and the rest is still there" } else { "" }))
    })
}

/// Makes the new name durable.
fn sync_directory(directory: &OwnedFd) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::fsync(rustix::fs::openat(directory, ".", flags, Mode::empty())?)?)
}

/// The directory of `path`, every one above it checked, and the file's name.
fn open_parent(path: &Path) -> Result<(OwnedFd, &OsStr), RootKeyError> {
    let name = path.file_name().ok_or_else(|| RootKeyError::NotRegular(path.to_owned()))?;
    let whole = std::path::absolute(path).map_err(|error| io(path, &error.to_string()))?;
    // PATH: a directory on the way need not be readable.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut walked = PathBuf::from("/");
    let mut directory = rustix::fs::open("/", flags, Mode::empty()).map_err(|errno| refusal(path, errno))?;
    check_directory(path, &walked, &stat(path, &directory)?)?;
    for step in whole.parent().unwrap_or(&whole).components() {
        let step = match step {
            Component::Normal(step) => step,
            Component::ParentDir => OsStr::new(".."),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        };
        walked.push(step);
        directory = rustix::fs::openat(&directory, step, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => parent_refusal(path, &walked),
            other => refusal(path, other),
        })?;
        check_directory(path, &walked, &stat(path, &directory)?)?;
    }
    Ok((directory, name))
}

fn check_directory(path: &Path, directory: &Path, stat: &Stat) -> Result<(), RootKeyError> {
    let shared = stat.st_mode & OTHERS_WRITE != 0;
    let guarded = stat.st_mode & STICKY != 0 && stat.st_uid == 0;
    if ours(stat) && (!shared || guarded) { Ok(()) } else { Err(parent_refusal(path, directory)) }
}

fn check_file(path: &Path, stat: &Stat) -> Result<(), RootKeyError> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(RootKeyError::NotRegular(path.to_owned()));
    }
    if !ours(stat) {
        return Err(RootKeyError::Owner(path.to_owned()));
    }
    if stat.st_mode & OTHERS != 0 {
        return Err(RootKeyError::Mode { path: path.to_owned(), mode: stat.st_mode & 0o7777 });
    }
    Ok(())
}

fn ours(stat: &Stat) -> bool {
    stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw()
}

fn stat(path: &Path, file: &OwnedFd) -> Result<Stat, RootKeyError> {
    rustix::fs::fstat(file).map_err(|errno| refusal(path, errno))
}

fn refusal(path: &Path, errno: Errno) -> RootKeyError {
    match errno {
        Errno::NOENT => RootKeyError::Missing(path.to_owned()),
        Errno::EXIST => RootKeyError::Exists(path.to_owned()),
        Errno::LOOP | Errno::ISDIR | Errno::NXIO => RootKeyError::NotRegular(path.to_owned()),
        other => io(path, &std::io::Error::from(other).to_string()),
    }
}

fn parent_refusal(path: &Path, parent: &Path) -> RootKeyError {
    RootKeyError::Parent { path: path.to_owned(), parent: parent.to_owned() }
}

fn io(path: &Path, problem: &str) -> RootKeyError {
    RootKeyError::Io { path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;

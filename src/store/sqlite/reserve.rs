//! Bytes on disk that are given back when the disk is full.
//!
//! While they are gone only what makes things safer is written; they are
//! taken again as soon as there is room, and then everything is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// Takes the bytes if there is room; a full disk is no reason not to
    /// start.
    pub(super) fn take(path: PathBuf, bytes: u64) -> Self {
        let mut reserve = Self { path, bytes, held: false };
        reserve.restore();
        reserve
    }

    pub(super) const fn held(&self) -> bool {
        self.held
    }

    /// Gives the bytes back to the disk.
    pub(super) fn release(&mut self) {
        self.held = false;
        let _ = std::fs::remove_file(&self.path);
    }

    /// Tries to take the bytes again; whether they are held now.
    pub(super) fn restore(&mut self) -> bool {
        if !self.held {
            self.held = self.bytes == 0 || self.allocate().is_ok();
            if !self.held {
                // Half of it would only keep the disk full.
                let _ = std::fs::remove_file(&self.path);
            }
        }
        self.held
    }

    fn allocate(&self) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.bytes) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.fill(file),
            Err(error) => Err(error.into()),
        }
    }

    /// For file systems that cannot reserve: real bytes.
    fn fill(&self, mut file: File) -> io::Result<()> {
        io::copy(&mut io::Read::take(io::repeat(0x5a), self.bytes), &mut file)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_held_given_back_and_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reserve");
        let mut reserve = Reserve::take(path.clone(), 4096);
        assert!(reserve.held());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 4096);
        reserve.release();
        assert!(!reserve.held() && !path.exists());
        assert!(reserve.restore() && path.exists());
    }

    #[test]
    fn a_disk_without_room_is_no_reason_not_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::take(folder.path().join("missing").join("reserve"), 4096);
        assert!(!reserve.held());
        assert!(!reserve.restore());
    }
}

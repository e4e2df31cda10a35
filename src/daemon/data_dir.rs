//! The data directory: which file is where, and who may read them.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::error::DaemonError;

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The directory at `path`; nothing is looked at.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("valetkey.db")
    }

    /// The root key, with the file provider.
    #[must_use]
    pub fn root_key(&self) -> PathBuf {
        self.0.join("root.key")
    }

    /// The parameters of the passphrase, with that provider.
    #[must_use]
    pub fn passphrase(&self) -> PathBuf {
        self.0.join("root.passphrase")
    }

    /// The certificate that clients trust.
    #[must_use]
    pub fn ca_certificate(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// The key that signs server certificates.
    #[must_use]
    pub fn ca_key(&self) -> PathBuf {
        self.0.join("ca.key")
    }

    /// The server's certificate chain.
    #[must_use]
    pub fn server_certificate(&self) -> PathBuf {
        self.0.join("server.pem")
    }

    /// The server's key.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.0.join("server.key")
    }

    /// Checks that it was made by `init` and that nobody else may look in.
    ///
    /// # Errors
    /// Says what to do.
    pub fn check(&self) -> Result<(), DaemonError> {
        let found = fs::symlink_metadata(&self.0)
            .map_err(|_| self.refused("cannot be looked at; make it with `valetkey init`"))?;
        if !found.is_dir() {
            return Err(self.refused("is not a directory"));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(self.refused("belongs to another user; chown it to the user of the daemon"));
        }
        if found.mode() & 0o077 != 0 {
            return Err(self.refused("is open to others; chmod 0700 it"));
        }
        if !self.store().exists() {
            return Err(self.refused("has no store; make one with `valetkey init`"));
        }
        Ok(())
    }

    /// Checks that `init` may make it: missing, or empty.
    ///
    /// # Errors
    /// When there is anything in it.
    pub fn check_free(&self) -> Result<(), DaemonError> {
        if self.store().exists() {
            return Err(self.refused("was initialised before; nothing was changed"));
        }
        match fs::read_dir(&self.0).map(Iterator::count) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.refused("is not empty; name another one")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(DaemonError::file(format!("{} cannot be looked at", self.0.display()))(source)),
        }
    }

    /// An empty sibling, 0700, to be renamed into this place when it is whole.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn sibling(&self, suffix: &str) -> Result<Self, DaemonError> {
        let name = self.0.file_name().ok_or_else(|| self.refused("has no name; name another one"))?;
        let parent = self.parent();
        let failed = |path: &Path| DaemonError::file(format!("{} cannot be made", path.display()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&parent).map_err(failed(&parent))?;
        let path = parent.join(format!(".{}.{suffix}", name.to_string_lossy()));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed(&path))?;
        Ok(Self(path))
    }

    /// Puts this directory in the place of `other`, durably. An `other` that
    /// is not empty is not replaced.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename_to(&self, other: &Self) -> Result<(), DaemonError> {
        let failed = DaemonError::file(format!("{} cannot be put in place", other.0.display()));
        let renamed = fs::rename(&self.0, &other.0).and_then(|()| fs::File::open(other.parent())?.sync_all());
        renamed.map_err(failed)
    }

    /// Deletes it with all that is in it.
    pub fn remove(&self) {
        // Nothing is left to do when it cannot be deleted.
        let _ = fs::remove_dir_all(&self.0);
    }

    fn parent(&self) -> PathBuf {
        let parent = self.0.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or_else(|| PathBuf::from("."), Path::to_owned)
    }

    fn refused(&self, problem: &str) -> DaemonError {
        DaemonError::DataDir { path: self.0.clone(), problem: problem.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_others_may_look_into_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::at(folder.path().to_owned());
        std::fs::write(dir.store(), "").unwrap();
        for (mode, fits) in [(0o700, true), (0o750, false), (0o701, false)] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(dir.check().is_ok(), fits, "{mode:o}");
        }
    }

    #[test]
    fn init_takes_a_missing_or_empty_directory_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        assert!(DataDir::at(folder.path().join("missing")).check_free().is_ok());
        let dir = DataDir::at(folder.path().to_owned());
        assert!(dir.check_free().is_ok());
        std::fs::write(folder.path().join("other"), "").unwrap();
        assert!(dir.check_free().unwrap_err().to_string().contains("not empty"));
        std::fs::write(dir.store(), "").unwrap();
        assert!(dir.check_free().unwrap_err().to_string().contains("initialised before"));
    }
}

//! The socket's file: in a folder that is its user's alone, gone when the
//! agent is.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Any right of group or others.
const OTHERS: u32 = 0o077;

/// Why there is no socket. Named by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Choose another path, or end whoever has it.
    #[error("there is a file of that name")]
    Taken,
    /// Choose a folder that is yours alone.
    #[error("its folder must be yours, with no rights for others")]
    Exposed,
    /// The system refused.
    #[error("the system refused it")]
    Refused(#[source] io::Error),
}

/// A listening socket and its file.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// The folder, when it was made for this socket.
    made: Option<PathBuf>,
}

impl Socket {
    /// Listens at `path`; makes the last folder of it when it is not there.
    /// Needs a runtime.
    ///
    /// # Errors
    /// `Taken`, `Exposed`, or what the system says.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => Some(folder.to_owned()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
            Err(error) => return Err(SocketError::Refused(error)),
        };
        let about = std::fs::metadata(folder).map_err(SocketError::Refused)?;
        if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & OTHERS != 0 {
            return Err(SocketError::Exposed);
        }
        let listener = UnixListener::bind(path).map_err(|error| {
            let taken = matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::AlreadyExists);
            if taken { SocketError::Taken } else { SocketError::Refused(error) }
        })?;
        let socket = Self { listener, path: path.to_owned(), made };
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(SocketError::Refused)?;
        Ok(socket)
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whatever is left behind is of no use to anybody.
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = &self.made {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

//! What the process gives up before it reads its first secret: core dumps,
//! being read by others of its user, and files that others may open.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

use super::error::DaemonError;

/// Panics since the start.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Hardens the process.
///
/// # Errors
/// When the kernel refuses: the daemon does not start then.
pub(super) fn harden() -> Result<(), DaemonError> {
    let refused = |errno: rustix::io::Errno| DaemonError::Hardening { source: errno.into() };
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(refused)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)
}

/// Panics say where, never what: a payload may hold what was being parsed.
pub(super) fn hook_panics() {
    std::panic::set_hook(Box::new(|info| {
        let count = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
        let (file, line) = info.location().map_or(("unknown", 0), |place| (place.file(), place.line()));
        tracing::error!(file, line, count, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardened_process_dumps_no_core_and_cannot_be_read_by_its_user() {
        harden().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));
        assert!(matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}

//! Finds what `tests/run.sh` installed. Same rule as `tests/install.sh`; never installs, never skips: absent is a failure.

use std::env;
use std::path::PathBuf;

/// The cache folder: `$VALETKEY_TEST_CACHE`, else `$XDG_CACHE_HOME/valetkey-tests`, else `$HOME/.cache/valetkey-tests`.
pub fn folder() -> PathBuf {
    if let Some(folder) = set("VALETKEY_TEST_CACHE") {
        return folder;
    }
    let caches = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    caches.expect("one of VALETKEY_TEST_CACHE, XDG_CACHE_HOME and HOME is set").join("valetkey-tests")
}

/// A command of the Python environment: `python`, `weed`, `moto_server`, `aws`, `grpcurl`.
pub fn command(name: &str) -> PathBuf {
    let path = folder().join("venv/bin").join(name);
    assert!(path.exists(), "{} is missing: run tests/run.sh, which installs it", path.display());
    path
}

/// Docker's own command line.
pub fn docker() -> PathBuf {
    let path = folder().join("docker/docker");
    assert!(path.exists(), "{} is missing: run tests/run.sh, which installs it", path.display());
    path
}

/// A client program of `tests/clients`.
pub fn client_program(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
    assert!(path.exists(), "{} is missing from the source tree", path.display());
    path
}

// An empty variable counts as unset, as in the shell's `:-`.
fn set(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

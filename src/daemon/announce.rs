//! What `init` and `serve --dev` say on standard output: where things are,
//! the exports to paste, and a token, once.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::data_dir::DataDir;
use super::error::DaemonError;
use super::founding::Founder;
use crate::config;

/// Where the first owners' tokens went: written to files, or to be shown.
pub(super) fn initialised(dir: &DataDir, founders: &[Founder], token_out: Option<&Path>) -> Result<(), DaemonError> {
    let mut out = io::stdout().lock();
    let said = |error: io::Error| DaemonError::file("standard output cannot be written")(error);
    writeln!(out, "The data directory is {}.", dir.path().display()).map_err(said)?;
    for founder in founders {
        let Founder { project, name, .. } = founder;
        match token_out {
            Some(path) => {
                let path = token_path(path, founder, founders.len());
                write_token(&path, founder)?;
                writeln!(out, "The token of {name}, owner of project {project}, is in {}.", path.display())
            }
            None => writeln!(
                out,
                "The token of {name}, owner of project {project}, good for 30 days and shown this once:\n\n  {}\n\n\
                 Keep it in a file of your own:\n  (umask 077; cat > {project}-{name}.token)   # paste, then Ctrl-D",
                founder.token.reveal()
            ),
        }
        .map_err(said)?;
    }
    let first = founders.first().map(|founder| match token_out {
        Some(path) => token_path(path, founder, founders.len()),
        None => PathBuf::from(format!("{}-{}.token", founder.project, founder.name)),
    });
    writeln!(out, "\nStart the daemon with\n  valetkey serve --data-dir {}\nand use it with", dir.path().display())
        .and_then(|()| exports(&mut out, "https://127.0.0.1:7443", dir, first.as_deref()))
        .map_err(said)
}

/// A daemon to try runs: who may use it, and how.
pub(super) fn dev_ready(address: SocketAddr, dir: &DataDir, tokens: &[(PathBuf, &Founder)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "# A daemon to try, gone with everything in it when it stops. Paste into another shell:")?;
    let first = tokens.first().map(|(path, _)| path.as_path());
    exports(&mut out, &format!("https://{address}"), dir, first)?;
    writeln!(out, "# Others to be:")?;
    for (path, founder) in tokens {
        writeln!(out, "#   {:<18} export VALETKEY_TOKEN_FILE={}", founder.role.to_string(), path.display())?;
    }
    out.flush()
}

/// Writes a founder's token to a new private file.
pub(super) fn write_token(path: &Path, founder: &Founder) -> Result<(), DaemonError> {
    let failed = DaemonError::file(format!("the token cannot be written to {}", path.display()));
    config::write_new_private_file(path, founder.token.reveal().as_bytes()).map_err(failed)
}

/// One file for one founder; with more, the project's name follows.
pub(super) fn token_path(path: &Path, founder: &Founder, founders: usize) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if founders == 1 {
        return path;
    }
    let mut name = path.into_os_string();
    name.push(format!(".{}", founder.project));
    PathBuf::from(name)
}

fn exports(out: &mut impl io::Write, address: &str, dir: &DataDir, token: Option<&Path>) -> io::Result<()> {
    writeln!(out, "  export VALETKEY_ADDR={address}")?;
    writeln!(out, "  export VALETKEY_CA_CERT={}", dir.ca_certificate().display())?;
    token.map_or(Ok(()), |token| writeln!(out, "  export VALETKEY_TOKEN_FILE={}", token.display()))
}

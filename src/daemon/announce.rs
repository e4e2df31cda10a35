//! What `init` and `serve --dev` say on standard output: where things are,
//! the exports to paste, and a token, once.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::data_dir::DataDir;
use super::error::DaemonError;
use super::founding::Founder;
use crate::cli::args::InitArgs;
use crate::config;

/// Where the first owners' tokens went: written to files, or to be shown.
pub(super) fn initialised(dir: &DataDir, founders: &[Founder], args: &InitArgs) -> Result<(), DaemonError> {
    let mut out = io::stdout().lock();
    let said = |error: io::Error| DaemonError::file("standard output cannot be written")(error);
    let token_out = args.token_out.as_deref();
    if let Some(document) = args.form.document(&Initialised::of(dir, founders, token_out)) {
        for founder in founders {
            token_out.map_or(Ok(()), |path| write_token(&token_path(path, founder, founders.len()), founder))?;
        }
        return out.write_all(document.as_bytes()).map_err(said);
    }
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

/// The same for programs. No Debug: it holds tokens.
#[derive(Serialize)]
struct Initialised<'a> {
    data_dir: &'a Path,
    ca_cert: PathBuf,
    owners: Vec<Owner<'a>>,
}

/// The first owner of a project.
#[derive(Serialize)]
struct Owner<'a> {
    project: String,
    name: String,
    /// The token, this once; null when a file got it.
    token: Option<&'a str>,
    token_file: Option<PathBuf>,
}

impl<'a> Initialised<'a> {
    fn of(dir: &'a DataDir, founders: &'a [Founder], token_out: Option<&Path>) -> Self {
        let owner = |founder: &'a Founder| Owner {
            project: founder.project.to_string(),
            name: founder.name.to_string(),
            token: token_out.is_none().then(|| founder.token.reveal()),
            token_file: token_out.map(|path| token_path(path, founder, founders.len())),
        };
        Self { data_dir: dir.path(), ca_cert: dir.ca_certificate(), owners: founders.iter().map(owner).collect() }
    }
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

#[cfg(test)]
mod tests {
    use crate::cli::args::Form;
    use crate::domain::{Role, SecretText};

    use super::*;

    #[test]
    fn programs_get_a_document_with_the_token_or_where_it_is() {
        let dir = DataDir::at(PathBuf::from("/srv/valetkey"));
        let founder = Founder {
            project: "ml".parse().unwrap(),
            name: "ann".parse().unwrap(),
            role: Role::Owner,
            token: SecretText::new("t0ken".to_owned()),
        };
        let founders = [founder];
        let document = |out: Option<&Path>| {
            let text = Form::Json.document(&Initialised::of(&dir, &founders, out)).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["owners"][0].clone()
        };
        assert_eq!(document(None)["token"], "t0ken");
        let kept = document(Some(Path::new("/tmp/ann.token")));
        assert_eq!((&kept["token"], &kept["token_file"]), (&serde_json::Value::Null, &"/tmp/ann.token".into()));
    }
}

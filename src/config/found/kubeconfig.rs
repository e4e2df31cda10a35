//! One context of a kubeconfig, as a connector of the type `kubernetes`.
//!
//! A kubeconfig is often somebody else's text: it can name a program to run, a
//! file to read, a server not to verify. Programs are never run and files and
//! unverified servers only taken when that was asked for by name. Hostile
//! YAML ends at a size, and at the parser's own bounds for depth and aliases.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::domain::claimed_end;

use super::Found;

mod hostile;
mod wire;

#[cfg(test)]
mod tests;

pub use hostile::fuzz_kubeconfig;
use wire::{Cluster, Kubeconfig, Named, User, set};

/// The largest kubeconfig: some KiB for each cluster.
const KUBECONFIG_BYTES_MAX: u64 = 512 * 1024;
/// The largest file that a kubeconfig names: the bound of a secret field.
const NAMED_BYTES_MAX: u64 = 64 * 1024;
/// The most contexts that are named to people.
const NAMED_CONTEXTS_MAX: usize = 20;
/// The longest name out of the file that is repeated.
const WORD_LENGTH_MAX: usize = 128;
/// The longest name of a connector.
const NAME_LENGTH_MAX: usize = 63;
/// The longest `cluster_name`.
const CLUSTER_LENGTH_MAX: usize = 100;

/// What is taken though it is dangerous: each asked for by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `insecure-skip-tls-verify`.
    pub insecure: bool,
    /// Files that the kubeconfig names.
    pub files: bool,
}

/// Why a kubeconfig is not taken. Repeats names of it, never a value.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// A file cannot be read: name another, or change its mode.
    #[error("the file {} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No YAML, or no kubeconfig.
    #[error("it is no kubeconfig{place}")]
    Syntax {
        /// Where, when the parser says so.
        place: String,
    },
    /// No such context: name one of these.
    #[error("it has no such context; it has: {known}")]
    Context {
        /// Their names.
        known: String,
    },
    /// Something that the context names is not there, or there twice.
    #[error("{what} of this context is not in it exactly once")]
    Absent {
        /// `the cluster` or `the user`.
        what: &'static str,
    },
    /// Something that is never taken: do this instead.
    #[error("{what} is not taken: {remedy}")]
    Refused {
        /// By its key.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Something that is taken only when asked for by name.
    #[error("{what} is taken with {flag} alone: {danger}")]
    Unasked {
        /// By its key.
        what: &'static str,
        /// How to ask.
        flag: &'static str,
        /// What it means.
        danger: &'static str,
    },
    /// A value does not fit.
    #[error("{field}: {problem}")]
    Field {
        /// By its key.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Reads one context, the current one when none is named.
///
/// # Errors
/// See [`KubeconfigError`].
pub fn read(path: &Path, context: Option<&str>, allowed: Allowed) -> Result<Found, KubeconfigError> {
    let (bytes, shared) = contents(path, KUBECONFIG_BYTES_MAX)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found = parse(&bytes, folder, context, allowed)?;
    if shared {
        found.notes.push(format!("{} can be read by others: chmod 600", path.display()));
    }
    Ok(found)
}

fn parse(bytes: &[u8], folder: &Path, context: Option<&str>, allowed: Allowed) -> Result<Found, KubeconfigError> {
    let config: Kubeconfig = serde_yaml_ng::from_slice(bytes).map_err(|error| {
        // The parser's own message quotes the text.
        let place = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column()));
        KubeconfigError::Syntax { place: place.unwrap_or_default() }
    })?;
    let wanted = context.or_else(|| set(&config.current_context)).unwrap_or_default();
    let chosen = only(&config.contexts, wanted).ok_or_else(|| no_context(&config))?;
    let cluster = only(&config.clusters, &chosen.context.cluster);
    let cluster = cluster.ok_or(KubeconfigError::Absent { what: "the cluster" })?;
    let user = only(&config.users, &chosen.context.user).ok_or(KubeconfigError::Absent { what: "the user" })?;
    let files = Files { folder, allowed: allowed.files };
    let mut notes = Vec::new();
    let settings = settings(cluster.name(), &cluster.cluster, files, allowed, &mut notes)?;
    let (auth_method, secrets) = secrets(&user.user, files, &mut notes)?;
    Ok(Found {
        source: format!("kubeconfig:{}", word(chosen.name())),
        name: connector_name(chosen.name()),
        connector_type: "kubernetes",
        auth_method,
        secret_expires_at: secrets.iter().find(|(name, _)| *name == "token").and_then(|(_, token)| end_of(token)),
        settings,
        secrets,
        notes,
    })
}

/// The one with this name; none when there are two, as client-go has it.
fn only<'a, T: Named>(list: &'a [T], name: &str) -> Option<&'a T> {
    let mut same = list.iter().filter(|one| one.name() == name);
    same.next().filter(|_| same.next().is_none())
}

fn no_context(config: &Kubeconfig) -> KubeconfigError {
    let known: Vec<String> = config.contexts.iter().take(NAMED_CONTEXTS_MAX).map(|one| word(&one.name)).collect();
    KubeconfigError::Context { known: if known.is_empty() { "none".to_owned() } else { known.join(", ") } }
}

fn settings(
    name: &str,
    cluster: &Cluster,
    files: Files<'_>,
    allowed: Allowed,
    notes: &mut Vec<String>,
) -> Result<Map<String, Value>, KubeconfigError> {
    let refused = |what, remedy| Err(KubeconfigError::Refused { what, remedy });
    if set(&cluster.proxy_url).is_some() {
        return refused("proxy-url", "the server goes to clusters by itself; give it a way to the cluster");
    }
    if set(&cluster.tls_server_name).is_some() {
        return refused("tls-server-name", "name the cluster by an address that its certificate has");
    }
    let cluster_name = cluster_name(name);
    if cluster_name != name {
        notes.push(format!("the cluster is called {cluster_name} here; --set cluster_name=... calls it otherwise"));
    }
    let mut settings = Map::new();
    settings.insert("server".to_owned(), json!(cluster.server.trim_end_matches('/')));
    settings.insert("cluster_name".to_owned(), json!(cluster_name));
    if cluster.insecure_skip_tls_verify {
        if !allowed.insecure {
            let danger = "whoever is between the server and the cluster reads the credential then";
            return Err(KubeconfigError::Unasked {
                what: "insecure-skip-tls-verify",
                flag: "--allow-insecure",
                danger,
            });
        }
        settings.insert("insecure".to_owned(), json!(true));
        notes.push("INSECURE: the certificate of this cluster is not verified".to_owned());
        return Ok(settings);
    }
    let data = set(&cluster.certificate_authority_data);
    let pem = files.either("certificate-authority", data, set(&cluster.certificate_authority), notes)?;
    if let Some(pem) = pem {
        let problem = "must be PEM text";
        let text =
            std::str::from_utf8(&pem).map_err(|_| KubeconfigError::Field { field: "certificate-authority", problem });
        settings.insert("certificate_authority".to_owned(), json!(text?));
    }
    Ok(settings)
}

type Secrets = Vec<(&'static str, Zeroizing<Vec<u8>>)>;

fn secrets(user: &User, files: Files<'_>, notes: &mut Vec<String>) -> Result<(&'static str, Secrets), KubeconfigError> {
    let refused = |what, remedy| Err(KubeconfigError::Refused { what, remedy });
    if user.exec.is_some() {
        let remedy = "valetkey runs no program out of a kubeconfig; make a service account for valetkey and register a \
                      token of it (kubectl create token), or use the type aws, gcp or azure for EKS, GKE or AKS";
        return refused("exec", remedy);
    }
    if user.auth_provider.is_some() {
        let remedy = "it would run a program or refresh somebody's own login; make a service account for valetkey and \
                      register a token of it (kubectl create token)";
        return refused("auth-provider", remedy);
    }
    if set(&user.impersonate).is_some() {
        return refused("as", "valetkey acts as itself alone; bind the rights to the user of the credential");
    }
    let bytes = |text: &str| Zeroizing::new(text.trim().as_bytes().to_vec());
    if let Some(token) = files.either("tokenFile", None, set(&user.token_file), notes)? {
        return Ok(("token", vec![("token", Zeroizing::new(token.trim_ascii().to_vec()))]));
    }
    if let Some(token) = set(&user.token) {
        return Ok(("token", vec![("token", bytes(token))]));
    }
    let certificate = set(&user.client_certificate_data);
    let certificate = files.either("client-certificate", certificate, set(&user.client_certificate), notes)?;
    let key = files.either("client-key", set(&user.client_key_data), set(&user.client_key), notes)?;
    if let Some((certificate, key)) = certificate.zip(key) {
        return Ok(("token", vec![("client_certificate", certificate), ("client_key", key)]));
    }
    if let Some((username, password)) = set(&user.username).zip(set(&user.password)) {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        return Ok(("password", vec![("username", bytes(username)), ("password", password)]));
    }
    refused("a user with no credential", "it needs a token, a client certificate with its key, or a password")
}

/// The files that a kubeconfig names, relative to where it is.
#[derive(Clone, Copy)]
struct Files<'a> {
    folder: &'a Path,
    allowed: bool,
}

impl Files<'_> {
    /// What is in the kubeconfig, else what is in the file it names.
    fn either(
        self,
        what: &'static str,
        data: Option<&str>,
        path: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KubeconfigError> {
        if let Some(data) = data {
            let packed = Zeroizing::new(data.split_ascii_whitespace().collect::<String>());
            let problem = "its data is no base64";
            let bytes = STANDARD.decode(packed.as_bytes()).map_err(|_| KubeconfigError::Field { field: what, problem });
            return bytes.map(|bytes| Some(Zeroizing::new(bytes)));
        }
        let Some(path) = path else { return Ok(None) };
        if !self.allowed {
            let danger = "the kubeconfig says which file of this machine is read and sent to the server";
            return Err(KubeconfigError::Unasked { what, flag: "--allow-files", danger });
        }
        let path = self.folder.join(path);
        let (bytes, _) = contents(&path, NAMED_BYTES_MAX)?;
        notes.push(format!("{what} was read from {}", word(&path.display().to_string())));
        Ok(Some(bytes))
    }
}

/// What is in a regular file, and whether others may read it. Does not wait on
/// a fifo somebody put there.
fn contents(path: &Path, bytes_max: u64) -> Result<(Zeroizing<Vec<u8>>, bool), KubeconfigError> {
    let unreadable = |source| KubeconfigError::Unreadable { path: path.to_owned(), source };
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(unreadable(io::ErrorKind::InvalidInput.into()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    Ok((bytes, facts.mode() & 0o077 != 0))
}

/// The end that a service account token claims, to be shown before it is
/// registered. The server reads it by itself, and that of a certificate.
fn end_of(token: &[u8]) -> Option<String> {
    claimed_end(std::str::from_utf8(token).ok()?).map(|end| end.to_string())
}

/// A name that the type takes, from what clouds and tools call clusters.
fn cluster_name(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = name.chars().map(letter).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    // Of a long name the end tells more: ARNs and paths end in what is theirs.
    let name = name.get(name.len().saturating_sub(CLUSTER_LENGTH_MAX)..).unwrap_or(name);
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "cluster".to_owned() } else { name.to_owned() }
}

/// A name for the connector.
fn connector_name(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(letter).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let name: String = name.chars().take(NAME_LENGTH_MAX).collect();
    let name = name.trim_end_matches('-');
    if name.is_empty() { "kubernetes".to_owned() } else { name.to_owned() }
}

/// A name of the file, fit to be shown.
fn word(text: &str) -> String {
    text.chars().take(WORD_LENGTH_MAX).map(|c| if c.is_control() { '?' } else { c }).collect()
}

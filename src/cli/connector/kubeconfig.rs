//! `valetkey connector register NAME --kubeconfig FILE`: one context of a
//! kubeconfig becomes a connector.
//!
//! `config` reads the file and decides what of it is taken; what is dangerous
//! is asked for by name here. Says what was read, of secrets the names alone.

use std::path::PathBuf;

use clap::Args;

use crate::cli::connector_type::auth_method;
use crate::cli::escape::escape;
use crate::cli::failure::Failure;
use crate::cli::moment::Moment;
use crate::cli::secrets::Secrets;
use crate::cli::session::Session;
use crate::cli::settings::complete;
use crate::config::found::Found;
use crate::config::found::kubeconfig::{Allowed, KubeconfigError, read};

use super::register::{RegisterArgs, store};

/// What a kubeconfig is about.
const CLUSTER: &str = "kubernetes-cluster";

/// A kubeconfig to register.
#[derive(Args)]
pub(super) struct KubeconfigArgs {
    /// Read cluster and credential from a kubeconfig; exec plugins and auth
    /// providers in it are refused
    #[arg(long, value_name = "FILE", conflicts_with_all = ["connector_type", "method", "secret", "secrets"])]
    kubeconfig: Option<PathBuf>,
    /// Which context of it; the current one otherwise
    #[arg(long, value_name = "CONTEXT", requires = "kubeconfig")]
    context: Option<String>,
    /// Take a cluster whose certificate is not to be verified
    #[arg(long, requires = "kubeconfig")]
    allow_insecure: bool,
    /// Read the files of this machine that the kubeconfig names
    #[arg(long, requires = "kubeconfig")]
    allow_files: bool,
}

impl KubeconfigArgs {
    /// What is in the file, when one was named.
    ///
    /// # Errors
    /// Usage: why it is not taken, and what to do.
    pub(super) fn read(&self) -> Result<Option<Found>, Failure> {
        let allowed = Allowed { insecure: self.allow_insecure, files: self.allow_files };
        let found = self.kubeconfig.as_deref().map(|path| read(path, self.context.as_deref(), allowed)).transpose();
        found.map_err(|error| refusal(&error))
    }
}

fn refusal(error: &KubeconfigError) -> Failure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::usage(format!("--kubeconfig: {error}{cause}"))
}

/// Runs the command on what was read.
///
/// # Errors
/// What the daemon answered; usage, when settings are wrong or missing.
pub(super) async fn run(session: &Session, args: RegisterArgs, found: Found) -> Result<(), Failure> {
    let terminal = session.terminal.as_ref();
    let method = auth_method(session, found.connector_type, found.auth_method).await?;
    let known = method.settings()?;
    let mut settings = args.settings.over(found.settings, &known)?;
    complete(&mut settings, &known, terminal)?;
    let secrets = Secrets::of(found.secrets.into_iter().map(|(name, value)| (name.to_owned(), value)));
    secrets.refuse_unknown(&method.wanted())?;
    let mut ask = args.into_request()?;
    ask.connector_type = found.connector_type.to_owned();
    ask.auth_method = found.auth_method.to_owned();
    if ask.resource_type.is_empty() {
        // There is no other of this type: nobody needs to say it with a mint.
        CLUSTER.clone_into(&mut ask.resource_type);
    }
    let ends = found.secret_expires_at.as_deref().and_then(Moment::parse).map(Moment::to_proto);
    ask.secret_expires_at = ask.secret_expires_at.or(ends);
    found.notes.iter().for_each(|note| terminal.tell(&escape(&format!("note: {note}"))));
    store(session, ask, settings, &secrets).await
}

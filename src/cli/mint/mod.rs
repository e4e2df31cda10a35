//! `valetkey mint`: a short-lived, narrowed credential.
//!
//! Owns the ask and the watching. `view` is what is shown, `formats` what
//! other programs read. It keeps no credential: what was printed is gone.

mod formats;
mod view;

use std::time::Duration;

use clap::{ArgGroup, Args};
use tonic::Code;

use crate::proto;
use crate::proto::mint_ask::Source;

use super::failure::{Failure, Kind};
use super::moment::parse_seconds;
use super::pairs::{Access, Pair, labels_of, parse_pair};
use super::session::Session;

use formats::ProgramFormat;
pub(super) use view::{CredentialView, downscope, revocable};

/// Failed tries in a row after which watching gives up.
const WATCH_TRIES_MAX: u32 = 10;
/// Wait before the second try of watching; doubles up to `WATCH_PAUSE_MAX`.
const WATCH_PAUSE: Duration = Duration::from_millis(500);
/// A daemon that restarts is back within this.
const WATCH_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What to mint.
#[derive(Args, Clone)]
#[command(group = ArgGroup::new("source").required(true).args(["component", "connector"]), after_help = "\
Without --format and with -o table, the facts are shown and the values are not.

Examples:
  eval \"$(valetkey mint --component artifacts --format env)\"
  valetkey mint --connector prod-s3 --resource s3://datasets/train --access read --ttl 1h -o json
  valetkey mint --component artifacts --watch --format aws-credential-process
  valetkey mint --connector train --format kubeconfig > kube.yaml
  skopeo copy FROM TO \\
      --src-registry-token \"$(valetkey mint --connector images --format bearer-token)\"
In ~/.aws/config:
  credential_process = /usr/local/bin/valetkey mint --component artifacts --format aws-credential-process")]
pub(super) struct MintArgs {
    /// Through a component: name, id, or a unique prefix of the id
    #[arg(long, value_name = "COMPONENT")]
    component: Option<String>,
    /// By a connector: name, id, or a unique prefix of the id
    #[arg(long, value_name = "CONNECTOR")]
    connector: Option<String>,
    /// The resource type, when the source does not fix it
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    resource_type: String,
    /// The resource, within what the source fixes
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    resource: String,
    /// The access level
    #[arg(long, alias = "access-max", value_enum, value_name = "LEVEL", default_value = "read")]
    access: Access,
    /// How long it should live; the auth method's default otherwise
    #[arg(long, value_name = "LENGTH", value_parser = parse_seconds)]
    ttl: Option<u32>,
    /// The least life it must have left
    #[arg(long, value_name = "LENGTH", value_parser = parse_seconds)]
    min_remaining: Option<u32>,
    /// What the resource type takes beyond that; see `connector-type describe`
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    param: Vec<Pair>,
    /// Print the values for a program
    #[arg(long, value_enum, value_name = "PROGRAM")]
    format: Option<ProgramFormat>,
    /// Print the next credential before the last one ends, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// What kubectl asked for; it puts this into the environment.
    #[arg(long, env = "KUBERNETES_EXEC_INFO", hide = true, hide_env_values = true)]
    exec_info: Option<String>,
}

impl MintArgs {
    fn ask(&self, project: &str) -> proto::MintAsk {
        let component = self.component.clone().map(Source::Component);
        proto::MintAsk {
            project: project.to_owned(),
            source: component.or_else(|| self.connector.clone().map(Source::Connector)),
            resource_type: self.resource_type.clone(),
            resource_id: self.resource.clone(),
            access: self.access.to_proto(),
            ttl_seconds: self.ttl.unwrap_or_default(),
            min_remaining_seconds: self.min_remaining.unwrap_or_default(),
            parameters: labels_of(&self.param),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered; usage, when the credential does not go into the
/// format.
pub(super) async fn run(session: &Session, args: MintArgs) -> Result<(), Failure> {
    if args.watch {
        return watch(session, &args).await;
    }
    let ask = proto::MintCredentialRequest { ask: Some(args.ask(&session.project)) };
    let answer = session.call_spending(ask, async |ask| session.credentials().mint_credential(ask).await).await?;
    let credential = CredentialView::from(answer.credential.unwrap_or_default());
    if let Some(format) = args.format {
        return session.output.write(&formats::write(&credential, format, args.exec_info.as_deref())?);
    }
    session.output.record(&credential)?;
    session.output.say(&formats::ways_to_the_values(&credential))
}

/// Prints credentials as they come; connects again when the daemon restarts.
async fn watch(session: &Session, args: &MintArgs) -> Result<(), Failure> {
    let mut failed = 0;
    let mut pause = WATCH_PAUSE;
    loop {
        let mut printed = false;
        let failure = match watch_once(session, args, &mut printed).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        if printed {
            (failed, pause) = (0, WATCH_PAUSE);
        }
        failed += 1;
        if failure.kind != Kind::Unavailable || senseless(&failure) || failed >= WATCH_TRIES_MAX {
            return Err(failure);
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(WATCH_PAUSE_MAX);
    }
}

/// What the cloud answered makes no sense: asking again may use up a source
/// credential that each use replaces, and comes to nothing.
fn senseless(failure: &Failure) -> bool {
    failure.reason.as_deref() == Some("UPSTREAM_BAD_ANSWER")
}

async fn watch_once(session: &Session, args: &MintArgs, printed: &mut bool) -> Result<(), Failure> {
    let ask = proto::WatchCredentialRequest { ask: Some(args.ask(&session.project)) };
    let mut credentials = session.credentials().watch_credential(ask).await?.into_inner();
    loop {
        let answer = match credentials.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(()),
            // A connection that broke in the middle of a stream.
            Err(status) if matches!(status.code(), Code::Unknown | Code::Internal) => {
                return Err(Failure { kind: Kind::Unavailable, ..Failure::from(status) });
            }
            Err(status) => return Err(status.into()),
        };
        let credential = CredentialView::from(answer.credential.unwrap_or_default());
        match args.format {
            Some(format) => {
                session.output.write(&formats::write(&credential, format, args.exec_info.as_deref())?)?;
            }
            None => session.output.item(&credential)?,
        }
        *printed = true;
    }
}

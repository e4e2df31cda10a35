//! `valetkey ssh-agent`: sign in over SSH with a key that stays in the daemon,
//! or with a certificate for a key that lives as long as the agent.
//!
//! Owns the command, its socket and the program it runs. `lender` mints and
//! has signed; the conversation with `ssh` is the agent room's. Nothing is
//! written to disk but the socket.

mod lender;
mod own_key;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use clap::{ArgGroup, Args};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::ssh::{Lender, Socket, serve};
use crate::proto;
use crate::proto::mint_ask::Source;

use super::failure::{Failure, Kind};
use super::moment::parse_seconds;
use super::pairs::Access;
use super::session::{Session, request_id};

use lender::Remote;

/// Where `ssh` looks for its agent.
const VARIABLE: &str = "SSH_AUTH_SOCK";
/// Where runtime files go when the environment names no folder.
const RUNTIME_DIR: &str = "/tmp";
/// What shells add to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// What to lend.
#[derive(Args, Clone)]
#[command(group = ArgGroup::new("source").required(true).args(["component", "connector"]), after_help = "\
Without a command it runs until Ctrl-C and prints the line to paste into the shell that needs it.

Examples:
  valetkey ssh-agent --connector gpu-hosts --resource gpu1.example.com -- ssh trainer@gpu1.example.com
  valetkey ssh-agent --component trainer --socket /run/user/1000/valetkey/agent.sock")]
pub(in crate::cli) struct SshAgentArgs {
    /// Through a component: name, id, or a unique prefix of the id
    #[arg(long, value_name = "COMPONENT")]
    component: Option<String>,
    /// By a connector: name, id, or a unique prefix of the id
    #[arg(long, value_name = "CONNECTOR")]
    connector: Option<String>,
    /// A host, within what the source fixes; may be repeated
    #[arg(long, value_name = "HOST")]
    resource: Vec<String>,
    /// The access level
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "read")]
    access: Access,
    /// How long a certificate or a signing session lives; another is minted in time
    #[arg(long, value_name = "LENGTH", value_parser = parse_seconds)]
    ttl: Option<u32>,
    /// The socket, in a folder that is yours alone; a new one otherwise
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where runtime files go.
    #[arg(long, env = "XDG_RUNTIME_DIR", hide = true, hide_env_values = true)]
    runtime_dir: Option<PathBuf>,
    /// Run this with the agent, and end with it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl SshAgentArgs {
    fn asks(&self, project: &str) -> Vec<proto::MintAsk> {
        let ask = |resource: &str| proto::MintAsk {
            project: project.to_owned(),
            source: (self.component.clone().map(Source::Component))
                .or_else(|| self.connector.clone().map(Source::Connector)),
            resource_type: "ssh-host".to_owned(),
            resource_id: resource.to_owned(),
            access: self.access.to_proto(),
            ttl_seconds: self.ttl.unwrap_or_default(),
            ..Default::default()
        };
        match self.resource.as_slice() {
            [] => vec![ask("")],
            hosts => hosts.iter().map(|host| ask(host)).collect(),
        }
    }

    fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| {
            let folder = self.runtime_dir.clone().unwrap_or_else(|| RUNTIME_DIR.into());
            folder.join(format!("valetkey-ssh-{}", request_id())).join("agent.sock")
        })
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered to the first mint; the socket; the exit code of
/// the program that was run.
pub(in crate::cli) async fn run(session: &Session, args: SshAgentArgs) -> Result<(), Failure> {
    let lender = Arc::new(Remote::open(session, args.asks(&session.project)).await?);
    let path = args.path();
    let socket = Socket::bind(&path).map_err(|error| {
        Failure::failed(format!("no socket at {}: {error}", path.display())).hint("choose another with --socket")
    })?;
    let lender: Arc<dyn Lender> = lender;
    let Some((program, arguments)) = args.command.split_first() else {
        session
            .output
            .write(&format!("export {VARIABLE}='{}'\n", path.display().to_string().replace('\'', "'\\''")))?;
        serve(&socket, lender, stopped()?).await;
        return Ok(());
    };
    let stop = stopped()?;
    let mut command = Command::new(program);
    let started = command.args(arguments).env(VARIABLE, &path).kill_on_drop(true).spawn();
    let cannot = |error| Failure::failed(format!("cannot run {}: {error}", program.to_string_lossy()));
    let mut child = started.map_err(cannot)?;
    let mut ended = None;
    serve(&socket, lender, async { ended = finished(&mut child, stop).await }).await;
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Failure::new(Kind::Command(code_of(status)), "the command failed")),
        None => Err(Failure::failed("stopped before the command ended")),
    }
}

async fn finished(child: &mut Child, stop: impl Future<Output = ()>) -> Option<ExitStatus> {
    tokio::select! {
        status = child.wait() => status.ok(),
        () = stop => None,
    }
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|number| SIGNALLED + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(Kind::Failed.exit_code())
}

/// Done when somebody ends the agent.
fn stopped() -> Result<impl Future<Output = ()>, Failure> {
    let hear = |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot hear signals: {error}")));
    let (mut interrupt, mut terminate) = (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?);
    let mut hang_up = hear(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

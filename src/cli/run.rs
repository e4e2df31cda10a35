//! `valetkey run`: one execution of a pipeline on a stack.
//!
//! Owns the view of a run and the one place where the token of a new one is
//! shown. The call that starts one is not retried: a lost answer is a lost
//! token.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::proto;

use super::failure::Failure;
use super::issuance::RevokedView;
use super::moment::{self, Moment, parse_seconds};
use super::output::{Facts, Record, Row};
use super::pages::{LimitArgs, PageAsk, gather};
use super::session::{Session, request_id};
use super::token::{TokenFile, Zeroized};

/// What to do with runs.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Start a run on a stack and show its token, this once
    ///
    /// The token mints through the components of that stack and does nothing
    /// else, as long as you may, until the run is finished or at its end.
    #[command(after_help = "\
Examples:
  valetkey run start --stack prod --name nightly --token-out run.token
  valetkey run start --stack prod --max-duration 2h -o json
  VALETKEY_TOKEN_FILE=run.token valetkey mint --component artifacts --format env")]
    Start(StartArgs),
    /// Let the token of a run live on; the run does not get longer
    #[command(after_help = "\
Examples:
  valetkey run renew nightly
  VALETKEY_TOKEN_FILE=run.token valetkey run renew --self")]
    Renew(RenewArgs),
    /// End a run: its token is refused from now on
    #[command(after_help = "\
Examples:
  valetkey run finish nightly --revoke
  VALETKEY_TOKEN_FILE=run.token valetkey run finish --self")]
    Finish(FinishArgs),
    /// List runs, newest first
    #[command(after_help = "\
Examples:
  valetkey run list --live
  valetkey run list --stack prod --principal bob")]
    List(ListArgs),
    /// Describe a run
    #[command(after_help = "\
Examples:
  valetkey run describe nightly
  VALETKEY_TOKEN_FILE=run.token valetkey run describe --self")]
    Describe(WhichArgs),
}

/// A new run.
#[derive(Args)]
pub(super) struct StartArgs {
    /// The stack: name, id, or a unique prefix of the id
    #[arg(long, value_name = "STACK")]
    stack: String,
    /// A label for people; several runs may have it
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// How long the run lasts at the longest, at most 7d
    #[arg(long, value_name = "LENGTH", default_value = "24h", value_parser = parse_seconds)]
    max_duration: u32,
    /// How long its token lives without a renewal, at most 1h
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = parse_seconds)]
    ttl: u32,
    /// Write the token into this new file, mode 0600, instead of showing it
    #[arg(long, value_name = "FILE")]
    token_out: Option<PathBuf>,
}

/// Which run.
#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).args(["run", "own"]))]
pub(super) struct WhichArgs {
    /// Name, id, or a unique prefix of the id; a name is of the run that goes
    /// on under it, or of the last one that did
    #[arg(value_name = "RUN", default_value = "", hide_default_value = true)]
    run: String,
    /// The run whose token this is
    #[arg(long = "self")]
    own: bool,
}

/// Which run to renew.
#[derive(Args)]
pub(super) struct RenewArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// How long its token lives from now on, at most 1h
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = parse_seconds)]
    ttl: u32,
}

/// Which run to finish.
#[derive(Args)]
pub(super) struct FinishArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// End what it minted, where the clouds can
    #[arg(long)]
    revoke: bool,
}

/// Which runs to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only on this stack
    #[arg(long, value_name = "STACK", default_value = "", hide_default_value = true)]
    stack: String,
    /// Only started by this principal
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    principal: String,
    /// Only those that go on now
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    limit: LimitArgs,
}

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct RunView {
    /// A UUID.
    id: String,
    /// The project's name.
    project: String,
    /// A label for people.
    name: String,
    /// The stack's id.
    stack_id: String,
    /// The stack's name at that time.
    stack: String,
    /// Who started it.
    principal: String,
    /// `running`, `finished` or `expired`.
    state: String,
    /// When it was started.
    started_at: Option<Moment>,
    /// When it ends, however often it is renewed.
    ends_at: Option<Moment>,
    /// When its token ends, unless it is renewed.
    token_expires_at: Option<Moment>,
    /// When it was finished.
    finished_at: Option<Moment>,
}

/// A run that was just started, with its token unless a file got it. No Debug:
/// it holds the token.
#[derive(Serialize)]
pub(super) struct StartedView {
    #[serde(flatten)]
    run: RunView,
    /// The token itself, shown this once; null when a file got it.
    secret: Option<Zeroized>,
}

/// A run that is over, with what clouds may still honour.
#[derive(Debug, Serialize)]
pub(super) struct FinishedView {
    #[serde(flatten)]
    run: RunView,
    /// What it minted that was still alive, with what became of it.
    credentials: Vec<RevokedView>,
    /// It minted more than these that is still alive.
    more: bool,
}

impl From<proto::Run> for RunView {
    fn from(run: proto::Run) -> Self {
        Self {
            started_at: Moment::from_proto(run.started_at.as_ref()),
            ends_at: Moment::from_proto(run.ends_at.as_ref()),
            token_expires_at: Moment::from_proto(run.token_expires_at.as_ref()),
            finished_at: Moment::from_proto(run.finished_at.as_ref()),
            id: run.id,
            project: run.project,
            name: run.name,
            stack_id: run.stack_id,
            stack: run.stack,
            principal: run.principal,
            state: run.state,
        }
    }
}

impl From<proto::FinishRunResponse> for FinishedView {
    fn from(answer: proto::FinishRunResponse) -> Self {
        Self {
            run: RunView::from(answer.run.unwrap_or_default()),
            credentials: answer.credentials.into_iter().map(RevokedView::from).collect(),
            more: answer.more,
        }
    }
}

impl RunView {
    /// `name (id)`, for where a run is one fact among others.
    pub(super) fn in_words(&self) -> String {
        format!("{} ({}) on stack {}", self.name, self.id, self.stack)
    }
}

impl Record for RunView {
    fn facts(&self, now: Moment) -> Facts {
        let some = |moment: Option<Moment>| moment.map(|m| m.words(now)).unwrap_or_default();
        let token = if self.state == "running" { some(self.token_expires_at) } else { String::new() };
        vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("project", self.project.clone()),
            ("stack", self.stack.clone()),
            ("started by", self.principal.clone()),
            ("state", self.state.clone()),
            ("started", some(self.started_at)),
            ("ends", some(self.ends_at)),
            ("token expires", token),
            ("finished", some(self.finished_at)),
        ]
    }
}

impl Record for StartedView {
    fn facts(&self, now: Moment) -> Facts {
        let token = self.secret.as_ref().map(|secret| secret.0.to_string()).unwrap_or_default();
        std::iter::once(("token", token)).chain(self.run.facts(now)).collect()
    }
}

impl Record for FinishedView {
    fn facts(&self, now: Moment) -> Facts {
        self.run.facts(now)
    }
}

impl Row for RunView {
    const HEAD: &'static [&'static str] = &["name", "id", "stack", "started by", "state", "started", "ends"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.name.clone(),
            self.id.clone(),
            self.stack.clone(),
            self.principal.clone(),
            self.state.clone(),
            moment::words(self.started_at, now),
            moment::words(self.ends_at, now),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered; or the file for the token cannot be written.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Start(args) => start(session, args).await,
        Verb::Renew(args) => renew(session, args).await,
        Verb::Finish(args) => finish(session, args).await,
        Verb::List(args) => list(session, args).await,
        Verb::Describe(args) => describe(session, args).await,
    }
}

async fn start(session: &Session, args: StartArgs) -> Result<(), Failure> {
    // Before the call: a token that cannot be written down is lost.
    let file = args.token_out.as_deref().map(TokenFile::new).transpose()?;
    let ask = proto::StartRunRequest {
        project: session.project.clone(),
        stack: args.stack,
        name: args.name,
        max_duration_seconds: args.max_duration,
        ttl_seconds: args.ttl,
        request_id: request_id(),
    };
    let answer = session.call_once(ask, async |ask| session.runs().start_run(ask).await).await?;
    let secret = Zeroizing::new(answer.secret);
    let run = RunView::from(answer.run.unwrap_or_default());
    let Some(file) = file else {
        session.output.record(&StartedView { run, secret: Some(Zeroized(secret)) })?;
        return session.output.say("this token is not shown again");
    };
    file.keep(&secret).map_err(|error| {
        Failure::failed(format!(
            "run {0} goes on, its token cannot be written: {error}; valetkey run finish {0}",
            run.id
        ))
    })?;
    session.output.record(&StartedView { run, secret: None })
}

async fn renew(session: &Session, args: RenewArgs) -> Result<(), Failure> {
    let ask = proto::RenewRunRequest {
        project: session.project.clone(),
        run: args.which.run,
        ttl_seconds: args.ttl,
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.runs().renew_run(ask).await).await?;
    session.output.record(&RunView::from(answer.run.unwrap_or_default()))
}

async fn finish(session: &Session, args: FinishArgs) -> Result<(), Failure> {
    let mut view = finish_once(session, &args).await?;
    // With its own token nobody can ask again: that has ended with the run.
    while args.revoke && view.more && !args.which.own {
        eprintln!("{} done; there are more", view.credentials.len());
        let next = finish_once(session, &args).await?;
        view.credentials.extend(next.credentials);
        view.more = next.more;
    }
    session.output.record(&view)?;
    if !session.output.for_people() || view.credentials.is_empty() {
        return Ok(());
    }
    session.output.say("what it minted and was alive until now:")?;
    session.output.list(&view.credentials)?;
    if view.more {
        session.output.say(&format!("and more: valetkey issuance list --active --run {}", view.run.id))?;
    }
    Ok(())
}

async fn finish_once(session: &Session, args: &FinishArgs) -> Result<FinishedView, Failure> {
    let ask = proto::FinishRunRequest {
        project: session.project.clone(),
        run: args.which.run.clone(),
        revoke: args.revoke,
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.runs().finish_run(ask).await).await?;
    Ok(FinishedView::from(answer))
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let runs = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListRunsRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
            principal: args.principal.clone(),
            stack: args.stack.clone(),
            live_only: args.live,
        };
        let answer = session.call(ask, async |ask| session.runs().list_runs(ask).await).await?;
        Ok((answer.runs, answer.next_page_token))
    })
    .await?;
    session.output.list(&runs.into_iter().map(RunView::from).collect::<Vec<_>>())
}

async fn describe(session: &Session, args: WhichArgs) -> Result<(), Failure> {
    let ask = proto::DescribeRunRequest { project: session.project.clone(), run: args.run };
    let answer = session.call(ask, async |ask| session.runs().describe_run(ask).await).await?;
    session.output.record(&RunView::from(answer.run.unwrap_or_default()))
}

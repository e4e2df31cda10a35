//! `valetkey audit`: the ledger.
//!
//! Owns the view of a ledger line. `audit verify` reads the data directory and
//! not a daemon; it is handed to whoever runs this room.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::proto;

use super::args::VerifyArgs;
use super::failure::Failure;
use super::moment::{Moment, When, parse_when};
use super::output::Row;
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::{given, labels_in_words, or_dash};
use super::session::Session;

/// What to do with the ledger.
#[derive(Subcommand)]
pub(super) enum Verb {
    #[command(flatten)]
    Remote(RemoteVerb),
    /// Check the whole ledger in a data directory; needs no daemon
    #[command(after_help = "\
Examples:
  valetkey audit verify --data-dir /srv/valetkey
  valetkey audit verify --expect-head 1200:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    Verify(VerifyArgs),
}

/// What a daemon does with its ledger.
#[derive(Subcommand)]
pub(super) enum RemoteVerb {
    /// List lines, newest first
    #[command(after_help = "\
Examples:
  valetkey audit list --since 1h --outcome denied
  valetkey audit list --run nightly
  valetkey audit list --principal bob --connector prod-s3 -o json")]
    List(ListArgs),
    /// Show lines as they are written, until Ctrl-C
    #[command(after_help = "\
Examples:
  valetkey audit tail
  valetkey audit tail --after 1200 -o json")]
    Tail(TailArgs),
}

/// Which lines to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only of this principal: name or id
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    principal: String,
    /// Only about this connector
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    connector: String,
    /// Only of this run, what was done in it and what was done to it: name or id
    #[arg(long, value_name = "RUN", default_value = "", hide_default_value = true)]
    run: String,
    /// Only with this outcome
    #[arg(long, value_name = "OUTCOME",
        value_parser = ["pending", "ok", "denied", "malformed", "throttled", "failed", "unknown"])]
    outcome: Option<String>,
    /// Not before: a time, or that long ago
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    since: Option<When>,
    /// Before: a time, or that long ago
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    until: Option<When>,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Where to begin.
#[derive(Args)]
pub(super) struct TailArgs {
    /// Begin after the line with this number; 0 means now
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
}

/// A line of the ledger.
#[derive(Debug, Serialize)]
pub(super) struct AuditLineView {
    /// Gapless, from 1.
    seq: u64,
    /// Wall clock; the order is `seq`.
    at: Option<Moment>,
    /// `intent`, `result` or `single`.
    kind: String,
    /// The number of the intent that a result closes; null when it closes none.
    intent_seq: Option<u64>,
    /// For example `valetkey.v1.CredentialService/MintCredential`.
    method: String,
    /// The principal's id.
    principal_id: Option<String>,
    /// The principal's name.
    principal_name: Option<String>,
    /// The run that the principal acted in.
    run_id: Option<String>,
    /// The project's name.
    project: Option<String>,
    /// The connector's id.
    connector_id: Option<String>,
    /// The component's id.
    component_id: Option<String>,
    /// What else it was about.
    subject: Option<String>,
    /// The canonical resource.
    resource_id: Option<String>,
    /// `read`, `write` or `admin`.
    access: Option<String>,
    /// `pending`, `ok`, `denied`, `malformed`, `throttled`, `failed` or
    /// `unknown`.
    outcome: String,
    /// Why, as a reason code.
    reason: Option<String>,
    /// The issuance's id.
    issuance_id: Option<String>,
    /// When the minted credential ends.
    expires_at: Option<Moment>,
    /// Keyed digest of the peer's address.
    source: Option<String>,
    /// How many calls this line stands for.
    count: u32,
    /// Details in words.
    details: BTreeMap<String, String>,
    /// The hash of the line, in hexadecimal.
    hash: String,
}

impl From<proto::AuditLine> for AuditLineView {
    fn from(line: proto::AuditLine) -> Self {
        Self {
            seq: line.seq,
            at: Moment::from_proto(line.at.as_ref()),
            kind: line.kind,
            intent_seq: (line.intent_seq > 0).then_some(line.intent_seq),
            method: line.method,
            principal_id: given(line.principal_id),
            principal_name: given(line.principal_name),
            run_id: given(line.run_id),
            project: given(line.project),
            connector_id: given(line.connector_id),
            component_id: given(line.component_id),
            subject: given(line.subject),
            resource_id: given(line.resource_id),
            access: given(line.access),
            outcome: line.outcome,
            reason: given(line.reason),
            issuance_id: given(line.issuance_id),
            expires_at: Moment::from_proto(line.expires_at.as_ref()),
            source: given(line.source),
            count: line.count,
            details: line.details,
            hash: line.hash,
        }
    }
}

impl AuditLineView {
    /// What it was about, in few words.
    fn about(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.run_id.iter().map(|id| format!("in run {id}")));
        words.extend(self.connector_id.iter().map(|id| format!("connector {id}")));
        words.extend(self.component_id.iter().map(|id| format!("component {id}")));
        words.extend(self.subject.iter().cloned());
        words.extend(self.resource_id.iter().cloned());
        words.extend(self.access.iter().cloned());
        words.extend(self.reason.iter().cloned());
        if !self.details.is_empty() {
            words.push(labels_in_words(&self.details));
        }
        if self.count > 1 {
            words.push(format!("{} calls", self.count));
        }
        words.join(" ")
    }
}

impl Row for AuditLineView {
    const HEAD: &'static [&'static str] = &["seq", "at", "kind", "principal", "method", "outcome", "about"];
    const SPARE: &'static [&'static str] = &["kind"];

    fn cells(&self, _: Moment) -> Vec<String> {
        let method = self.method.rsplit('/').next().unwrap_or_default();
        vec![
            self.seq.to_string(),
            self.at.map_or_else(|| "-".to_owned(), Moment::whole_seconds),
            self.kind.clone(),
            or_dash(self.principal_name.as_ref().or(self.principal_id.as_ref())),
            method.to_owned(),
            self.outcome.clone(),
            self.about(),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: RemoteVerb) -> Result<(), Failure> {
    match verb {
        RemoteVerb::List(args) => list(session, args).await,
        RemoteVerb::Tail(args) => tail(session, args).await,
    }
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let now = Moment::now();
    let since = args.since.map(|when| when.moment(now)).transpose()?;
    let until = args.until.map(|when| when.moment(now)).transpose()?;
    let lines = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListAuditLinesRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
            principal: args.principal.clone(),
            connector: args.connector.clone(),
            outcome: args.outcome.clone().unwrap_or_default(),
            since: since.map(Moment::to_proto),
            until: until.map(Moment::to_proto),
            run: args.run.clone(),
        };
        let answer = session.call(ask, async |ask| session.audit().list_audit_lines(ask).await).await?;
        Ok((answer.lines, answer.next_page_token))
    })
    .await?;
    session.output.list(&lines.into_iter().map(AuditLineView::from).collect::<Vec<_>>())
}

/// Goes on until the daemon ends the stream or the process ends.
async fn tail(session: &Session, args: TailArgs) -> Result<(), Failure> {
    let ask = proto::TailAuditLinesRequest { project: session.project.clone(), after_seq: args.after };
    let mut lines = session.audit().tail_audit_lines(ask).await?.into_inner();
    while let Some(answer) = lines.message().await? {
        if let Some(line) = answer.line {
            session.output.item(&AuditLineView::from(line))?;
        }
    }
    Ok(())
}

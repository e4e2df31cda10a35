//! `valetkey issuance`: the record of what was minted.
//!
//! Owns the view of an issuance, which never holds the credential. What a
//! revoke really did is said by the server, and shown as it is.

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::mint::{downscope, revocable};
use super::moment::{self, Moment};
use super::output::Row;
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::{access_in_words, given};
use super::session::{Session, request_id};

/// What to do with issuances.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// List what was minted, newest first
    #[command(after_help = "\
Examples:
  valetkey issuance list --active
  valetkey issuance list --connector prod-s3 --principal bob
  valetkey issuance list --run nightly")]
    List(ListArgs),
    /// Stop handing out, and end at the cloud where the cloud can
    #[command(after_help = "\
Examples:
  valetkey issuance revoke 4f1c9a 77b2e0
  valetkey issuance revoke --connector prod-s3")]
    Revoke(RevokeArgs),
}

/// Which issuances to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only of this connector
    #[arg(long, value_name = "CONNECTOR", default_value = "", hide_default_value = true)]
    connector: String,
    /// Only of this principal
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    principal: String,
    /// Only minted in this run
    #[arg(long, value_name = "RUN", default_value = "", hide_default_value = true)]
    run: String,
    /// Only those that are alive now
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Which issuances to revoke.
#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["issuances", "connector"]))]
pub(super) struct RevokeArgs {
    /// Ids or unique prefixes of ids
    #[arg(value_name = "ISSUANCE")]
    issuances: Vec<String>,
    /// All that are alive of this connector
    #[arg(long, value_name = "CONNECTOR", default_value = "", hide_default_value = true, conflicts_with = "issuances")]
    connector: String,
}

/// The record of a minted credential.
#[derive(Debug, Serialize)]
pub(super) struct IssuanceView {
    /// A UUID.
    id: String,
    /// The project's name.
    project: String,
    /// The connector's id.
    connector_id: String,
    /// The connector's name at that time.
    connector_name: String,
    /// The component's id, when asked through one.
    component_id: Option<String>,
    /// Who it was minted for.
    principal: String,
    /// The run it was minted in.
    run_id: Option<String>,
    /// The resource type.
    resource_type: String,
    /// Canonical.
    resource_id: String,
    /// The access level.
    access: String,
    /// The scope that is really enforced.
    enforced_scope: String,
    /// `none`, `resource` or `prefix`.
    downscope: &'static str,
    /// `no`, `role-wide` or `single`.
    revocable: &'static str,
    /// It is the long-lived secret itself.
    passthrough: bool,
    /// When it was minted.
    issued_at: Option<Moment>,
    /// When it really ends.
    expires_at: Option<Moment>,
    /// Truncated digest of the credential.
    fingerprint: String,
    /// `active`, `expired`, `withdrawn` or `revoked`.
    state: String,
    /// When it was withdrawn or revoked.
    ended_at: Option<Moment>,
}

/// What became of one issuance.
#[derive(Debug, Serialize)]
pub(super) struct RevokedView {
    /// The issuance as it is now.
    issuance: IssuanceView,
    /// What was done and what is left.
    note: String,
}

impl From<proto::Issuance> for IssuanceView {
    fn from(issuance: proto::Issuance) -> Self {
        Self {
            component_id: given(issuance.component_id),
            run_id: given(issuance.run_id),
            access: access_in_words(issuance.access),
            downscope: downscope(issuance.downscope),
            revocable: revocable(issuance.revocable),
            passthrough: issuance.passthrough,
            issued_at: Moment::from_proto(issuance.issued_at.as_ref()),
            expires_at: Moment::from_proto(issuance.expires_at.as_ref()),
            ended_at: Moment::from_proto(issuance.ended_at.as_ref()),
            id: issuance.id,
            project: issuance.project,
            connector_id: issuance.connector_id,
            connector_name: issuance.connector_name,
            principal: issuance.principal,
            resource_type: issuance.resource_type,
            resource_id: issuance.resource_id,
            enforced_scope: issuance.enforced_scope,
            fingerprint: issuance.fingerprint,
            state: issuance.state,
        }
    }
}

impl From<proto::RevokedIssuance> for RevokedView {
    fn from(revoked: proto::RevokedIssuance) -> Self {
        Self { issuance: IssuanceView::from(revoked.issuance.unwrap_or_default()), note: revoked.note }
    }
}

impl IssuanceView {
    /// What a list shows of it.
    const fn loud(&self) -> &'static str {
        if self.passthrough { "YES" } else { "no" }
    }
}

impl Row for IssuanceView {
    const HEAD: &'static [&'static str] =
        &["id", "principal", "connector", "enforced scope", "passthrough", "state", "issued", "expires"];
    const SPARE: &'static [&'static str] = &["issued", "connector"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.id.clone(),
            self.principal.clone(),
            self.connector_name.clone(),
            self.enforced_scope.clone(),
            self.loud().to_owned(),
            self.state.clone(),
            moment::words(self.issued_at, now),
            moment::words(self.expires_at, now),
        ]
    }
}

impl Row for RevokedView {
    const HEAD: &'static [&'static str] = &["id", "principal", "passthrough", "state", "expires", "what was done"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.issuance.id.clone(),
            self.issuance.principal.clone(),
            self.issuance.loud().to_owned(),
            self.issuance.state.clone(),
            moment::words(self.issuance.expires_at, now),
            self.note.clone(),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List(args) => list(session, args).await,
        Verb::Revoke(args) => revoke(session, args).await,
    }
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let issuances = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListIssuancesRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
            connector: args.connector.clone(),
            principal: args.principal.clone(),
            run: args.run.clone(),
            active_only: args.active,
        };
        let answer = session.call(ask, async |ask| session.credentials().list_issuances(ask).await).await?;
        Ok((answer.issuances, answer.next_page_token))
    })
    .await?;
    session.output.list(&issuances.into_iter().map(IssuanceView::from).collect::<Vec<_>>())
}

async fn revoke(session: &Session, args: RevokeArgs) -> Result<(), Failure> {
    let mut results = Vec::new();
    loop {
        let ask = proto::RevokeIssuancesRequest {
            project: session.project.clone(),
            issuances: args.issuances.clone(),
            connector: args.connector.clone(),
            request_id: request_id(),
        };
        let answer = session.call(ask, async |ask| session.credentials().revoke_issuances(ask).await).await?;
        results.extend(answer.results.into_iter().map(RevokedView::from));
        if !answer.more {
            return session.output.list(&results);
        }
        eprintln!("{} done; there are more", results.len());
    }
}

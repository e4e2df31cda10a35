//! `valetkey access`: what the caller may mint, and how.
//!
//! Owns the view of `AccessService.ListMintable`.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::Row;
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::{access_in_words, given, given_seconds, or_dash};
use super::session::Session;

/// What to ask about your access.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Show what you may mint, with the command that mints it
    #[command(after_help = "\
Example:
  valetkey access can --project ml")]
    Can(CanArgs),
}

/// How much to show.
#[derive(Args)]
pub(super) struct CanArgs {
    #[command(flatten)]
    limit: LimitArgs,
}

/// What to do when there is nothing to mint.
const NOTHING: &str =
    "no role of yours mints: an owner gives one with `valetkey binding create --principal YOU --role data-scientist`";

/// Something the caller may mint.
#[derive(Debug, Serialize)]
pub(super) struct MintableView {
    /// The connector's name.
    connector: String,
    /// The component's name, when it is reached through one.
    component: Option<String>,
    /// Null: any type of the connector.
    resource_type: Option<String>,
    /// A canonical id or the patterns that apply.
    resources: Vec<String>,
    /// The highest level.
    access_max: String,
    /// The longest lifetime; null means the provider's own.
    ttl_max_seconds: Option<u32>,
    /// Through which role.
    role: String,
    /// The command that mints it.
    command: String,
}

impl From<proto::Mintable> for MintableView {
    fn from(mintable: proto::Mintable) -> Self {
        Self {
            connector: mintable.connector,
            component: given(mintable.component),
            resource_type: given(mintable.resource_type),
            resources: mintable.resources,
            access_max: access_in_words(mintable.access_max),
            ttl_max_seconds: given_seconds(mintable.ttl_max_seconds),
            role: mintable.role,
            command: mintable.command,
        }
    }
}

impl Row for MintableView {
    const HEAD: &'static [&'static str] =
        &["connector", "component", "resource type", "resources", "access", "ttl", "role"];
    const SPARE: &'static [&'static str] = &["role"];

    fn cells(&self, _: Moment) -> Vec<String> {
        vec![
            self.connector.clone(),
            or_dash(self.component.as_ref()),
            or_dash(self.resource_type.as_ref()),
            if self.resources.is_empty() { "any".to_owned() } else { self.resources.join(", ") },
            format!("up to {}", self.access_max),
            self.ttl_max_seconds.map_or_else(|| "-".to_owned(), |max| format!("up to {}", moment::lifetime(max))),
            self.role.clone(),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Can(args) => can(session, args).await,
    }
}

async fn can(session: &Session, args: CanArgs) -> Result<(), Failure> {
    let mintable = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListMintableRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
        };
        let answer = session.call(ask, async |ask| session.access().list_mintable(ask).await).await?;
        Ok((answer.mintable, answer.next_page_token))
    })
    .await?;
    let views: Vec<MintableView> = mintable.into_iter().map(MintableView::from).collect();
    session.output.list(&views)?;
    session.output.say(if views.is_empty() { NOTHING } else { "to mint:" })?;
    for view in &views {
        session.output.say(&format!("  {}", view.command))?;
    }
    Ok(())
}

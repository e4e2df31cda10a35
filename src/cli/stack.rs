//! `valetkey stack`: named lists of components.
//!
//! Owns the view of a stack.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record, Row};
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::{Pair, given, labels_in_words, labels_of, parse_etag, parse_pair};
use super::session::{Session, request_id};

/// What to do with stacks.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Register a stack
    #[command(after_help = "\
Example:
  valetkey stack register prod --component artifacts --component registry")]
    Register(RegisterArgs),
    /// List stacks
    #[command(after_help = "\
Example:
  valetkey stack list --label team=ml")]
    List(ListArgs),
    /// Describe a stack
    #[command(after_help = "\
Example:
  valetkey stack describe prod")]
    Describe(NameArgs),
    /// Replace the list of components of a stack
    #[command(after_help = "\
Example:
  valetkey stack update prod --component artifacts --component trainer")]
    Update(UpdateArgs),
    /// Delete a stack; its components stay
    #[command(after_help = "\
Example:
  valetkey stack delete prod")]
    Delete(NameArgs),
}

/// A new stack.
#[derive(Args)]
pub(super) struct RegisterArgs {
    /// Unique in the project
    name: String,
    /// A component: name, id, or a unique prefix of the id; may be repeated
    #[arg(long = "component", value_name = "COMPONENT", required = true)]
    components: Vec<String>,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// A label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<Pair>,
}

/// Which stacks to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<Pair>,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Which stack.
#[derive(Args)]
pub(super) struct NameArgs {
    /// Name, id, or a unique prefix of the id
    stack: String,
}

/// The new list of components.
#[derive(Args)]
pub(super) struct UpdateArgs {
    /// Name, id, or a unique prefix of the id
    stack: String,
    /// A component: name, id, or a unique prefix of the id; may be repeated
    #[arg(long = "component", value_name = "COMPONENT", required = true)]
    components: Vec<String>,
    /// Only if it still has this etag; the one it has now otherwise
    #[arg(long, value_name = "ETAG", value_parser = parse_etag)]
    etag: Option<String>,
}

/// A stack.
#[derive(Debug, Serialize)]
pub(super) struct StackView {
    /// A UUID.
    id: String,
    /// The project's name.
    project: String,
    /// Unique in the project.
    name: String,
    /// Its components.
    components: Vec<StackComponentView>,
    /// For people.
    description: Option<String>,
    /// For filters.
    labels: BTreeMap<String, String>,
    /// Who registered it.
    created_by: Option<String>,
    /// When.
    created_at: Option<Moment>,
    /// When it was last changed.
    updated_at: Option<Moment>,
    /// The version.
    etag: String,
}

/// A component as a stack names it.
#[derive(Debug, Serialize)]
struct StackComponentView {
    /// The component's id.
    id: String,
    /// The component's name.
    name: String,
    /// For example `artifact-store`.
    component_type: String,
}

impl From<proto::Stack> for StackView {
    fn from(stack: proto::Stack) -> Self {
        let component =
            |c: proto::StackComponent| StackComponentView { id: c.id, name: c.name, component_type: c.component_type };
        Self {
            id: stack.id,
            project: stack.project,
            name: stack.name,
            components: stack.components.into_iter().map(component).collect(),
            description: given(stack.description),
            labels: stack.labels,
            created_by: given(stack.created_by),
            created_at: Moment::from_proto(stack.created_at.as_ref()),
            updated_at: Moment::from_proto(stack.updated_at.as_ref()),
            etag: stack.etag,
        }
    }
}

impl StackView {
    fn component_names(&self) -> String {
        let words: Vec<String> = self.components.iter().map(|c| format!("{} ({})", c.name, c.component_type)).collect();
        words.join(", ")
    }
}

impl Record for StackView {
    fn facts(&self, now: Moment) -> Facts {
        vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("project", self.project.clone()),
            ("components", self.component_names()),
            ("description", self.description.clone().unwrap_or_default()),
            ("labels", labels_in_words(&self.labels)),
            ("created", moment::words(self.created_at, now)),
            ("created by", self.created_by.clone().unwrap_or_default()),
            ("updated", moment::words(self.updated_at, now)),
            ("etag", self.etag.clone()),
        ]
    }
}

impl Row for StackView {
    const HEAD: &'static [&'static str] = &["name", "id", "components", "labels"];
    const SPARE: &'static [&'static str] = &["labels"];

    fn cells(&self, _: Moment) -> Vec<String> {
        vec![self.name.clone(), self.id.clone(), self.component_names(), labels_in_words(&self.labels)]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Register(args) => register(session, args).await,
        Verb::List(args) => list(session, args).await,
        Verb::Describe(args) => show(session, fetch(session, args.stack).await?),
        Verb::Update(args) => update(session, args).await,
        Verb::Delete(args) => delete(session, args).await,
    }
}

fn show(session: &Session, stack: proto::Stack) -> Result<(), Failure> {
    session.output.record(&StackView::from(stack))
}

async fn fetch(session: &Session, stack: String) -> Result<proto::Stack, Failure> {
    let ask = proto::DescribeStackRequest { project: session.project.clone(), stack };
    let answer = session.call(ask, async |ask| session.stacks().describe_stack(ask).await).await?;
    Ok(answer.stack.unwrap_or_default())
}

async fn register(session: &Session, args: RegisterArgs) -> Result<(), Failure> {
    let ask = proto::RegisterStackRequest {
        project: session.project.clone(),
        name: args.name,
        components: args.components,
        description: args.description,
        labels: labels_of(&args.labels),
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.stacks().register_stack(ask).await).await?;
    show(session, answer.stack.unwrap_or_default())
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let stacks = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListStacksRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
            labels: labels_of(&args.labels),
        };
        let answer = session.call(ask, async |ask| session.stacks().list_stacks(ask).await).await?;
        Ok((answer.stacks, answer.next_page_token))
    })
    .await?;
    session.output.list(&stacks.into_iter().map(StackView::from).collect::<Vec<_>>())
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let etag = match args.etag {
        Some(etag) => etag,
        None => fetch(session, args.stack.clone()).await?.etag,
    };
    let ask = proto::UpdateStackRequest {
        project: session.project.clone(),
        stack: args.stack,
        components: args.components,
        etag,
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.stacks().update_stack(ask).await).await?;
    show(session, answer.stack.unwrap_or_default())
}

async fn delete(session: &Session, args: NameArgs) -> Result<(), Failure> {
    let ask = proto::DeleteStackRequest {
        project: session.project.clone(),
        stack: args.stack.clone(),
        etag: String::new(),
        request_id: request_id(),
    };
    session.call(ask, async |ask| session.stacks().delete_stack(ask).await).await?;
    session.output.done("deleted", "stack", &args.stack)
}

//! `valetkey binding`: who holds which role, under which conditions.
//!
//! Owns the view of a binding.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment, parse_length, parse_seconds};
use super::output::{Facts, Record, Row};
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::{Access, access_in_words, given, given_seconds};
use super::session::{Session, request_id};

/// What to do with bindings.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Give a role to a principal
    #[command(after_help = "\
Examples:
  valetkey binding create --principal carol --role platform-engineer
  valetkey binding create --principal bob --role data-scientist --connector prod-s3 \\
      --resource-pattern 's3://datasets/train/**' --access-max read --ttl-max 1h --expires-in 30d")]
    Create(CreateArgs),
    /// List bindings
    #[command(after_help = "\
Examples:
  valetkey binding list
  valetkey binding list --principal bob")]
    List(ListArgs),
    /// Take a role away
    #[command(after_help = "\
Example:
  valetkey binding delete 4f1c9a")]
    Delete(DeleteArgs),
}

/// What to give to whom.
#[derive(Args)]
pub(super) struct CreateArgs {
    /// To whom: name, id, or a unique prefix of the id
    #[arg(long, alias = "for", value_name = "NAME")]
    principal: String,
    /// Which role; `valetkey role list` shows them
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// On one connector only
    #[arg(long, value_name = "CONNECTOR", default_value = "", hide_default_value = true, conflicts_with = "component")]
    connector: String,
    /// On one component only
    #[arg(long, value_name = "COMPONENT", default_value = "", hide_default_value = true)]
    component: String,
    /// Only resources that this glob covers: `*` stands for any characters but
    /// `/`, `**` for any; may be repeated
    #[arg(long, value_name = "GLOB")]
    resource_pattern: Vec<String>,
    /// The highest access level
    #[arg(long, value_enum, value_name = "LEVEL")]
    access_max: Option<Access>,
    /// The longest lifetime of a minted credential
    #[arg(long, value_name = "LENGTH", value_parser = parse_seconds)]
    ttl_max: Option<u32>,
    /// End the binding after this long
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    expires_in: Option<Duration>,
}

/// Which bindings to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only of this principal
    #[arg(long, alias = "for", value_name = "NAME", default_value = "", hide_default_value = true)]
    principal: String,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Which binding to delete.
#[derive(Args)]
pub(super) struct DeleteArgs {
    /// The binding's id, or a unique prefix of it
    id: String,
}

/// A role given to a principal.
#[derive(Debug, Serialize)]
pub(super) struct BindingView {
    /// A UUID.
    id: String,
    /// The project's name.
    project: String,
    /// The principal's id.
    principal_id: String,
    /// The principal's name.
    principal_name: String,
    /// For example `data-scientist`.
    role: String,
    /// Set when the binding is on one connector.
    connector_id: Option<String>,
    /// Set when the binding is on one component.
    component_id: Option<String>,
    /// Globs of canonical resource ids; empty means all.
    resource_patterns: Vec<String>,
    /// The highest access level; null means `admin`.
    access_max: Option<String>,
    /// The longest lifetime of a minted credential; null means no limit of its
    /// own.
    ttl_max_seconds: Option<u32>,
    /// When the binding ends, if it does.
    expires_at: Option<Moment>,
    /// Who gave it.
    created_by: Option<String>,
    /// When.
    created_at: Option<Moment>,
}

impl From<proto::Binding> for BindingView {
    fn from(binding: proto::Binding) -> Self {
        let conditions = binding.conditions.unwrap_or_default();
        Self {
            id: binding.id,
            project: binding.project,
            principal_id: binding.principal_id,
            principal_name: binding.principal_name,
            role: binding.role,
            connector_id: given(binding.connector_id),
            component_id: given(binding.component_id),
            resource_patterns: conditions.resource_patterns,
            access_max: given(access_in_words(conditions.access_max)),
            ttl_max_seconds: given_seconds(conditions.ttl_max_seconds),
            expires_at: Moment::from_proto(conditions.expires_at.as_ref()),
            created_by: given(binding.created_by),
            created_at: Moment::from_proto(binding.created_at.as_ref()),
        }
    }
}

impl BindingView {
    /// What the role is held on.
    fn target(&self) -> String {
        match (&self.connector_id, &self.component_id) {
            (Some(connector), _) => format!("connector {connector}"),
            (None, Some(component)) => format!("component {component}"),
            (None, None) => format!("project {}", self.project),
        }
    }

    /// What narrows it, in words.
    fn conditions(&self) -> String {
        let mut words = self.resource_patterns.clone();
        words.extend(self.access_max.iter().map(|level| format!("at most {level}")));
        words.extend(self.ttl_max_seconds.iter().map(|max| format!("at most {}", moment::lifetime(*max))));
        if words.is_empty() { "-".to_owned() } else { words.join(", ") }
    }
}

impl Record for BindingView {
    fn facts(&self, now: Moment) -> Facts {
        vec![
            ("id", self.id.clone()),
            ("principal", self.principal_name.clone()),
            ("role", self.role.clone()),
            ("on", self.target()),
            ("conditions", self.conditions()),
            ("expires", moment::words(self.expires_at, now)),
            ("created by", self.created_by.clone().unwrap_or_default()),
        ]
    }
}

impl Row for BindingView {
    const HEAD: &'static [&'static str] = &["id", "principal", "role", "on", "conditions", "expires"];
    const SPARE: &'static [&'static str] = &["expires"];

    fn cells(&self, now: Moment) -> Vec<String> {
        vec![
            self.id.clone(),
            self.principal_name.clone(),
            self.role.clone(),
            self.target(),
            self.conditions(),
            moment::end(self.expires_at, now),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Create(args) => create(session, args).await,
        Verb::List(args) => list(session, args).await,
        Verb::Delete(args) => delete(session, args).await,
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let expires_at = args.expires_in.map(|length| Moment::now().after(length)).transpose()?;
    let ask = proto::CreateBindingRequest {
        project: session.project.clone(),
        principal: args.principal,
        role: args.role,
        connector: args.connector,
        component: args.component,
        conditions: Some(proto::BindingConditions {
            resource_patterns: args.resource_pattern,
            access_max: args.access_max.map(Access::to_proto).unwrap_or_default(),
            ttl_max_seconds: args.ttl_max.unwrap_or_default(),
            expires_at: expires_at.map(Moment::to_proto),
        }),
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.access().create_binding(ask).await).await?;
    session.output.record(&BindingView::from(answer.binding.unwrap_or_default()))
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let bindings = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListBindingsRequest {
            project: session.project.clone(),
            principal: args.principal.clone(),
            page_size: page.size,
            page_token: page.token,
        };
        let answer = session.call(ask, async |ask| session.access().list_bindings(ask).await).await?;
        Ok((answer.bindings, answer.next_page_token))
    })
    .await?;
    session.output.list(&bindings.into_iter().map(BindingView::from).collect::<Vec<_>>())
}

async fn delete(session: &Session, args: DeleteArgs) -> Result<(), Failure> {
    let ask = proto::DeleteBindingRequest {
        project: session.project.clone(),
        binding: args.id.clone(),
        request_id: request_id(),
    };
    session.call(ask, async |ask| session.access().delete_binding(ask).await).await?;
    session.output.done("deleted", "binding", &args.id)
}

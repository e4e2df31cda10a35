//! `valetkey component`: stack components, linked to connectors.
//!
//! Owns the view of a component. Whether a connector meets a requirement is
//! decided by the server.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::proto;

use super::failure::Failure;
use super::moment::{self, Moment};
use super::output::{Facts, Record, Row};
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::{Access, Pair, access_in_words, given, labels_in_words, labels_of, or_dash, parse_pair};
use super::session::{Session, request_id};

/// What to do with components.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Register a component and what it needs of a connector
    #[command(after_help = "\
Example:
  valetkey component register artifacts --type artifact-store --flavor s3 \\
      --needs-type aws --needs-resource-type s3-bucket")]
    Register(RegisterArgs),
    /// List components
    #[command(after_help = "\
Examples:
  valetkey component list --type artifact-store
  valetkey component list --connector prod-s3")]
    List(ListArgs),
    /// Describe a component
    #[command(after_help = "\
Example:
  valetkey component describe artifacts")]
    Describe(NameArgs),
    /// Link a component to a connector and a resource, or unlink it
    #[command(after_help = "\
Examples:
  valetkey component connect artifacts --connector prod-s3 --resource s3://datasets/train --access-max write
  valetkey component connect artifacts --unlink")]
    Connect(ConnectArgs),
    /// Delete a component; refused while a stack names it
    #[command(after_help = "\
Example:
  valetkey component delete artifacts")]
    Delete(NameArgs),
}

/// A new component.
#[derive(Args)]
pub(super) struct RegisterArgs {
    /// Unique in the project
    name: String,
    /// For example `artifact-store`
    #[arg(long = "type", value_name = "TYPE")]
    component_type: String,
    /// For example `s3`
    #[arg(long, value_name = "FLAVOR", default_value = "", hide_default_value = true)]
    flavor: String,
    /// The connector type it needs; any otherwise
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    needs_type: String,
    /// The resource type it needs
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    needs_resource_type: String,
    /// The resource that the linked one must lie within; any otherwise
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    needs_resource: String,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// A label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<Pair>,
}

/// Which components to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE", default_value = "", hide_default_value = true)]
    component_type: String,
    /// Only linked to this connector
    #[arg(long, value_name = "CONNECTOR", default_value = "", hide_default_value = true)]
    connector: String,
    /// Only with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<Pair>,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Which component.
#[derive(Args)]
pub(super) struct NameArgs {
    /// Name, id, or a unique prefix of the id
    component: String,
}

/// What to link to what.
#[derive(Args)]
pub(super) struct ConnectArgs {
    /// Name, id, or a unique prefix of the id
    component: String,
    /// The connector: name, id, or a unique prefix of the id
    #[arg(long, value_name = "CONNECTOR", required_unless_present = "unlink")]
    connector: Option<String>,
    /// The resource; what connector or requirement fix otherwise
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    resource: String,
    /// The highest access level that may be asked for through the link
    #[arg(long, alias = "access", value_enum, value_name = "LEVEL", default_value = "read")]
    access_max: Access,
    /// Unlink the component
    #[arg(long, conflicts_with = "connector")]
    unlink: bool,
}

/// A stack component.
#[derive(Debug, Serialize)]
pub(super) struct ComponentView {
    /// A UUID.
    id: String,
    /// The project's name.
    project: String,
    /// Unique in the project.
    name: String,
    /// For example `artifact-store`.
    component_type: String,
    /// For example `s3`.
    flavor: Option<String>,
    /// What it needs.
    requirement: RequirementView,
    /// What it is linked to, or null.
    link: Option<LinkView>,
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

/// What a component needs of a connector; null means any.
#[derive(Debug, Serialize)]
struct RequirementView {
    /// For example `aws`.
    connector_type: Option<String>,
    /// For example `s3-bucket`.
    resource_type: Option<String>,
    /// A canonical id that the linked resource must lie within.
    resource_id: Option<String>,
}

/// The link of a component.
#[derive(Debug, Serialize)]
struct LinkView {
    /// The connector's id.
    connector_id: String,
    /// The connector's name.
    connector_name: String,
    /// For example `s3-bucket`.
    resource_type: String,
    /// Canonical.
    resource_id: String,
    /// The highest level that may be asked for through this link.
    access_max: String,
}

impl From<proto::Component> for ComponentView {
    fn from(component: proto::Component) -> Self {
        let requirement = component.requirement.unwrap_or_default();
        let link = |link: proto::ComponentLink| LinkView {
            access_max: access_in_words(link.access_max),
            connector_id: link.connector_id,
            connector_name: link.connector_name,
            resource_type: link.resource_type,
            resource_id: link.resource_id,
        };
        Self {
            id: component.id,
            project: component.project,
            name: component.name,
            component_type: component.component_type,
            flavor: given(component.flavor),
            requirement: RequirementView {
                connector_type: given(requirement.connector_type),
                resource_type: given(requirement.resource_type),
                resource_id: given(requirement.resource_id),
            },
            link: component.link.map(link),
            description: given(component.description),
            labels: component.labels,
            created_by: given(component.created_by),
            created_at: Moment::from_proto(component.created_at.as_ref()),
            updated_at: Moment::from_proto(component.updated_at.as_ref()),
            etag: component.etag,
        }
    }
}

impl ComponentView {
    fn needs(&self) -> String {
        let RequirementView { connector_type, resource_type, resource_id } = &self.requirement;
        let words: Vec<&str> =
            [connector_type, resource_type, resource_id].into_iter().flatten().map(String::as_str).collect();
        if words.is_empty() { "any connector".to_owned() } else { words.join(" ") }
    }

    fn linked_to(&self) -> String {
        let words = |l: &LinkView| {
            format!("{}: {} {}, up to {}", l.connector_name, l.resource_type, l.resource_id, l.access_max)
        };
        self.link.as_ref().map_or_else(|| "-".to_owned(), words)
    }
}

impl Record for ComponentView {
    fn facts(&self, now: Moment) -> Facts {
        vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("project", self.project.clone()),
            ("type", self.component_type.clone()),
            ("flavor", self.flavor.clone().unwrap_or_default()),
            ("needs", self.needs()),
            ("linked to", self.linked_to()),
            ("description", self.description.clone().unwrap_or_default()),
            ("labels", labels_in_words(&self.labels)),
            ("created", moment::words(self.created_at, now)),
            ("created by", self.created_by.clone().unwrap_or_default()),
            ("updated", moment::words(self.updated_at, now)),
            ("etag", self.etag.clone()),
        ]
    }
}

impl Row for ComponentView {
    const HEAD: &'static [&'static str] = &["name", "id", "type", "flavor", "linked to", "labels"];
    const SPARE: &'static [&'static str] = &["labels", "flavor"];

    fn cells(&self, _: Moment) -> Vec<String> {
        vec![
            self.name.clone(),
            self.id.clone(),
            self.component_type.clone(),
            or_dash(self.flavor.as_ref()),
            self.linked_to(),
            labels_in_words(&self.labels),
        ]
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
        Verb::Describe(args) => describe(session, args).await,
        Verb::Connect(args) => connect(session, args).await,
        Verb::Delete(args) => delete(session, args).await,
    }
}

fn show(session: &Session, component: Option<proto::Component>) -> Result<(), Failure> {
    session.output.record(&ComponentView::from(component.unwrap_or_default()))
}

async fn register(session: &Session, args: RegisterArgs) -> Result<(), Failure> {
    let ask = proto::RegisterComponentRequest {
        project: session.project.clone(),
        name: args.name,
        component_type: args.component_type,
        flavor: args.flavor,
        requirement: Some(proto::ConnectorRequirement {
            connector_type: args.needs_type,
            resource_type: args.needs_resource_type,
            resource_id: args.needs_resource,
        }),
        description: args.description,
        labels: labels_of(&args.labels),
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.components().register_component(ask).await).await?;
    show(session, answer.component)
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let components = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListComponentsRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
            component_type: args.component_type.clone(),
            connector: args.connector.clone(),
            labels: labels_of(&args.labels),
        };
        let answer = session.call(ask, async |ask| session.components().list_components(ask).await).await?;
        Ok((answer.components, answer.next_page_token))
    })
    .await?;
    session.output.list(&components.into_iter().map(ComponentView::from).collect::<Vec<_>>())
}

async fn describe(session: &Session, args: NameArgs) -> Result<(), Failure> {
    let ask = proto::DescribeComponentRequest { project: session.project.clone(), component: args.component };
    let answer = session.call(ask, async |ask| session.components().describe_component(ask).await).await?;
    show(session, answer.component)
}

async fn connect(session: &Session, args: ConnectArgs) -> Result<(), Failure> {
    // A level says that a link is meant: the server refuses one without a
    // connector, so that a forgotten connector does not unlink.
    let access_max = if args.unlink { proto::AccessLevel::Unspecified.into() } else { args.access_max.to_proto() };
    let ask = proto::ConnectComponentRequest {
        project: session.project.clone(),
        component: args.component,
        connector: args.connector.unwrap_or_default(),
        resource_id: args.resource,
        access_max,
        etag: String::new(),
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.components().connect_component(ask).await).await?;
    show(session, answer.component)
}

async fn delete(session: &Session, args: NameArgs) -> Result<(), Failure> {
    let ask = proto::DeleteComponentRequest {
        project: session.project.clone(),
        component: args.component.clone(),
        etag: String::new(),
        request_id: request_id(),
    };
    session.call(ask, async |ask| session.components().delete_component(ask).await).await?;
    session.output.done("deleted", "component", &args.component)
}

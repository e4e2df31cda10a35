//! `valetkey connector-type`: what can be registered, and with which fields.
//!
//! Owns the view of a connector type, and the look-up of an auth method that
//! `connector register` types its settings by.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::proto;

use super::failure::Failure;
use super::moment::{Moment, lifetime};
use super::output::{Facts, Record, Row};
use super::pairs::given_seconds;
use super::schema::{Setting, settings_of};
use super::secrets::Wanted;
use super::session::Session;
use super::settings::plain;

/// What to do with connector types.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// List the connector types of this daemon
    #[command(after_help = "\
Example:
  valetkey connector-type list")]
    List,
    /// Explain a connector type: its auth methods, fields and resource types
    #[command(after_help = "\
Examples:
  valetkey connector-type describe aws
  valetkey connector-type describe aws --method iam-role")]
    Describe(DescribeArgs),
}

/// Which connector type to explain.
#[derive(Args)]
pub(super) struct DescribeArgs {
    /// For example `aws`
    name: String,
    /// Only this auth method, with all its fields
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
}

/// A connector type.
#[derive(Debug, Serialize)]
pub(super) struct TypeView {
    /// For example `aws`.
    name: String,
    /// One line for people.
    summary: String,
    /// Ways to authenticate to the cloud.
    auth_methods: Vec<MethodView>,
    /// What it can give credentials for.
    resource_types: Vec<ResourceTypeView>,
}

/// A way to authenticate.
#[derive(Debug, Serialize)]
pub(super) struct MethodView {
    /// For example `iam-role`.
    name: String,
    /// One line for people.
    summary: String,
    /// The shortest lifetime; null where the provider alone decides.
    ttl_min_seconds: Option<u32>,
    /// The lifetime when none is asked for.
    ttl_default_seconds: Option<u32>,
    /// The longest lifetime.
    ttl_max_seconds: Option<u32>,
    /// JSON schema of the settings.
    settings_schema: Value,
    /// The fields of the source credential.
    secret_fields: Vec<SecretFieldView>,
    /// `connector rotate-secret --auto` can make the next one.
    rotates: bool,
    /// Other names that are taken for it.
    aliases: Vec<String>,
}

/// A field of a source credential.
#[derive(Debug, Serialize)]
pub(super) struct SecretFieldView {
    /// The field's name.
    name: String,
    /// One line for people.
    summary: String,
    /// Must be given.
    required: bool,
}

/// What a connector can give credentials for.
#[derive(Debug, Serialize)]
pub(super) struct ResourceTypeView {
    /// For example `s3-bucket`.
    name: String,
    /// One line for people.
    summary: String,
    /// The canonical form of an id.
    id_form: String,
    /// One connector may reach many of these.
    many: bool,
    /// What `read`, `write` and `admin` mean, in this order.
    access_levels: Vec<String>,
    /// What `mint --param` takes.
    parameters: Vec<ParameterView>,
}

/// Something that an ask may say beyond resource and access level.
#[derive(Debug, Serialize)]
pub(super) struct ParameterView {
    /// The parameter's name.
    name: String,
    /// One line for people.
    summary: String,
}

/// A field of an auth method as people read it.
#[derive(Serialize)]
struct FieldRow {
    name: String,
    kind: String,
    required: bool,
    notes: String,
}

impl From<proto::ConnectorType> for TypeView {
    fn from(kind: proto::ConnectorType) -> Self {
        Self {
            name: kind.name,
            summary: kind.summary,
            auth_methods: kind.auth_methods.into_iter().map(MethodView::from).collect(),
            resource_types: kind.resource_types.into_iter().map(ResourceTypeView::from).collect(),
        }
    }
}

impl From<proto::AuthMethod> for MethodView {
    fn from(method: proto::AuthMethod) -> Self {
        let secret =
            |f: proto::SecretFieldSpec| SecretFieldView { name: f.name, summary: f.summary, required: f.required };
        Self {
            name: method.name,
            summary: method.summary,
            ttl_min_seconds: given_seconds(method.ttl_min_seconds),
            ttl_default_seconds: given_seconds(method.ttl_default_seconds),
            ttl_max_seconds: given_seconds(method.ttl_max_seconds),
            settings_schema: serde_json::from_str(&method.settings_schema).unwrap_or(Value::Null),
            secret_fields: method.secret_fields.into_iter().map(secret).collect(),
            rotates: method.rotates,
            aliases: method.aliases,
        }
    }
}

impl From<proto::ResourceType> for ResourceTypeView {
    fn from(kind: proto::ResourceType) -> Self {
        Self {
            name: kind.name,
            summary: kind.summary,
            id_form: kind.id_form,
            many: kind.many,
            access_levels: kind.access_levels,
            parameters: kind
                .parameters
                .into_iter()
                .map(|one| ParameterView { name: one.name, summary: one.summary })
                .collect(),
        }
    }
}

impl TypeView {
    /// For example `aws`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One line for people.
    pub(super) fn summary(&self) -> &str {
        &self.summary
    }

    /// Ways to authenticate.
    pub(super) fn methods(&self) -> &[MethodView] {
        &self.auth_methods
    }

    /// Name, summary and form of the id of each resource type.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.resource_types.iter().map(|one| (one.name.as_str(), one.summary.as_str(), one.id_form.as_str()))
    }

    /// The resource type, when there is one alone.
    pub(super) fn only_resource_type(&self) -> Option<String> {
        match self.resource_types.as_slice() {
            [only] => Some(only.name.clone()),
            _ => None,
        }
    }

    /// One of the auth methods.
    ///
    /// # Errors
    /// Usage, with the methods there are.
    pub(super) fn into_method(mut self, method: &str) -> Result<MethodView, Failure> {
        match self.auth_methods.iter().position(|one| one.name == method || one.aliases.iter().any(|a| a == method)) {
            Some(at) => Ok(self.auth_methods.swap_remove(at)),
            None => {
                let known: Vec<&str> = self.auth_methods.iter().map(|one| one.name.as_str()).collect();
                Err(Failure::usage(format!("{method} is no auth method of {}", self.name))
                    .hint(format!("its auth methods: {}", known.join(", "))))
            }
        }
    }
}

impl MethodView {
    /// For example `iam-role`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One line for people.
    pub(super) fn summary(&self) -> &str {
        &self.summary
    }

    /// The settings by the served schema.
    ///
    /// # Errors
    /// When the schema cannot be understood.
    pub(super) fn settings(&self) -> Result<Vec<Setting>, Failure> {
        settings_of(&self.settings_schema.to_string())
    }

    /// The secret fields to read.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let want =
            |f: &SecretFieldView| Wanted { name: f.name.clone(), summary: f.summary.clone(), required: f.required };
        self.secret_fields.iter().map(want).collect()
    }

    /// Settings first, then secrets.
    fn rows(&self) -> Result<Vec<FieldRow>, Failure> {
        let mut rows: Vec<FieldRow> = self.settings()?.iter().map(setting_row).collect();
        rows.extend(self.secret_fields.iter().map(|field| FieldRow {
            name: field.name.clone(),
            kind: "secret".to_owned(),
            required: field.required,
            notes: field.summary.clone(),
        }));
        Ok(rows)
    }
}

fn setting_row(setting: &Setting) -> FieldRow {
    let mut notes = vec![setting.summary.clone()];
    if !setting.choices.is_empty() {
        notes.push(format!("one of {}", setting.choices.join(", ")));
    }
    notes.extend(setting.example.iter().map(|example| format!("for example {}", plain(example))));
    notes.extend(setting.default.iter().map(|default| format!("default {}", plain(default))));
    notes.retain(|note| !note.is_empty());
    FieldRow {
        name: setting.name.clone(),
        kind: setting.shape.words().to_owned(),
        required: setting.required,
        notes: notes.join("; "),
    }
}

impl Row for FieldRow {
    const HEAD: &'static [&'static str] = &["field", "kind", "required", "meaning"];

    fn cells(&self, _: Moment) -> Vec<String> {
        let required = if self.required { "yes" } else { "" };
        vec![self.name.clone(), self.kind.clone(), required.to_owned(), self.notes.clone()]
    }
}

impl Record for TypeView {
    fn facts(&self, _: Moment) -> Facts {
        vec![("type", self.name.clone()), ("summary", self.summary.clone())]
    }
}

impl Record for MethodView {
    fn facts(&self, _: Moment) -> Facts {
        vec![("auth method", self.name.clone()), ("summary", self.summary.clone()), ("lifetime", self.lifetimes())]
    }
}

impl MethodView {
    fn lifetimes(&self) -> String {
        format!(
            "{} to {}, {} when none is asked for",
            lifetime(self.ttl_min_seconds.unwrap_or_default()),
            lifetime(self.ttl_max_seconds.unwrap_or_default()),
            lifetime(self.ttl_default_seconds.unwrap_or_default())
        )
    }
}

impl Row for TypeView {
    const HEAD: &'static [&'static str] = &["type", "summary", "auth methods", "resource types"];

    fn cells(&self, _: Moment) -> Vec<String> {
        let methods: Vec<&str> = self.auth_methods.iter().map(|m| m.name.as_str()).collect();
        let resources: Vec<&str> = self.resource_types.iter().map(|r| r.name.as_str()).collect();
        vec![self.name.clone(), self.summary.clone(), methods.join(", "), resources.join(", ")]
    }
}

impl Row for MethodView {
    const HEAD: &'static [&'static str] = &["auth method", "summary", "lifetime", "secret fields"];

    fn cells(&self, _: Moment) -> Vec<String> {
        let secrets: Vec<&str> = self.secret_fields.iter().map(|f| f.name.as_str()).collect();
        vec![self.name.clone(), self.summary.clone(), self.lifetimes(), secrets.join(", ")]
    }
}

impl Row for ResourceTypeView {
    const HEAD: &'static [&'static str] = &["resource type", "id", "read", "write", "admin"];

    fn cells(&self, _: Moment) -> Vec<String> {
        let mut cells = vec![self.name.clone(), self.id_form.clone()];
        let levels = self.access_levels.iter().cloned().chain(std::iter::repeat(String::new()));
        cells.extend(levels.take(3));
        cells
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered, or no such auth method.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List => list(session).await,
        Verb::Describe(args) => describe(session, args).await,
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    session.output.list(&all(session).await?)
}

async fn describe(session: &Session, args: DescribeArgs) -> Result<(), Failure> {
    if let Some(method) = &args.method {
        let view = auth_method(session, &args.name, method).await?;
        session.output.record(&view)?;
        return if session.output.for_people() { session.output.list(&view.rows()?) } else { Ok(()) };
    }
    let view = fetch(session, &args.name).await?;
    session.output.record(&view)?;
    if session.output.for_people() {
        session.output.list(&view.auth_methods)?;
        session.output.list(&view.resource_types)?;
        for resource in &view.resource_types {
            for one in &resource.parameters {
                let said = format!("mint --resource-type {} --param {}=...: {}", resource.name, one.name, one.summary);
                session.output.say(&said)?;
            }
        }
        session.output.say(&format!("fields: valetkey connector-type describe {} --method METHOD", view.name))?;
    }
    Ok(())
}

/// Every connector type of the server.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn all(session: &Session) -> Result<Vec<TypeView>, Failure> {
    let ask = proto::ListConnectorTypesRequest { project: session.project.clone() };
    let answer = session.call(ask, async |ask| session.connector_types().list_connector_types(ask).await).await?;
    Ok(answer.connector_types.into_iter().map(TypeView::from).collect())
}

/// One connector type.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn fetch(session: &Session, name: &str) -> Result<TypeView, Failure> {
    let ask = proto::DescribeConnectorTypeRequest { project: session.project.clone(), name: name.to_owned() };
    let answer = session.call(ask, async |ask| session.connector_types().describe_connector_type(ask).await).await?;
    Ok(TypeView::from(answer.connector_type.unwrap_or_default()))
}

/// One auth method of a connector type.
///
/// # Errors
/// What the daemon answered, or usage with the methods there are.
pub(super) async fn auth_method(session: &Session, name: &str, method: &str) -> Result<MethodView, Failure> {
    fetch(session, name).await?.into_method(method)
}

//! `valetkey connector register`.
//!
//! Owns the arguments of a new connector and of its ceiling. Types settings by
//! the schema that the server serves, and asks for what is missing. `wizard`
//! and `found` put a connector together in other ways.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::connector_type::{MethodView, auth_method};
use crate::cli::failure::Failure;
use crate::cli::moment::{Moment, parse_length, parse_seconds, parse_tolerance};
use crate::cli::pairs::{Access, Pair, labels_of, parse_pair};
use crate::cli::secrets::{SecretArgs, Secrets};
use crate::cli::session::{Session, request_id};
use crate::cli::settings::{SettingArgs, complete};
use crate::cli::terminal::Terminal;
use crate::config::found::Machine;
use crate::proto;

use super::kubeconfig::KubeconfigArgs;

/// A new connector.
#[derive(Args)]
pub(in crate::cli) struct RegisterArgs {
    /// Unique in the project: a small letter, then small letters, digits and
    /// hyphens
    #[arg(required_unless_present_any = ["interactive", "auto_configure"])]
    name: Option<String>,
    /// The connector type; `valetkey connector-type list` shows them
    #[arg(long = "type", value_name = "TYPE", required_unless_present_any = ["interactive", "auto_configure", "kubeconfig"])]
    pub(super) connector_type: Option<String>,
    /// The auth method; `valetkey connector-type describe TYPE` shows them
    #[arg(long, value_name = "METHOD", required_unless_present_any = ["interactive", "auto_configure", "kubeconfig"])]
    pub(super) method: Option<String>,
    /// Ask for everything, step by step
    #[arg(short, long, conflicts_with = "auto_configure")]
    interactive: bool,
    /// Offer what this machine has: AWS profiles, Google application-default
    /// credentials, az login, kubeconfig, docker logins
    #[arg(long, conflicts_with_all = ["method", "secret", "secrets"])]
    auto_configure: bool,
    /// Which of the things that were found, for example aws:default
    #[arg(long, value_name = "SOURCE", requires = "auto_configure")]
    pub(super) from: Option<String>,
    /// Register what was found without asking
    #[arg(long, requires = "auto_configure")]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) kubeconfig: KubeconfigArgs,
    #[command(flatten)]
    pub(super) settings: SettingArgs,
    #[command(flatten)]
    secrets: SecretArgs,
    /// Fix the connector to one resource type
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    resource_type: String,
    /// Fix the connector to one resource
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true, requires = "resource_type")]
    resource_id: String,
    #[command(flatten)]
    ceiling: CeilingArgs,
    /// A label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<Pair>,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    #[command(flatten)]
    storing: StoringArgs,
}

/// The ceiling of what a connector may mint.
#[derive(Args)]
pub(super) struct CeilingArgs {
    /// Only resources that this glob covers: `*` stands for any characters but
    /// `/`, `**` for any; may be repeated
    #[arg(long = "allow-resource", value_name = "GLOB")]
    allow_resource: Vec<String>,
    /// The highest access level
    #[arg(long, value_enum, value_name = "LEVEL")]
    access_max: Option<Access>,
    /// The longest lifetime of a minted credential
    #[arg(long, value_name = "LENGTH", value_parser = parse_seconds)]
    ttl_max: Option<u32>,
    /// Share one minted credential among principals; the cloud's audit log
    /// then names the connector only
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    shared: Option<bool>,
    /// Hand out the long-lived secret itself where nothing shorter exists
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_passthrough: Option<bool>,
}

/// When to take a source credential for ended.
#[derive(Args)]
pub(super) struct ToleranceArgs {
    /// The source credential counts as ended this long before its end, for
    /// clocks that differ: at most 1d; 0s takes it away
    #[arg(long, value_name = "LENGTH", value_parser = parse_tolerance)]
    pub(super) secret_skew_tolerance: Option<u32>,
}

/// How to store.
#[derive(Args)]
pub(super) struct StoringArgs {
    /// The source credential ends after this long; a certificate or a token
    /// that says it ends earlier is believed
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    secret_expires_in: Option<Duration>,
    /// Store without asking the cloud; audited, and the state stays visible
    #[arg(long)]
    pub(super) skip_verify: bool,
    /// Check and verify everything, store nothing
    #[arg(long)]
    pub(super) validate_only: bool,
}

impl CeilingArgs {
    /// Something was given.
    pub(super) fn given(&self) -> bool {
        !self.allow_resource.is_empty()
            || self.access_max.is_some()
            || self.ttl_max.is_some()
            || self.shared.is_some()
            || self.allow_passthrough.is_some()
    }

    /// `base`, overlaid with what was given.
    pub(super) fn over(self, base: proto::MintPolicy) -> proto::MintPolicy {
        let given = !self.allow_resource.is_empty();
        proto::MintPolicy {
            resource_patterns: if given { self.allow_resource } else { base.resource_patterns },
            access_max: self.access_max.map_or(base.access_max, Access::to_proto),
            ttl_max_seconds: self.ttl_max.unwrap_or(base.ttl_max_seconds),
            allow_passthrough: self.allow_passthrough.unwrap_or(base.allow_passthrough),
            shared: self.shared.unwrap_or(base.shared),
        }
    }
}

impl StoringArgs {
    /// When the source credential ends, if that was said.
    ///
    /// # Errors
    /// Usage, when no calendar goes that far.
    pub(super) fn secret_expires_at(&self) -> Result<Option<prost_types::Timestamp>, Failure> {
        let at = self.secret_expires_in.map(|length| Moment::now().after(length)).transpose()?;
        Ok(at.map(Moment::to_proto))
    }
}

impl RegisterArgs {
    /// The request, without settings and secrets.
    ///
    /// # Errors
    /// Usage, when the source credential would end beyond any calendar.
    pub(super) fn into_request(self) -> Result<proto::RegisterConnectorRequest, Failure> {
        Ok(proto::RegisterConnectorRequest {
            name: self.name.unwrap_or_default(),
            connector_type: self.connector_type.unwrap_or_default(),
            auth_method: self.method.unwrap_or_default(),
            resource_type: self.resource_type,
            resource_id: self.resource_id,
            description: self.description,
            labels: labels_of(&self.labels),
            mint_policy: Some(self.ceiling.over(proto::MintPolicy::default())),
            secret_expires_at: self.storing.secret_expires_at()?,
            secret_skew_tolerance_seconds: self.tolerance.secret_skew_tolerance.unwrap_or_default(),
            skip_verify: self.storing.skip_verify,
            validate_only: self.storing.validate_only,
            ..proto::RegisterConnectorRequest::default()
        })
    }

    /// The secrets, when the command line names any.
    ///
    /// # Errors
    /// Usage: what cannot be read, or is no field of this auth method.
    pub(super) fn given_secrets(
        &self,
        method: &MethodView,
        terminal: &dyn Terminal,
    ) -> Result<Option<Secrets>, Failure> {
        self.secrets.given().then(|| self.secrets.read(&method.wanted(), terminal)).transpose()
    }
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered; usage, when secrets or settings are wrong.
pub(super) async fn run(session: &Session, args: RegisterArgs) -> Result<(), Failure> {
    if let Some(found) = args.kubeconfig.read()? {
        return super::kubeconfig::run(session, args, found).await;
    }
    if args.interactive {
        return super::wizard::run(session, args).await;
    }
    if args.auto_configure {
        return super::found::run(session, args, Machine::own().search()).await;
    }
    let (kind, name) = (args.connector_type.as_deref().unwrap_or_default(), args.method.as_deref().unwrap_or_default());
    let method = auth_method(session, kind, name).await?;
    let known = method.settings()?;
    let terminal = session.terminal.as_ref();
    let mut settings = args.settings.over(Map::new(), &known)?;
    complete(&mut settings, &known, terminal)?;
    let secrets = args.secrets.read(&method.wanted(), terminal)?;
    store(session, args.into_request()?, settings, &secrets).await
}

/// Registers what was put together, and shows what is stored.
///
/// # Errors
/// What the daemon answered.
pub(super) async fn store(
    session: &Session,
    ask: proto::RegisterConnectorRequest,
    settings: Map<String, Value>,
    secrets: &Secrets,
) -> Result<(), Failure> {
    let (validate_only, said) = (ask.validate_only, ask.secret_expires_at);
    let ask = proto::RegisterConnectorRequest {
        project: session.project.clone(),
        settings: Value::Object(settings).to_string(),
        secrets: secrets.to_fields(),
        request_id: request_id(),
        ..ask
    };
    let answer = session.call_spending(ask, async |ask| session.connectors().register_connector(ask).await).await?;
    super::show_stored(session, answer.connector.unwrap_or_default(), said)?;
    if validate_only { session.output.say("valid; nothing was stored") } else { Ok(()) }
}

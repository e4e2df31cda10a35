//! `valetkey connector update` and `rotate-secret`.
//!
//! Owns what "only what is given changes" means: the connector is read, the
//! given parts are laid over it, and its etag goes back with the change, so
//! that a change of someone else in between is refused and not undone.

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::connector_type::auth_method;
use crate::cli::failure::{Failure, Kind};
use crate::cli::pairs::{Pair, parse_etag, parse_pair};
use crate::cli::secrets::SecretArgs;
use crate::cli::session::{Session, request_id};
use crate::cli::settings::SettingArgs;
use crate::proto;

use super::RotatedView;
use super::register::{CeilingArgs, StoringArgs, ToleranceArgs};

/// What to change.
#[derive(Args)]
pub(in crate::cli) struct UpdateArgs {
    /// Name, id, or a unique prefix of the id
    connector: String,
    /// The new name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The new description
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Add or change a label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<Pair>,
    /// Take a label away; may be repeated
    #[arg(long, value_name = "KEY")]
    remove_label: Vec<String>,
    #[command(flatten)]
    settings: SettingArgs,
    /// Take a setting away; may be repeated
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    ceiling: CeilingArgs,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    #[command(flatten)]
    storing: StoringArgs,
    /// Only if it still has this etag; the one it has now otherwise
    #[arg(long, value_name = "ETAG", value_parser = parse_etag)]
    etag: Option<String>,
}

/// The new source credential.
#[derive(Args)]
pub(in crate::cli) struct RotateArgs {
    /// Name, id, or a unique prefix of the id
    connector: String,
    /// Let the cloud make the new key: it is verified and stored before the
    /// old one is deleted; run it again after a stop
    #[arg(long, conflicts_with_all = ["secret", "secrets", "skip_verify", "validate_only"])]
    auto: bool,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    storing: StoringArgs,
    /// Only if it still has this etag
    #[arg(long, value_name = "ETAG", value_parser = parse_etag, default_value = "", hide_default_value = true)]
    etag: String,
}

/// Runs `connector update`.
///
/// # Errors
/// What the daemon answered; usage, when nothing was given or it is wrong.
pub(super) async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let current = super::fetch(session, &args.connector).await?;
    let ask = changed(session, args, current).await?;
    let (validate_only, said) = (ask.validate_only, ask.secret_expires_at);
    let answer = session.call_spending(ask, async |ask| session.connectors().update_connector(ask).await).await?;
    super::show_stored(session, answer.connector.unwrap_or_default(), said)?;
    if validate_only { session.output.say("valid; nothing was stored") } else { Ok(()) }
}

async fn changed(
    session: &Session,
    args: UpdateArgs,
    current: proto::Connector,
) -> Result<proto::UpdateConnectorRequest, Failure> {
    let mut ask = proto::UpdateConnectorRequest {
        project: session.project.clone(),
        connector: current.id.clone(),
        secret_expires_at: args.storing.secret_expires_at()?,
        secret_skew_tolerance_seconds: args.tolerance.secret_skew_tolerance.unwrap_or_default(),
        skip_verify: args.storing.skip_verify,
        validate_only: args.storing.validate_only,
        request_id: request_id(),
        ..proto::UpdateConnectorRequest::default()
    };
    if args.settings.given() || !args.unset.is_empty() || args.secrets.given() {
        let method = auth_method(session, &current.connector_type, &current.auth_method).await?;
        if args.settings.given() || !args.unset.is_empty() {
            ask.settings = new_settings(&args, &current, &method.settings()?)?;
        }
        if args.secrets.given() {
            ask.secrets = args.secrets.read(&method.wanted(), session.terminal.as_ref())?.to_fields();
        }
    }
    let paths = lay_over(&mut ask, args, current);
    if paths.is_empty() {
        return Err(Failure::usage("nothing to change was given")
            .hint("a new source credential alone: valetkey connector rotate-secret"));
    }
    ask.update_mask = Some(prost_types::FieldMask { paths });
    Ok(ask)
}

/// Lays the given parts over the current ones; says which fields change.
fn lay_over(ask: &mut proto::UpdateConnectorRequest, args: UpdateArgs, current: proto::Connector) -> Vec<String> {
    let mut paths = Vec::new();
    let mut change = |given: bool, path: &str| {
        if given {
            paths.push(path.to_owned());
        }
        given
    };
    change(args.name.is_some(), "name");
    change(args.description.is_some(), "description");
    change(!ask.settings.is_empty(), "settings");
    change(ask.secret_expires_at.is_some(), "secret_expires_at");
    change(args.tolerance.secret_skew_tolerance.is_some(), "secret_skew_tolerance_seconds");
    if change(!args.labels.is_empty() || !args.remove_label.is_empty(), "labels") {
        ask.labels = current.labels;
        ask.labels.retain(|key, _| !args.remove_label.contains(key));
        ask.labels.extend(args.labels.into_iter().map(|pair| (pair.key, pair.value)));
    }
    if change(args.ceiling.given(), "mint_policy") {
        ask.mint_policy = Some(args.ceiling.over(current.mint_policy.unwrap_or_default()));
    }
    ask.name = args.name.unwrap_or_default();
    ask.description = args.description.unwrap_or_default();
    ask.etag = args.etag.unwrap_or(current.etag);
    paths
}

fn new_settings(
    args: &UpdateArgs,
    current: &proto::Connector,
    known: &[crate::cli::schema::Setting],
) -> Result<String, Failure> {
    let mut base: Map<String, Value> = serde_json::from_str(&current.settings)
        .map_err(|_| Failure::failed("you may not see the settings of this connector, and so not change a part"))?;
    for key in &args.unset {
        if base.remove(key).is_none() {
            return Err(Failure::usage(format!("the setting {key} is not set")));
        }
    }
    // The tag of the auth method is not for the caller to set.
    base.retain(|key, _| known.iter().any(|setting| setting.name == *key));
    Ok(Value::Object(args.settings.over(base, known)?).to_string())
}

/// Runs `connector rotate-secret`.
///
/// # Errors
/// What the daemon answered; usage, when the secret is wrong.
pub(super) async fn rotate(session: &Session, args: RotateArgs) -> Result<(), Failure> {
    let current = super::fetch(session, &args.connector).await?;
    let method = auth_method(session, &current.connector_type, &current.auth_method).await?;
    if args.auto {
        return rotate_auto(session, args, current).await;
    }
    let secrets = args.secrets.read(&method.wanted(), session.terminal.as_ref())?;
    let validate_only = args.storing.validate_only;
    let ask = proto::RotateConnectorSecretRequest {
        project: session.project.clone(),
        connector: current.id,
        secrets: secrets.to_fields(),
        etag: args.etag,
        secret_expires_at: args.storing.secret_expires_at()?,
        skip_verify: args.storing.skip_verify,
        validate_only,
        request_id: request_id(),
        auto: false,
    };
    let said = ask.secret_expires_at;
    let answer =
        session.call_spending(ask, async |ask| session.connectors().rotate_connector_secret(ask).await).await?;
    super::show_stored(session, answer.connector.unwrap_or_default(), said)?;
    if validate_only { session.output.say("valid; nothing was stored") } else { Ok(()) }
}

/// The cloud makes the key. Asked once: a second try while the first one is
/// under way would only be told so.
async fn rotate_auto(session: &Session, args: RotateArgs, current: proto::Connector) -> Result<(), Failure> {
    let ask = proto::RotateConnectorSecretRequest {
        project: session.project.clone(),
        connector: current.id,
        etag: args.etag,
        secret_expires_at: args.storing.secret_expires_at()?,
        request_id: request_id(),
        auto: true,
        ..proto::RotateConnectorSecretRequest::default()
    };
    let asked = session.call_once(ask, async |ask| session.connectors().rotate_connector_secret(ask).await).await;
    let answer = asked.map_err(|failure| match failure.kind {
        Kind::Unavailable => failure.hint(format!(
            "the rotation goes on without this command; see how far it came: valetkey connector describe {}",
            current.name
        )),
        Kind::Failed | Kind::Usage | Kind::Denied | Kind::NotFound | Kind::Command(_) | Kind::ReaderLeft => failure,
    })?;
    session.output.record(&RotatedView::from(answer))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;

    use crate::cli::schema::{SCHEMA, settings_of};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: UpdateArgs,
    }

    fn args(arguments: &[&str]) -> UpdateArgs {
        Line::try_parse_from(["x", "prod-s3"].iter().chain(arguments)).unwrap().args
    }

    fn current() -> proto::Connector {
        proto::Connector {
            etag: "7".to_owned(),
            labels: BTreeMap::from([("team".to_owned(), "ml".to_owned()), ("tier".to_owned(), "one".to_owned())]),
            settings: r#"{"auth_method":"iam-role","role_arn":"a","region":"b"}"#.to_owned(),
            mint_policy: Some(proto::MintPolicy { ttl_max_seconds: 3600, shared: true, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn only_what_is_given_changes() {
        let mut ask = proto::UpdateConnectorRequest::default();
        let line = args(&["--ttl-max", "30m", "--shared=false", "--label", "tier=two", "--remove-label", "team"]);
        let paths = lay_over(&mut ask, line, current());
        assert_eq!(paths, ["labels", "mint_policy"]);
        assert_eq!(ask.labels, BTreeMap::from([("tier".to_owned(), "two".to_owned())]));
        let policy = ask.mint_policy.unwrap();
        assert_eq!((policy.ttl_max_seconds, policy.shared, policy.access_max), (1800, false, 0));
        assert_eq!(ask.etag, "7");
    }

    #[test]
    fn a_tolerance_is_taken_away_by_name() {
        let mut ask = proto::UpdateConnectorRequest::default();
        assert_eq!(
            lay_over(&mut ask, args(&["--secret-skew-tolerance", "0s"]), current()),
            ["secret_skew_tolerance_seconds"]
        );
    }

    #[test]
    fn nothing_given_is_an_empty_mask() {
        assert!(lay_over(&mut proto::UpdateConnectorRequest::default(), args(&[]), current()).is_empty());
    }

    #[test]
    fn settings_are_laid_over_the_current_ones_without_the_tag() {
        let known = settings_of(SCHEMA).unwrap();
        let line = args(&["--set", "role_arn=z", "--unset", "region"]);
        assert_eq!(new_settings(&line, &current(), &known).unwrap(), r#"{"role_arn":"z"}"#);
        assert!(new_settings(&args(&["--unset", "chain"]), &current(), &known).is_err());
        assert!(new_settings(&line, &proto::Connector::default(), &known).is_err());
    }
}

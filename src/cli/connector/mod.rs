//! `valetkey connector`: stored, sealed source credentials.
//!
//! Owns the verbs that read, verify and delete. `register` and `change` take
//! secrets and settings in; `view` is what is shown. Nothing here can show a
//! source credential: no message brings one back.

mod change;
mod draft;
mod found;
mod kubeconfig;
mod mending;
mod register;
mod view;
mod wizard;

use clap::{Args, Subcommand};

use crate::proto;

use super::failure::Failure;
use super::moment::Moment;
use super::pages::{LimitArgs, PageAsk, gather};
use super::pairs::{Pair, labels_of, parse_etag, parse_pair};
use super::session::{Session, request_id};

pub(super) use view::{ConnectorView, ReachView, RotatedView};

use view::DeletedView;

/// What to do with connectors.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Verify a connector against its cloud and store it sealed
    #[command(after_help = "\
Secrets come from a file, from standard input, or are asked for; never from the command line.

With -i everything is asked for, step by step. With --auto-configure this machine's own AWS
profiles, Google application-default credentials, az login, kubeconfig and docker logins are
offered; no helper program is run.

Examples:
  valetkey connector register -i
  valetkey connector register --auto-configure
  valetkey connector register prod-s3 --auto-configure --from aws:default --resource-type s3-bucket --yes
  valetkey connector register prod-s3 --type aws --method iam-role \\
      --set role_arn=arn:aws:iam::123456789012:role/ml --set region=eu-west-1 \\
      --secret aws_access_key_id=@key-id.txt --secret aws_secret_access_key=- \\
      --resource-type s3-bucket --allow-resource 's3://datasets/**' --access-max read --ttl-max 1h
  valetkey connector register prod-s3 --type aws --method secret-key --secrets - < secrets.json
  valetkey connector register prod-s3 --type aws --method iam-role --validate-only
  valetkey connector register train --kubeconfig kube.yaml \\
      --set 'service_accounts={\"read\":\"ml/reader\"}'")]
    Register(Box<register::RegisterArgs>),
    /// List connectors
    #[command(after_help = "\
Examples:
  valetkey connector list --label team=ml
  valetkey connector list --type aws --resource-type s3-bucket -o json")]
    List(ListArgs),
    /// Describe a connector, without its secret
    #[command(after_help = "\
Example:
  valetkey connector describe prod-s3")]
    Describe(NameArgs),
    /// Change a connector; only what is given changes
    #[command(after_help = "\
A change of where the secret is sent, such as an endpoint, needs the secret again.

Examples:
  valetkey connector update prod-s3 --ttl-max 30m --label tier=gold
  valetkey connector update prod-s3 --set region=eu-central-1 --secrets @secrets.json")]
    Update(Box<change::UpdateArgs>),
    /// Replace the source credential
    #[command(after_help = "\
With --auto the cloud makes the new key, where the auth method can (AWS access keys, GCP
service-account keys): make, verify, switch, delete the old one. Each step is in the ledger and
in `connector describe`; wherever it stops, the stored key works, and running it again takes it up.

Examples:
  valetkey connector rotate-secret prod-s3 --auto
  valetkey connector rotate-secret prod-s3 --secrets - < new.json
  valetkey connector rotate-secret prod-s3 --secret-expires-in 90d")]
    RotateSecret(change::RotateArgs),
    /// Verify a stored connector again
    #[command(after_help = "\
Example:
  valetkey connector verify prod-s3")]
    Verify(NameArgs),
    /// List the resources of the cloud that a connector reaches
    #[command(after_help = "\
Example:
  valetkey connector list-resources prod-s3 --resource-type s3-bucket")]
    ListResources(ResourcesArgs),
    /// Delete a connector; refused while components are linked to it
    #[command(after_help = "\
Example:
  valetkey connector delete prod-s3")]
    Delete(DeleteArgs),
}

/// Which connector.
#[derive(Args)]
pub(super) struct NameArgs {
    /// Name, id, or a unique prefix of the id
    connector: String,
}

/// Which connectors to list.
#[derive(Args)]
pub(super) struct ListArgs {
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE", default_value = "", hide_default_value = true)]
    connector_type: String,
    /// Only connectors that can serve this resource type
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    resource_type: String,
    /// Only with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<Pair>,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Which resources to list.
#[derive(Args)]
pub(super) struct ResourcesArgs {
    /// Name, id, or a unique prefix of the id
    connector: String,
    /// Only of this type; needed to see more than 1,000 of one type
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    resource_type: String,
}

/// Which connector to delete.
#[derive(Args)]
pub(super) struct DeleteArgs {
    /// Name, id, or a unique prefix of the id
    connector: String,
    /// Only if it still has this etag
    #[arg(long, value_name = "ETAG", value_parser = parse_etag, default_value = "", hide_default_value = true)]
    etag: String,
}

/// Runs the command.
///
/// # Errors
/// What the daemon answered; usage, when secrets or settings are wrong.
pub(super) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Register(args) => register::run(session, *args).await,
        Verb::List(args) => list(session, args).await,
        Verb::Describe(args) => show(session, fetch(session, &args.connector).await?),
        Verb::Update(args) => change::update(session, *args).await,
        Verb::RotateSecret(args) => change::rotate(session, args).await,
        Verb::Verify(args) => verify(session, args).await,
        Verb::ListResources(args) => list_resources(session, args).await,
        Verb::Delete(args) => delete(session, args).await,
    }
}

/// The connector as the server sends it.
async fn fetch(session: &Session, name: &str) -> Result<proto::Connector, Failure> {
    let ask = proto::DescribeConnectorRequest { project: session.project.clone(), connector: name.to_owned() };
    let answer = session.call(ask, async |ask| session.connectors().describe_connector(ask).await).await?;
    Ok(answer.connector.unwrap_or_default())
}

/// Shows a connector and, to people, what it reaches.
fn show(session: &Session, connector: proto::Connector) -> Result<(), Failure> {
    let view = ConnectorView::from(connector);
    session.output.record(&view)?;
    if session.output.for_people() && !view.reach().is_empty() {
        session.output.list(view.reach())?;
    }
    Ok(())
}

/// Shows what is stored now, and says when it ends before what was `said`: a
/// certificate's or a token's own word counts then.
fn show_stored(
    session: &Session,
    connector: proto::Connector,
    said: Option<prost_types::Timestamp>,
) -> Result<(), Failure> {
    let stored = connector.secret_expires_at;
    show(session, connector)?;
    let cut = said.zip(stored).is_some_and(|(said, stored)| stored.seconds < said.seconds);
    if let Some(end) = Moment::from_proto(stored.as_ref()).filter(|_| cut) {
        session.terminal.tell(&format!(
            "note: the source credential itself says that it ends at {}, before what was asked for, and that counts",
            end.whole_seconds()
        ));
    }
    Ok(())
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let connectors = gather(&args.limit, async |page: PageAsk| {
        let ask = proto::ListConnectorsRequest {
            project: session.project.clone(),
            page_size: page.size,
            page_token: page.token,
            connector_type: args.connector_type.clone(),
            resource_type: args.resource_type.clone(),
            labels: labels_of(&args.labels),
        };
        let answer = session.call(ask, async |ask| session.connectors().list_connectors(ask).await).await?;
        Ok((answer.connectors, answer.next_page_token))
    })
    .await?;
    session.output.list(&connectors.into_iter().map(ConnectorView::from).collect::<Vec<_>>())
}

async fn verify(session: &Session, args: NameArgs) -> Result<(), Failure> {
    let ask = proto::VerifyConnectorRequest { project: session.project.clone(), connector: args.connector };
    let answer = session.call_spending(ask, async |ask| session.connectors().verify_connector(ask).await).await?;
    let connector = answer.connector.unwrap_or_default();
    let verified = connector.verification.as_ref().is_some_and(|v| v.state == "verified");
    show(session, connector)?;
    if verified { Ok(()) } else { Err(Failure::failed("the connector did not verify")) }
}

async fn list_resources(session: &Session, args: ResourcesArgs) -> Result<(), Failure> {
    let limit = LimitArgs { limit: RESOURCE_PAGES_MAX };
    let reach = gather(&limit, async |page: PageAsk| {
        let ask = proto::ListConnectorResourcesRequest {
            project: session.project.clone(),
            connector: args.connector.clone(),
            resource_type: args.resource_type.clone(),
            page_size: 0,
            page_token: page.token,
        };
        let answer =
            session.call_spending(ask, async |ask| session.connectors().list_connector_resources(ask).await).await?;
        // A page is of one type; with several there is no next one to ask for.
        let several = answer.reach.len() > 1;
        if several && !answer.next_page_token.is_empty() {
            session.terminal.tell("not everything is listed: give --resource-type TYPE for all of one type");
        }
        Ok((answer.reach, if several { String::new() } else { answer.next_page_token }))
    })
    .await?;
    session.output.list(&reach.into_iter().map(ReachView::from).collect::<Vec<_>>())
}

async fn delete(session: &Session, args: DeleteArgs) -> Result<(), Failure> {
    let ask = proto::DeleteConnectorRequest {
        project: session.project.clone(),
        connector: args.connector.clone(),
        etag: args.etag,
        request_id: request_id(),
    };
    let answer = session.call(ask, async |ask| session.connectors().delete_connector(ask).await).await?;
    session.output.record(&DeletedView {
        deleted: args.connector,
        outstanding_issuances: answer.outstanding_issuances,
        outstanding_until: Moment::from_proto(answer.outstanding_until.as_ref()),
        removed_bindings: answer.removed_bindings,
    })
}

/// Pages of resources: 1,000 ids each, so a hundred thousand ids.
const RESOURCE_PAGES_MAX: u32 = 100;

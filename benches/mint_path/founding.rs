//! Who and what a new daemon needs before it can be measured: an engineer, a consumer, and a connector to the STS.

use std::path::Path;

use tonic::Request;
use tonic::transport::Channel;
use valetkey::proto;
use valetkey::proto::access_service_client::AccessServiceClient;
use valetkey::proto::connector_service_client::ConnectorServiceClient;
use valetkey::proto::credential_service_client::CredentialServiceClient;

use super::load::{bearer, channel, mint_request};
use super::plan::Outcome;

/// The connector that is minted from.
pub const CONNECTOR: &str = "bench";

/// Tokens of those who call.
#[derive(Clone)]
pub struct People {
    /// Registers connectors.
    pub engineer: String,
    /// Mints.
    pub consumer: String,
}

/// The settings of a connector that asks this STS.
pub fn settings(sts_port: u16) -> String {
    let settings = serde_json::json!({
        "region": "us-east-1",
        "endpoint_url": endpoint(sts_port),
        "role_arn": "arn:aws:iam::123456789012:role/bench",
    });
    settings.to_string()
}

/// The STS as a connector and the daemon's config name it.
pub fn endpoint(sts_port: u16) -> String {
    format!("http://127.0.0.1:{sts_port}")
}

/// The registration of a connector without asking the cloud.
pub fn register_request(name: &str, settings: &str) -> proto::RegisterConnectorRequest {
    let secret = |name: &str, value: &str| proto::SecretField { name: name.to_owned(), value: value.into() };
    proto::RegisterConnectorRequest {
        name: name.to_owned(),
        connector_type: "aws".to_owned(),
        auth_method: "iam-role".to_owned(),
        settings: settings.to_owned(),
        secrets: vec![
            secret("aws_access_key_id", "AKIABENCHBENCHBENCHB"),
            secret("aws_secret_access_key", "bench/bench/bench/bench/bench/bench/benc"),
        ],
        skip_verify: true,
        ..proto::RegisterConnectorRequest::default()
    }
}

/// Lets the people in and registers the connector.
pub async fn found(port: u16, ca: &Path, owner: &str, settings: &str) -> Outcome<People> {
    let channel = channel(port, ca).await?;
    let people = People {
        engineer: let_in(&channel, owner, "engineer", "platform-engineer").await?,
        consumer: let_in(&channel, owner, "consumer", "data-scientist").await?,
    };
    let request = authorized(&people.engineer, register_request(CONNECTOR, settings))?;
    ConnectorServiceClient::new(channel).register_connector(request).await?;
    Ok(people)
}

/// Asks for one credential; answers the encoded length of what came.
pub async fn mint_once(port: u16, ca: &Path, token: &str) -> Outcome<usize> {
    let channel = channel(port, ca).await?;
    let request = authorized(token, mint_request(CONNECTOR, "first", 0))?;
    let answer = CredentialServiceClient::new(channel).mint_credential(request).await?;
    Ok(prost::Message::encoded_len(answer.get_ref()))
}

/// Lists every connector, page by page; answers how many there are.
pub async fn list_connectors(port: u16, ca: &Path, token: &str) -> Outcome<usize> {
    let mut connectors = ConnectorServiceClient::new(channel(port, ca).await?);
    let (mut listed, mut page_token) = (0, String::new());
    loop {
        let request =
            proto::ListConnectorsRequest { page_size: PAGE, page_token, ..proto::ListConnectorsRequest::default() };
        let page = connectors.list_connectors(authorized(token, request)?).await?.into_inner();
        listed += page.connectors.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(listed);
        }
    }
}

/// Whether the daemon answers this caller.
pub async fn answers(port: u16, ca: &Path, token: &str) -> Outcome<()> {
    let channel = channel(port, ca).await?;
    AccessServiceClient::new(channel).who_am_i(authorized(token, proto::WhoAmIRequest::default())?).await?;
    Ok(())
}

/// A service account with this role on the project; its token.
async fn let_in(channel: &Channel, owner: &str, name: &str, role: &str) -> Outcome<String> {
    let mut access = AccessServiceClient::new(channel.clone());
    let principal = proto::CreatePrincipalRequest {
        name: name.to_owned(),
        kind: proto::PrincipalKind::ServiceAccount.into(),
        ..proto::CreatePrincipalRequest::default()
    };
    access.create_principal(authorized(owner, principal)?).await?;
    let binding = proto::CreateBindingRequest {
        principal: name.to_owned(),
        role: role.to_owned(),
        ..proto::CreateBindingRequest::default()
    };
    access.create_binding(authorized(owner, binding)?).await?;
    let token = proto::CreateTokenRequest {
        principal: name.to_owned(),
        description: "the bench".to_owned(),
        ttl_seconds: TOKEN_SECONDS,
        ..Default::default()
    };
    Ok(access.create_token(authorized(owner, token)?).await?.into_inner().secret)
}

fn authorized<T>(token: &str, message: T) -> Outcome<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer(token)?);
    Ok(request)
}

// The largest there is.
const PAGE: i32 = 1000;

const TOKEN_SECONDS: u32 = 24 * 3600;

//! What the clients of these stories ask for.

use serde_json::json;
use valetkey::proto;

use crate::rig::vault::Setup;

/// A vault whose only cloud is this one.
pub fn reaching(sts: &str) -> Setup {
    Setup::new().reaching(&[sts])
}

/// A connector that asks `sts` for sessions of a role; no cloud is asked about it.
pub fn role_connector(name: &str, sts: &str, key: [&[u8]; 2]) -> proto::RegisterConnectorRequest {
    proto::RegisterConnectorRequest {
        name: name.to_owned(),
        connector_type: "aws".to_owned(),
        auth_method: "iam-role".to_owned(),
        settings: role_settings(sts),
        secrets: key_fields(key),
        skip_verify: true,
        ..Default::default()
    }
}

/// The settings of such a connector.
pub fn role_settings(sts: &str) -> String {
    let role_arn = "arn:aws:iam::000000000000:role/ml-data";
    json!({"region": "us-east-1", "endpoint_url": sts, "role_arn": role_arn}).to_string()
}

/// The two fields of an AWS key.
pub fn key_fields([id, secret]: [&[u8]; 2]) -> Vec<proto::SecretField> {
    let field = |name: &str, value: &[u8]| proto::SecretField { name: name.to_owned(), value: value.to_vec() };
    vec![field("aws_access_key_id", id), field("aws_secret_access_key", secret)]
}

/// Asks for a bucket through a connector, for reading.
pub fn bucket(connector: &str, bucket: &str) -> proto::MintCredentialRequest {
    let ask = proto::MintAsk {
        source: Some(proto::mint_ask::Source::Connector(connector.to_owned())),
        resource_type: "s3-bucket".to_owned(),
        resource_id: format!("s3://{bucket}"),
        access: proto::AccessLevel::Read.into(),
        ..Default::default()
    };
    proto::MintCredentialRequest { ask: Some(ask) }
}

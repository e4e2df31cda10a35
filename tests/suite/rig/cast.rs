//! The people of a vault, and the few records that nearly every story needs.

use prost::Message as _;
use valetkey::proto;

use super::vault::Vault;

/// A secret that must never be seen anywhere; part of every connector made here.
pub const CANARY: &str = "canary0K3yThatMustNeverBeSeenAnywhere5ec";
/// The access key id that goes with it.
pub const CANARY_ID: &str = "AKIACANARY0000000001";

/// Lets the people in: principals, tokens, roles, and the trainer's component.
pub fn let_in(vault: &Vault) {
    for (name, role) in [
        ("alice", Some("platform-engineer")),
        ("bob", Some("data-scientist")),
        ("carol", Some("auditor")),
        ("stranger", None),
    ] {
        principal(vault, "owner", name, proto::PrincipalKind::User);
        if let Some(role) = role {
            bind(vault, "owner", binding(name, role));
        }
    }
    principal(vault, "owner", "trainer", proto::PrincipalKind::ServiceAccount);
    component(vault, "bob", "pipeline");
    let runner = proto::CreateBindingRequest { component: "pipeline".to_owned(), ..binding("trainer", "runner") };
    bind(vault, "owner", runner);
}

/// Creates a principal and keeps a token of it.
pub fn principal(vault: &Vault, owner: &str, name: &str, kind: proto::PrincipalKind) -> proto::Principal {
    let ask = proto::CreatePrincipalRequest { name: name.to_owned(), kind: kind.into(), ..Default::default() };
    let made = vault.run(vault.access(owner).create_principal(ask)).expect("an owner creates principals");
    let token = token(vault, owner, name, 0);
    vault.keep_token(name, &token.secret);
    made.into_inner().principal.expect("the reply has the principal")
}

/// Creates a token for somebody.
pub fn token(vault: &Vault, owner: &str, name: &str, ttl_seconds: u32) -> proto::CreateTokenResponse {
    let ask = proto::CreateTokenRequest { principal: name.to_owned(), ttl_seconds, ..Default::default() };
    vault.run(vault.access(owner).create_token(ask)).expect("an owner creates tokens").into_inner()
}

/// A request to give a role on the whole project.
pub fn binding(principal: &str, role: &str) -> proto::CreateBindingRequest {
    proto::CreateBindingRequest { principal: principal.to_owned(), role: role.to_owned(), ..Default::default() }
}

/// Gives a role.
pub fn bind(vault: &Vault, owner: &str, ask: proto::CreateBindingRequest) -> proto::Binding {
    let made = vault.run(vault.access(owner).create_binding(ask)).expect("an owner gives roles");
    made.into_inner().binding.expect("the reply has the binding")
}

/// Registers a component that needs a bucket.
pub fn component(vault: &Vault, who: &str, name: &str) -> proto::Component {
    let ask = proto::RegisterComponentRequest {
        name: name.to_owned(),
        component_type: "artifact-store".to_owned(),
        flavor: "s3".to_owned(),
        requirement: Some(proto::ConnectorRequirement { resource_type: "s3-bucket".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let made = vault.run(vault.components(who).register_component(ask)).expect("a component is registered");
    made.into_inner().component.expect("the reply has the component")
}

/// A request to register a connector that no cloud is asked about; its secret is the canary.
pub fn unverified(name: &str) -> proto::RegisterConnectorRequest {
    proto::RegisterConnectorRequest {
        name: name.to_owned(),
        connector_type: "aws".to_owned(),
        auth_method: "secret-key".to_owned(),
        settings: r#"{"region": "us-east-1"}"#.to_owned(),
        secrets: canary_secrets(),
        skip_verify: true,
        ..Default::default()
    }
}

/// The canary as a source credential.
pub fn canary_secrets() -> Vec<proto::SecretField> {
    [("aws_access_key_id", CANARY_ID), ("aws_secret_access_key", CANARY)]
        .map(|(name, value)| proto::SecretField { name: name.to_owned(), value: value.as_bytes().to_vec() })
        .into()
}

/// Registers a connector as alice.
pub fn connector(vault: &Vault, ask: proto::RegisterConnectorRequest) -> proto::Connector {
    let made = vault.run(vault.connectors("alice").register_connector(ask)).expect("an engineer registers connectors");
    made.into_inner().connector.expect("the reply has the connector")
}

/// Links a component to a connector and a resource as bob, for reading.
pub fn link(vault: &Vault, component: &str, connector: &str, resource: &str) -> proto::Component {
    let ask = proto::ConnectComponentRequest {
        component: component.to_owned(),
        connector: connector.to_owned(),
        resource_id: resource.to_owned(),
        access_max: proto::AccessLevel::Read.into(),
        ..Default::default()
    };
    let made = vault.run(vault.components("bob").connect_component(ask)).expect("a scientist links components");
    made.into_inner().component.expect("the reply has the component")
}

/// A request to mint by component.
pub fn mint(component: &str) -> proto::MintCredentialRequest {
    let source = Some(proto::mint_ask::Source::Component(component.to_owned()));
    proto::MintCredentialRequest { ask: Some(proto::MintAsk { source, ..Default::default() }) }
}

/// The newest lines of the ledger, as an auditor or owner sees them, newest first.
pub fn lines(vault: &Vault, who: &str) -> Vec<proto::AuditLine> {
    let ask = proto::ListAuditLinesRequest { page_size: 1000, ..Default::default() };
    vault.run(vault.audit(who).list_audit_lines(ask)).expect("the ledger can be read").into_inner().lines
}

/// No bytes of the canary are in here, in any of the shapes that this bench looks for.
#[track_caller]
pub fn no_canary(place: &str, bytes: &[u8]) {
    let hex = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let decimal = CANARY.bytes().take(12).map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let reversed: String = CANARY.chars().rev().collect();
    for shape in [CANARY, &CANARY[..16], &hex, &decimal, &reversed, &base64(CANARY)[..20]] {
        let found = bytes.windows(shape.len()).any(|window| window == shape.as_bytes());
        assert!(!found, "{place} holds the canary as {shape}");
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// The bytes of a message.
pub fn bytes(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// An empty message.
pub fn empty() -> Vec<u8> {
    proto::WhoAmIRequest::default().encode_to_vec()
}
